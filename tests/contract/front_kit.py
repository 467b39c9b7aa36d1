"""The control port's server on a scripted cloud API, and one connection to it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any, cast

import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from api.cloud.wire.fast_invoke import FastInvokeProtocol, fast_invoke_protocol
from api.guard import Guard
from api.intake import IntakeLimits
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from starlette.requests import Request

    from api.cloud.endpoint import CloudApi
    from api.cloud.wire.request import RawRequest

#: Nobody's addresses.
INSTANCES = IPv4Network("192.0.2.0/24")
#: The most that a body may have here, bytes.
LIMIT = 2 * 1024 * 1024

#: The product's own.
WIDE = IntakeLimits()


class SlowApi:
    """Answers an Invoke with its own body, once that is allowed."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []
        self.tasks: set[asyncio.Task[None]] = set()
        self.headers: list[Mapping[str, str]] = []
        self.allowed: dict[bytes, asyncio.Event] = {}
        #: Answer everything at once.
        self.open = False

    def answer_invoke(self, raw: RawRequest, answer: Callable[[bytes], None]) -> None:
        self.seen.append(bytes(raw.body))
        self.headers.append(raw.headers)
        if self.open:
            answer(b"answer to " + raw.body)
            return
        self.tasks.add(asyncio.create_task(self._answer(raw, answer)))

    async def _answer(self, raw: RawRequest, answer: Callable[[bytes], None]) -> None:
        await self.allowed.setdefault(bytes(raw.body), asyncio.Event()).wait()
        answer(b"answer to " + raw.body)


class Front:
    """The server, and one connection to it."""

    def __init__(self, api: SlowApi, server: uvicorn.Server, port: int) -> None:
        self.api = api
        self.server = server
        self.port = port
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter

    def send(self, *requests: bytes) -> None:
        """All in one piece."""
        self.writer.write(b"".join(requests))

    async def answer(self) -> tuple[int, bytes]:
        """The next answer's status and body."""
        async with asyncio.timeout(10):
            head = await self.reader.readuntil(b"\r\n\r\n")
            fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
            body = await self.reader.readexactly(int(fields[b"content-length"]))
        return int(head.split()[1]), body

    def allow(self, body: bytes) -> None:
        self.api.allowed.setdefault(body, asyncio.Event()).set()

    async def end(self) -> bytes:
        """All that is still answered until the server hangs up."""
        return await asyncio.wait_for(self.reader.read(), 20)

    @property
    def protocols(self) -> list[FastInvokeProtocol]:
        """The server's side of every connection."""
        found = self.server.server_state.connections
        return [protocol for protocol in found if isinstance(protocol, FastInvokeProtocol)]

    @property
    def protocol(self) -> FastInvokeProtocol:
        """The server's side of the one connection that it has."""
        (protocol,) = self.protocols
        return protocol

    async def seen(self, body: bytes) -> None:
        await eventually(lambda: body in self.api.seen)


def invoke(body: bytes, *headers: bytes) -> bytes:
    more = b"".join(header + b"\r\n" for header in headers)
    head = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-TC-Action: Invoke\r\n%b" % more
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunked(body: bytes, *headers: bytes) -> bytes:
    """The same as ``invoke``, its length not known before its end."""
    head = invoke(b"", *headers).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    return head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


ORDINARY = b"GET /ordinary HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@asynccontextmanager
async def front(limits: IntakeLimits = WIDE) -> AsyncIterator[Front]:
    api = SlowApi()

    async def ordinary(_request: Request) -> PlainTextResponse:
        return PlainTextResponse("ordinary")

    async def cloud(request: Request) -> PlainTextResponse:
        await request.body()
        api.headers.append(request.headers)
        return PlainTextResponse("the long way")

    routes = [Route("/ordinary", ordinary), Route("/", cloud, methods=["POST"])]
    app: Any = Guard(Starlette(routes=routes), None)
    config = uvicorn.Config(
        app,
        port=0,
        http=fast_invoke_protocol(
            cast("CloudApi", api), INSTANCES, max_body_bytes=LIMIT, limits=limits
        ),
        lifespan="off",
        log_config=None,
        timeout_graceful_shutdown=5,
    )
    server = uvicorn.Server(config)
    config.load()
    serving = asyncio.ensure_future(server._serve())
    await eventually(lambda: server.started)
    made = Front(api, server, server.servers[0].sockets[0].getsockname()[1])
    made.reader, made.writer = await asyncio.open_connection("127.0.0.1", made.port)
    try:
        yield made
    finally:
        for event in api.allowed.values():
            event.set()
        made.writer.close()
        server.should_exit = True
        await asyncio.wait_for(serving, 10)
