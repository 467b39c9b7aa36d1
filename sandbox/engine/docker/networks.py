"""One network per function: instances reach the internet and the runtime API, nothing of ours."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from sandbox.engine.docker.removal import remove
from sandbox.errors import EngineError, EngineErrorKind
from sandbox.tasks import TaskOwner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.engine.base import InstanceSpec, Listen
    from sandbox.engine.docker.client import DockerClient
    from sandbox.engine.docker.labels import Labels
    from sandbox.settings import Settings

log = structlog.get_logger()

#: Seconds an unused network is kept: a function that is invoked again at once finds it there.
LINGER_S = 3.0

#: A container's default route, and with it its published ports, are in the network whose name
#: sorts first. The control plane's must stay in the one that compose made, whatever its name.
PREFIX = "zz-scf"


@dataclass(frozen=True, slots=True)
class Place:
    """An instance's place in its function's network."""

    network: str
    peer: str
    runtime_address: str


@dataclass(slots=True)
class _Network:
    name: str
    subnet: ipaddress.IPv4Network
    runtime_address: str
    network_id: str = ""
    server: asyncio.AbstractServer | None = None
    taken: set[str] = field(default_factory=set)
    removal: asyncio.TimerHandle | None = None
    cursor: int = 0


class FunctionNetworks:
    """Makes a function's network with its first instance and removes it after its last.

    Subnets come from a range of our own, since Docker's default pools end after some 30 networks.
    The runtime API listens on the network's gateway when the control plane runs on the host; when
    it runs in a container, that container joins the network and listens on its address there.
    """

    def __init__(self, client: DockerClient, labels: Labels, settings: Settings) -> None:
        self._client = client
        self._labels = labels
        self._in_container = settings.control_container
        self._range = ipaddress.IPv4Network(settings.network_range)
        self._prefix = settings.network_prefix
        self._port = settings.runtime_port
        self._listen: Listen | None = None
        self._networks: dict[tuple[str, str], asyncio.Future[_Network]] = {}
        self._subnets: set[ipaddress.IPv4Network] = set()
        self._removals = TaskOwner()

    def open(self, listen: Listen) -> None:
        """``listen`` opens the runtime API in each network that is made from now on."""
        self._listen = listen

    async def join(self, spec: InstanceSpec) -> Place:
        """An address in the function's network, which is made if need be."""
        key = (spec.namespace, spec.function_name)
        pending = self._networks.get(key)
        if pending is None:
            pending = asyncio.ensure_future(self._make(key))
            self._networks[key] = pending
        try:
            network = await asyncio.shield(pending)
        except EngineError:
            if self._networks.get(key) is pending:
                del self._networks[key]
            raise
        if network.removal is not None:
            network.removal.cancel()
            network.removal = None
        return Place(network.name, self._take_address(network), network.runtime_address)

    async def leave(self, spec: InstanceSpec, peer: str) -> None:
        """Give an address back; the network goes a little after its last instance."""
        key = (spec.namespace, spec.function_name)
        pending = self._networks.get(key)
        if pending is None or not pending.done() or pending.exception() is not None:
            return
        network = pending.result()
        network.taken.discard(peer)
        if not network.taken and network.removal is None:
            loop = asyncio.get_running_loop()
            network.removal = loop.call_later(LINGER_S, self._expire, key, network)

    async def sweep(self) -> None:
        """Remove every function network of this installation."""
        for network_id in await self._client.network_ids(*self._labels.find("function")):
            await self._remove(network_id)

    async def close(self) -> None:
        """Stop listening; the sweep has removed the networks."""
        await self._removals.cancel()
        for pending in self._networks.values():
            if pending.done() and not pending.cancelled() and pending.exception() is None:
                network = pending.result()
                if network.removal is not None:
                    network.removal.cancel()
                if network.server is not None:
                    network.server.close()
        self._networks.clear()

    async def _make(self, key: tuple[str, str]) -> _Network:
        for subnet in self._free_subnets():
            self._subnets.add(subnet)
            gateway = str(subnet.network_address + 1)
            runtime = str(subnet.network_address + 2) if self._in_container else gateway
            name = "-".join((PREFIX, self._labels.installation, *key, str(subnet.network_address)))
            network = _Network(name, subnet, runtime)
            try:
                labels = self._labels.of("function", function="/".join(key))
                network.network_id = await self._client.create_network(
                    name, str(subnet), gateway, labels
                )
            except EngineError as error:
                if error.kind is EngineErrorKind.OVERLAP:
                    continue  # somebody else's: it stays marked as taken
                self._subnets.discard(subnet)
                raise
            try:
                if self._in_container:
                    await self._client.join_network(
                        socket.gethostname(), network.network_id, runtime
                    )
                network.server = await self._listen_on(runtime)
            except BaseException:
                await self._remove(network.network_id)
                self._subnets.discard(subnet)
                raise
            return network
        raise EngineError(
            f"no free subnet for a function network in {self._range}: set SCF_NETWORK_RANGE to a"
            " larger or unused range"
        )

    async def _listen_on(self, address: str) -> asyncio.AbstractServer:
        assert self._listen is not None
        try:
            return await self._listen(address)
        except OSError as error:
            hint = "end the program that has it, or set SCF_RUNTIME_PORT to another one"
            if error.errno == errno.EADDRNOTAVAIL:
                hint = (
                    "the engine runs on another machine: run the control plane there (scripts/up)"
                )
            raise EngineError(
                f"the runtime API cannot listen on {address} port {self._port} ({error.strerror}):"
                f" {hint}"
            ) from error

    def _free_subnets(self) -> Iterator[ipaddress.IPv4Network]:
        for subnet in self._range.subnets(new_prefix=self._prefix):
            if subnet not in self._subnets:
                yield subnet

    def _take_address(self, network: _Network) -> str:
        size = network.subnet.num_addresses - 4  # network, gateway, control plane, broadcast
        for _ in range(size):
            address = str(network.subnet.network_address + 3 + network.cursor % size)
            network.cursor += 1
            if address not in network.taken:
                network.taken.add(address)
                return address
        raise EngineError(f"the function's network has no free address: {size} instances are up")

    def _expire(self, key: tuple[str, str], network: _Network) -> None:
        network.removal = None
        if network.taken:
            return
        del self._networks[key]
        self._removals.start(self._retire(network))

    async def _retire(self, network: _Network) -> None:
        if network.server is not None:
            network.server.close()
        await self._remove(network.network_id)
        self._subnets.discard(network.subnet)

    async def _remove(self, network_id: str) -> None:
        try:
            if self._in_container:
                for container_id in await self._client.network_members(network_id):
                    await self._client.leave_network(container_id, network_id)
        except EngineError as error:
            log.debug("network_not_left", network=network_id, error=error.message)
        await remove("network", network_id, self._client.remove_network)
