"""The runtime port of a control plane that runs in a container with a network of its own.

Instances reach one address: their bridge's gateway, which is the machine's. A socket keeps the
network it was made in, whoever holds it. So a container in the machine's own network opens the
port, hands the open socket over, and ends. Nothing stands between instances and the control plane,
and their addresses are the true ones. Both containers have the volume at ``MEETING``.
"""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.engine.docker.options import ContainerOptions, VolumeMount
from sandbox.engine.docker.removal import remove_container
from sandbox.errors import EngineError

if TYPE_CHECKING:
    from sandbox.engine.docker.client import ContainerFacts, DockerClient
    from sandbox.engine.docker.labels import Labels

MEETING = Path("/run/scf-sandbox")
ROLE = "lender"
#: How long the other container may take, seconds: its start on a machine at its limit.
PATIENCE_S = 60.0


async def borrow_port(
    client: DockerClient, labels: Labels, own: ContainerFacts, address: str, port: int
) -> socket.socket:
    """A listening socket on an address of the machine's, for a control plane in the container
    ``own``. ``OSError`` when it cannot be opened."""
    volume = own.volumes.get(str(MEETING))
    if volume is None:
        raise EngineError(
            f"the control plane's container has no volume at {MEETING}: start it with this"
            " version's compose.yaml"
        )
    path = MEETING / "runtime.sock"
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(path))
        door.listen(1)
        door.settimeout(PATIENCE_S)
        lender = await client.create_container(
            ContainerOptions(
                image=own.image,
                command=(
                    *("python", "-m", "sandbox.engine.docker.lend_port"),
                    *(address, str(port), str(path)),
                ),
                labels=labels.of(ROLE),
                mounts=(VolumeMount(volume, str(MEETING), read_only=False),),
                network_mode="host",
                read_only=True,
                memory_mb=64,
                pids=16,
                unprivileged=True,
            )
        )
        try:
            await client.start_container(lender)
            return await asyncio.to_thread(receive, door)
        except TimeoutError as error:
            raise EngineError(
                f"no container opened port {port} on {address} within {PATIENCE_S:.0f} s:"
                " see the engine's log"
            ) from error
        finally:
            await remove_container(client, lender)
            path.unlink(missing_ok=True)


def receive(door: socket.socket) -> socket.socket:
    """What ``lend_port`` sends: an errno as text, and the socket where it is 0."""
    lender, _ = door.accept()
    with lender:
        lender.settimeout(PATIENCE_S)
        said, sockets, _, _ = socket.recv_fds(lender, 16, 1)
    number = int(said or b"5")
    if number or not sockets:
        raise OSError(number, os.strerror(number))
    return socket.socket(fileno=sockets[0])
