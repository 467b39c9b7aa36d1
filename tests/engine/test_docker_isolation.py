"""What an instance can reach: the runtime API, by its own name; nothing else of ours."""

from __future__ import annotations

import asyncio
import subprocess
from typing import TYPE_CHECKING

import pytest

from sandbox.instance.lifecycle import State
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.engine.engine_kit import Rig

pytestmark = pytest.mark.engine

READY = 'curl -sS -o /dev/null -d " " "http://$SCF_RUNTIME_API:$SCF_RUNTIME_API_PORT/runtime/init/ready"'


def connect(address: str, port: int) -> str:
    """Bash that prints whether a connection can be made."""
    return (
        f"if timeout 2 bash -c '</dev/tcp/{address}/{port}' 2>/dev/null;"
        f" then echo {address}:{port} reached; else echo closed; fi"
    )


@pytest.fixture
async def control_port() -> AsyncIterator[int]:
    """Something like the control API, which listens on the host's loopback address."""
    server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def test_instances_of_two_functions_cannot_reach_each_other(docker_rig: Rig) -> None:
    victim = await docker_rig.instance(f"{READY}; sleep 1000 & wait", "victim")
    assert victim.container is not None
    victim.release(None)
    await eventually(lambda: victim.state is State.IDLE)
    address = victim.container.peer
    with pytest.raises(ConnectionRefusedError):  # it is there: this machine can reach it
        await asyncio.open_connection(address, 8000)
    # Without a listener a reachable host refuses at once; one behind a wall does not answer.
    probe = (
        f"curl -s --connect-timeout 2 http://{address}:8000/; echo curl $?;"
        f" ping -c 1 -W 1 {address} >/dev/null 2>&1 && echo answered; true"
    )
    container, watcher = await docker_rig.launch(probe, function_name="intruder")
    container.release()
    await watcher.end()
    assert watcher.lines == ["curl 28"]


async def test_the_control_api_is_on_no_address_an_instance_can_reach(
    docker_rig: Rig, control_port: int
) -> None:
    container, _ = await docker_rig.launch("true")
    assert container.peer is not None
    gateway = container.peer.rpartition(".")[0] + ".1"
    addresses = {gateway, "172.17.0.1", *host_addresses()}
    probe = "\n".join(
        connect(address, port) for address in sorted(addresses) for port in (9000, control_port)
    )
    end, lines = await docker_rig.run(probe)
    assert end.code == 0
    assert lines == ["closed"] * (2 * len(addresses))


async def test_the_runtime_api_answers_no_unknown_name(docker_rig: Rig) -> None:
    end, lines = await docker_rig.run(
        'curl -sS -o /dev/null -w "%{http_code}\\n" -H "Host: unknown.scf:9001" -d " "'
        ' "http://$SCF_RUNTIME_API:$SCF_RUNTIME_API_PORT/runtime/init/ready"'
    )
    assert end.code == 0
    assert lines == ["403"]


async def test_another_functions_runtime_address_knows_no_stranger(docker_rig: Rig) -> None:
    victim = await docker_rig.instance("sleep 1000 & wait", "victim")
    assert victim.container is not None
    assert victim.container.peer is not None
    host, gateway = victim.container.runtime_host, victim.container.peer.rpartition(".")[0] + ".1"
    victim.release(None)  # a ready report would count now
    container, watcher = await docker_rig.launch(
        f'curl -s --connect-timeout 2 -o /dev/null -w "%{{http_code}}\\n" -d " "'
        f' --resolve "{host}:9001:{gateway}" "http://{host}:9001/runtime/init/ready"',
        function_name="intruder",
    )
    container.release()
    await watcher.end()
    assert watcher.lines in (["403"], ["000"])
    assert victim.state is State.INITIALISING


def host_addresses() -> list[str]:
    """Every IPv4 address of this machine that is not on loopback."""
    listing = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=True)
    return [address for address in listing.stdout.split() if "." in address]
