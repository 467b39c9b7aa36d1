"""Where the runtime API listens, and whose connections it takes."""

from __future__ import annotations

import asyncio
import ipaddress
from typing import TYPE_CHECKING, Any

from api.runtime.callers import Callers
from api.runtime.head import Heads
from api.runtime.protocol import RuntimeProtocol, Shared
from api.runtime.sockets import probe_silent_connections

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping

    from api.runtime.callers import InstanceLookup
    from api.runtime.protocol import Upgrade


class RuntimeServer:
    """Opens the runtime API on the addresses that the engine names.

    On loopback, where all callers have the same address, the one that was called takes its place:
    each instance has its own there.
    """

    def __init__(
        self,
        pool: InstanceLookup,
        port: int,
        keep_awake: Callable[[], None] = lambda: None,
        upgrades: Mapping[bytes, Upgrade] | None = None,
    ) -> None:
        """``keep_awake`` is called whenever something comes in. ``upgrades`` are by path."""
        self._shared = Shared(Heads(), Callers(pool), keep_awake, upgrades or {})
        self._port = port
        self._servers: set[asyncio.AbstractServer] = set()

    async def listen(
        self, address: str, listener: socket.socket | None = None
    ) -> asyncio.AbstractServer:
        """Listen on one more address, or on its ``listener``. ``OSError`` where that fails."""
        loop = asyncio.get_running_loop()
        caller = address if ipaddress.ip_address(address).is_loopback else ""
        at: dict[str, Any] = {"host": address, "port": self._port}
        server = await loop.create_server(
            lambda: RuntimeProtocol(self._shared, caller),
            **({"sock": listener} if listener is not None else at),
            backlog=1024,
        )
        for opened in server.sockets:
            probe_silent_connections(opened)
        self._servers = {known for known in self._servers if known.is_serving()}
        self._servers.add(server)
        return server

    async def close(self) -> None:
        """Take no more connections."""
        for server in self._servers:
            server.close()
        self._servers.clear()
