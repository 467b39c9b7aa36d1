"""HTTP libraries by their habits, and bootstraps that are written with them.

A bootstrap is a coroutine that lives as long as its instance. Where it ends, the process ends;
where it raises ``Crash``, with exit code 1. What a client could not stand is an assertion in it.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.engine.base import Exit
from tests.contract.runtime_stage import ERROR, NEXT, READY, RESPONSE, Reply, Stage, Wire, stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from sandbox.functions.model import Function
    from sandbox.invocation import Outcome
    from tests.support.engine import FakeContainer

    Bootstrap = Callable[["Process"], Awaitable[None]]


class Crash(Exception):
    """The bootstrap ends with exit code 1."""


@dataclass(frozen=True)
class Library:
    """What an HTTP library sends by itself, and how it treats its connections.

    ``keep`` is False where each call makes a connection of its own. ``split`` is True where head
    and body go out apart. Bodies above ``expect_above`` bytes wait for ``100 Continue``.
    """

    headers: str
    keep: bool = True
    split: bool = False
    expect_above: int | None = None


CURL = Library(
    "User-Agent: curl/7.29.0\r\nHost: {host}\r\nAccept: */*\r\n", keep=False, expect_above=1024
)
DENO = Library(
    "accept: */*\r\nuser-agent: Deno/1.0.0\r\naccept-encoding: gzip, br\r\nhost: {host}\r\n"
)
DOTNET = Library("Host: {host}\r\n", split=True)
DOTNET_ANEW = Library("Host: {host}\r\n", keep=False, split=True)
UREQ = Library("Host: {host}\r\nUser-Agent: ureq/1.5.1\r\nAccept: */*\r\n")
REQWEST = Library("accept: */*\r\nhost: {host}\r\n")
GO = Library("Host: {host}\r\nUser-Agent: Go-http-client/1.1\r\nAccept-Encoding: gzip\r\n")
SWIFT_NIO = Library("host: {host}\r\nuser-agent: Swift-SCF/Unknown\r\n")
REQUESTS = Library(
    "Host: {host}\r\nUser-Agent: python-requests/2.25.1\r\nAccept-Encoding: gzip, deflate\r\n"
    "Accept: */*\r\nConnection: keep-alive\r\n",
    keep=False,
)
NODE = Library(
    "Accept: application/json, text/plain, */*\r\nUser-Agent: axios/0.21.1\r\nHost: {host}\r\n"
    "Connection: close\r\n",
    keep=False,
)
FIBJS = Library(
    "Accept: */*\r\nConnection: keep-alive\r\nHost: {host}\r\nAccept-Encoding: gzip,deflate\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) fibjs/0.29\r\n"
)


class Process:
    """A bootstrap at run: its calls to the runtime API, and its output."""

    def __init__(self, house: Stage, container: FakeContainer, library: Library) -> None:
        self.container = container
        self.library = library
        self.connections = 0
        self._house = house
        self._spare: list[Wire] = []

    def print(self, text: str) -> None:
        self.container.write(text)

    async def call(
        self, method: str, path: str, body: bytes | None = None, content_type: str | None = None
    ) -> Reply:
        """One call, answered. Connections are kept and shared as the library does it."""
        wire = self._spare.pop() if self._spare else await self.connect()
        await self.send(wire, method, path, body, content_type)
        reply = await wire.reply()
        if self.library.keep and reply.header("connection") != "close":
            self._spare.append(wire)
        else:
            wire.close()
        return reply

    async def connect(self) -> Wire:
        self.connections += 1
        return await self._house.connect(self.container)

    async def send(
        self, wire: Wire, method: str, path: str, body: bytes | None, content_type: str | None
    ) -> None:
        """Send a request as the library writes it."""
        head = f"{method} {path} HTTP/1.1\r\n"
        head += self.library.headers.format(host=f"{wire.host}:9001")
        if content_type is not None:
            head += f"Content-Type: {content_type}\r\n"
        if body is not None:
            head += f"Content-Length: {len(body)}\r\n"
        limit = self.library.expect_above
        if body is not None and limit is not None and len(body) > limit:
            await wire.send(f"{head}Expect: 100-continue\r\n\r\n".encode())
            assert (await wire.reply()).status == 100
            await wire.send(body)
        elif self.library.split:
            await wire.send(f"{head}\r\n".encode())
            if body:
                await wire.send(body)
        else:
            await wire.send(f"{head}\r\n".encode() + (body or b""))

    # Strict clients: a reply with any other status is the end of them.

    async def ready(self, body: bytes | None, content_type: str | None = None) -> Reply:
        return ok(await self.call("POST", READY, body, content_type))

    async def next(self) -> Reply:
        return ok(await self.call("GET", NEXT))

    async def respond(self, body: bytes, content_type: str | None = None) -> Reply:
        return ok(await self.call("POST", RESPONSE, body, content_type))

    async def error(self, body: bytes, content_type: str | None = None) -> Reply:
        return ok(await self.call("POST", ERROR, body, content_type))


def ok(reply: Reply) -> Reply:
    assert reply.status == 200
    assert reply.body
    return reply


class Play:
    """Instances that all run the same bootstrap."""

    def __init__(self, house: Stage, bootstrap: Bootstrap, library: Library) -> None:
        self.house = house
        self.processes: list[Process] = []
        self.faults: list[BaseException] = []
        self._bootstrap = bootstrap
        self._library = library
        self._tasks: list[asyncio.Task[None]] = []
        house.heart.engine.on_release = self._start

    async def invoke(self, event: bytes = b"{}", of: Function | None = None) -> Outcome:
        return await self.house.outcome(self.house.invoke(event, of))

    async def timed_out(self, event: bytes = b"{}") -> Outcome:
        """Invoke, and let the Timeout pass once the bootstrap has done what it does."""
        invocation = self.house.invoke(event)
        await self.house.arrived()
        await self.house.heart.time.advance(3.1)
        return await self.house.outcome(invocation)

    def log(self, outcome: Outcome) -> list[str]:
        return self.house.heart.logged(outcome.request_id)

    def _start(self, container: FakeContainer) -> None:
        process = Process(self.house, container, self._library)
        self.processes.append(process)
        self._tasks.append(asyncio.ensure_future(self._run(process)))

    async def _run(self, process: Process) -> None:
        code = 1
        try:
            await self._bootstrap(process)
            code = 0
        except Crash:
            pass
        except (AssertionError, OSError, EOFError, TimeoutError) as fault:
            self.faults.append(fault)
        process.container.end(Exit(code))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.faults:
            raise self.faults[0]


@contextlib.asynccontextmanager
async def play(bootstrap: Bootstrap, library: Library) -> AsyncIterator[Play]:
    """A stage on which every instance runs ``bootstrap``; its complaints come out at the end."""
    async with stage(idle_timeout=1e9) as house:
        running = Play(house, bootstrap, library)
        try:
            yield running
        finally:
            await running.close()
