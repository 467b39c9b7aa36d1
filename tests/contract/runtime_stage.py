"""The runtime API on real sockets, instances without containers, and clients that send bytes."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from api.runtime.server import RuntimeServer
from sandbox.engine.base import RuntimeAccess
from sandbox.engine.init_links import InitLinks
from tests.support.functions import function
from tests.support.pool import Heart
from tests.support.waiting import DEADLINE_S, eventually, turns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from sandbox.functions.model import Function
    from sandbox.invocation import Invocation, Outcome
    from tests.support.engine import FakeContainer

READY = "/runtime/init/ready"
NEXT = "/runtime/invocation/next"
RESPONSE = "/runtime/invocation/response"
ERROR = "/runtime/invocation/error"

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nOK\n"


@dataclass
class Reply:
    """An answer as it was on the wire. ``headers`` keep their order and spelling."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    head: bytes

    def header(self, name: str) -> str:
        """A header by its name, in whatever case, as HTTP libraries look it up."""
        return next((v for n, v in self.headers if n.lower() == name.lower()), "")


class Wire:
    """One connection of a client."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.host = host

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def request(
        self, method: str, path: str, body: bytes | None = None, *, version: str = "1.1"
    ) -> None:
        """Send a plain request: Host, and the length of the body if there is one."""
        head = f"{method} {path} HTTP/{version}\r\nHost: {self.host}:9001\r\n"
        if body is not None:
            head += f"Content-Length: {len(body)}\r\n"
        await self.send(head.encode() + b"\r\n" + (body or b""))

    async def reply(self) -> Reply:
        async with asyncio.timeout(DEADLINE_S):
            head = await self.reader.readuntil(b"\r\n\r\n")
            line, *rest = head.decode().removesuffix("\r\n\r\n").split("\r\n")
            headers = [(name, value) for name, _, value in (h.partition(": ") for h in rest)]
            reply = Reply(int(line.split()[1]), headers, b"", head)
            reply.body = await self.reader.readexactly(int(reply.header("Content-Length") or 0))
            return reply

    async def call(self, method: str, path: str, body: bytes | None = None) -> Reply:
        await self.request(method, path, body)
        return await self.reply()

    async def ready(self) -> Reply:
        return await self.call("POST", READY, b" ")

    async def next(self) -> Reply:
        return await self.call("GET", NEXT)

    async def respond(self, body: bytes = b"done") -> Reply:
        return await self.call("POST", RESPONSE, body)

    @property
    def quiet(self) -> bool:
        """True when nothing has arrived that was not read, and the connection is open."""
        return not cast("Any", self.reader)._buffer and not self.reader.at_eof()

    async def ended(self) -> bool:
        """True when the server closes, and sends nothing before it does."""
        async with asyncio.timeout(DEADLINE_S):
            return await self.reader.read() == b""

    def close(self) -> None:
        self.writer.close()


@dataclass
class Stage:
    """The heart with the runtime API in front. Every instance has a loopback address."""

    heart: Heart
    server: RuntimeServer
    wires: list[Wire] = field(default_factory=list)

    def invoke(self, event: bytes = b"{}", of: Function | None = None) -> Invocation:
        return self.heart.submit(of or function(), event)

    async def outcome(self, invocation: Invocation) -> Outcome:
        return await asyncio.wait_for(invocation.future, DEADLINE_S)

    async def container(self, number: int = 0) -> FakeContainer:
        """A container whose bootstrap has been released."""
        return (await self.heart.runtime(number)).container

    async def connect(self, to: FakeContainer, host: str | None = None) -> Wire:
        """A connection to an instance's runtime API, by its own name unless told otherwise."""
        reader, writer = await asyncio.open_connection(to.address, to.port, limit=16 * 2**20)
        return self.keep(Wire(reader, writer, to.runtime_host if host is None else host))

    async def call_from(
        self, address: str, server: asyncio.AbstractServer, host: str = "localhost"
    ) -> Wire:
        """A connection from an address of this machine's to any listener."""
        port = cast("Any", server).sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
        return self.keep(Wire(reader, writer, host))

    def keep(self, wire: Wire) -> Wire:
        self.wires.append(wire)
        return wire

    async def ready(self, number: int = 0) -> Wire:
        """A connection of a bootstrap that has just reported that it is ready."""
        wire = await self.connect(await self.container(number))
        assert (await wire.ready()).status == 200
        return wire

    async def served(self, event: bytes = b"{}") -> tuple[Invocation, Wire]:
        """An invocation whose event was fetched, and the connection that fetched it."""
        invocation = self.invoke(event)
        wire = await self.ready()
        assert (await wire.next()).body == event
        return invocation, wire

    def log(self, invocation: Invocation) -> list[str]:
        return self.heart.logged(invocation.request_id)

    async def arrived(self) -> None:
        """Give what was sent the time to arrive, or not to."""
        for _ in range(5):
            await turns()
            await asyncio.sleep(0.002)  # nothing says that nothing comes

    async def close(self) -> None:
        servers = {container.server for container in self.heart.engine.containers}
        servers |= cast("set[asyncio.AbstractServer | None]", self.server._servers)
        for wire in self.wires:
            wire.close()
            with contextlib.suppress(OSError):
                await wire.writer.wait_closed()
        await eventually(lambda: not any(connections(servers)))
        await self.server.close()
        await self.heart.close()


def connections(servers: Iterable[asyncio.AbstractServer | None]) -> Iterable[int]:
    return (cast("Any", server)._active_count for server in servers if server is not None)


@contextlib.asynccontextmanager
async def stage(**settings: Any) -> AsyncIterator[Stage]:
    """A stage that is taken down again; nothing may be left."""
    heart = Heart(**settings)
    server = RuntimeServer(heart.pool, 0)
    await heart.engine.open(RuntimeAccess(server.listen, InitLinks()))
    built = Stage(heart, server)
    try:
        yield built
    finally:
        await built.close()
