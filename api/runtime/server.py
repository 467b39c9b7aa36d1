"""Where the runtime API listens, and whose connections it takes."""

from __future__ import annotations

import asyncio
import ipaddress
from typing import TYPE_CHECKING, Protocol

from api.runtime.protocol import RuntimeProtocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sandbox.instance.instance import Instance


class InstanceLookup(Protocol):
    """The pool, as the runtime API sees it: instances by ``runtime_host`` and by ``peer``."""

    @property
    def by_host(self) -> Mapping[str, Instance]:
        """Instances by the host name that each was given."""
        ...

    @property
    def by_peer(self) -> Mapping[str, Instance]:
        """Instances by their own address."""
        ...


class RuntimeServer:
    """Opens the runtime API on the addresses that the engine names, and finds instances.

    An instance is known by the host name it was given, which is also its secret. The name counts
    only from that instance's own address, where the engine can tell that. A client that sends no
    such name (HTTP/1.0, a client with an address built in) is known by its address. On loopback,
    where all callers have the same address, the one that was called takes its place: each instance
    has its own there.
    """

    def __init__(
        self, pool: InstanceLookup, port: int, keep_awake: Callable[[], None] = lambda: None
    ) -> None:
        """``keep_awake`` is called whenever something comes in."""
        self._pool = pool
        self._port = port
        self._keep_awake = keep_awake
        self._servers: set[asyncio.AbstractServer] = set()

    async def listen(self, address: str) -> asyncio.AbstractServer:
        """Listen on one more address. ``OSError`` when that cannot be done."""
        loop = asyncio.get_running_loop()
        caller = address if ipaddress.ip_address(address).is_loopback else ""
        server = await loop.create_server(
            lambda: RuntimeProtocol(self.find, caller, self._keep_awake),
            address,
            self._port,
            backlog=1024,
        )
        self._servers = {known for known in self._servers if known.is_serving()}
        self._servers.add(server)
        return server

    def find(self, host: str, peer: str) -> Instance | None:
        """The instance that ``host`` names, if ``peer`` is its address or it has none."""
        instance = self._pool.by_host.get(host)
        if instance is None:
            return None if host.endswith(".scf") else self._pool.by_peer.get(peer)
        container = instance.container
        return instance if container is not None and container.peer in (None, peer) else None

    async def close(self) -> None:
        """Take no more connections."""
        for server in self._servers:
            server.close()
        self._servers.clear()
