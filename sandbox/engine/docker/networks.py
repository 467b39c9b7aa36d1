"""The network of instances: one bridge on which no end reaches another.

Made when the engine is opened, and never again: a network that comes or goes makes the engine write
its isolation rules anew, and for that moment one bridge reaches the other. Traffic within a bridge
is not affected by that, and inter-container traffic is off here.

A control plane in a container with a network of its own would be within reach at such moments, on
its own bridge. So compose makes that bridge with inter-container traffic off, and instances have
their ends in it too: nobody else's rules stand between them.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import ipaddress
import socket
from typing import TYPE_CHECKING

import structlog

from sandbox.engine.docker.client import ICC
from sandbox.engine.docker.lent_port import borrow_port
from sandbox.engine.docker.removal import remove
from sandbox.errors import EngineError, EngineErrorKind

if TYPE_CHECKING:
    from sandbox.engine.base import Listen
    from sandbox.engine.docker.client import ContainerFacts, DockerClient
    from sandbox.engine.docker.labels import Labels
    from sandbox.settings import Settings

log = structlog.get_logger()

#: A Linux bridge has 1,023 ports, so more addresses would be of no use.
LARGEST_PREFIX = 22
ROLE = "network"
#: A network device's name has 15 characters.
DEVICE_CHARS = 15
#: Network, gateway, broadcast.
NOT_FOR_INSTANCES = 3


class InstanceNetwork:
    """The bridge, its addresses, and the runtime API on its gateway.

    An instance reaches the gateway and, beyond it, the internet. The runtime API listens on the
    gateway also where the control plane has an end in the bridge itself: see ``lent_port``. So it
    sees the true address of every caller.
    """

    def __init__(self, client: DockerClient, labels: Labels, settings: Settings) -> None:
        self.name = ""
        #: Where instances find the runtime API. Known after ``open``.
        self.gateway = ""
        self._client = client
        self._labels = labels
        self._in_container = settings.control_container
        self._range = ipaddress.IPv4Network(settings.network_range)
        self._port = settings.runtime_port
        self._subnet = self._range
        self._server: asyncio.AbstractServer | None = None
        self._taken: set[str] = set()
        self._cursor = 0
        self._restoring = asyncio.Lock()

    @property
    def size(self) -> int:
        """How many instances it can hold."""
        return self._subnet.num_addresses - NOT_FOR_INSTANCES

    async def open(self, listen: Listen) -> None:
        """Make the bridge, or find the control plane's own, and open the runtime API on it."""
        try:
            if self._in_container:
                own = await self._client.container_facts(socket.gethostname())
                await self._find(own)
                port = await borrow_port(self._client, self._labels, own, self.gateway, self._port)
                self._server = await listen(self.gateway, port)
            else:
                await self._make()
                self._server = await listen(self.gateway)
        except OSError as error:
            hint = "end the program that has it, or set SCF_RUNTIME_PORT to another one"
            if error.errno == errno.EADDRNOTAVAIL:
                hint = (
                    "the engine runs on another machine: run the control plane there (scripts/up)"
                )
            raise EngineError(
                f"the runtime API cannot listen on {self.gateway} port {self._port}"
                f" ({error.strerror}): {hint}"
            ) from error

    async def restore(self) -> None:
        """Make the bridge again, with the same addresses, where somebody has removed it. What
        listens on its gateway goes on."""
        async with self._restoring:
            if not await self._client.network_ids(*self._labels.find(ROLE)):
                log.warning("network_lost", network=self.name)
                await self._create(self.name, self._subnet)

    def take(self) -> str:
        """An address that nobody has, given on as late as can be; or empty: the engine chooses."""
        if self._in_container:
            return ""
        for _ in range(self.size):
            address = str(self._subnet.network_address + 2 + self._cursor % self.size)
            self._cursor += 1
            if address not in self._taken:
                self._taken.add(address)
                return address
        raise EngineError(f"the network has no free address: {self.size} instances are up")

    def give_back(self, address: str) -> None:
        """The container that had it is gone. Idempotent."""
        self._taken.discard(address)

    async def address_of(self, container: str) -> str:
        """The address of a running container whose engine chose it."""
        return (await self._client.container_facts(container)).addresses[self.name]

    async def close(self) -> None:
        """Stop listening. The sweep removes the network."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def sweep(self) -> None:
        """Remove the network, and what an earlier run of this installation left."""
        for network_id in await self._client.network_ids(*self._labels.find(ROLE)):
            await remove("network", network_id, self._client.remove_network)
        self._taken.clear()

    async def _make(self) -> None:
        """The bridge on addresses that are free."""
        prefix = max(LARGEST_PREFIX, self._range.prefixlen)
        for subnet in self._range.subnets(new_prefix=prefix):
            name = f"scf-{self._labels.installation}-{subnet.network_address}"
            try:
                await self._create(name, subnet)
            except EngineError as error:
                if error.kind is EngineErrorKind.OVERLAP:
                    continue
                raise
            self.name, self._subnet = name, subnet
            self.gateway = gateway_of(subnet)
            return
        raise EngineError(
            f"no free addresses for the network of instances in {self._range}: set"
            " SCF_NETWORK_RANGE to a larger or unused range"
        )

    async def _create(self, name: str, subnet: ipaddress.IPv4Network) -> None:
        device = device_name(self._labels.installation)
        await self._client.create_network(
            name, str(subnet), gateway_of(subnet), self._labels.of(ROLE), device=device
        )

    async def _find(self, own: ContainerFacts) -> None:
        """The closed bridge that the control plane's container is in."""
        for name in own.addresses:
            facts = await self._client.network_facts(name)
            if facts.closed and facts.gateway:
                self.name, self.gateway = name, facts.gateway
                return
        raise EngineError(
            "the control plane's container is in no network whose ends are kept from each other"
            f" ({ICC}=false): start it with this version's compose.yaml"
        )


def gateway_of(subnet: ipaddress.IPv4Network) -> str:
    """The first address."""
    return str(subnet.network_address + 1)


def device_name(installation: str) -> str:
    """The bridge's name on the machine: always the same, so that a firewall can name it."""
    name = f"scf-{installation}"
    if len(name) <= DEVICE_CHARS:
        return name
    return f"scf-{hashlib.sha256(installation.encode()).hexdigest()[: DEVICE_CHARS - 4]}"
