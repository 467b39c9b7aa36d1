"""The limit: exchanges an event and a result by three HTTP messages, and does nothing else.

``python -m benchmarks.peers.rendezvous CLIENT_PORT RUNTIME_ADDRESS RUNTIME_PORT`` answers a POST on
127.0.0.1:CLIENT_PORT with the result that a bootstrap pushes. It has no record, log, timeout or
check.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from typing import cast

import httptools
import uvloop

EVENT = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    b"Request_Id: 00000000-0000-0000-0000-000000000000\r\nMemory_Limit_In_Mb: 128\r\n"
    b"Time_Limit_In_Ms: 3000\r\nContent-Length: %d\r\n\r\n"
)
RESULT = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nOK\n"


class Connection(asyncio.Protocol):
    """HTTP on one connection: whole messages, as they come."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.transport: asyncio.Transport
        self.parser = httptools.HttpRequestParser(self)
        self.url = b""
        self.body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self.url = url

    def on_message_begin(self) -> None:
        self.body = []

    def on_body(self, body: bytes) -> None:
        self.body.append(body)

    def whole_body(self) -> bytes:
        return self.body[0] if len(self.body) == 1 else b"".join(self.body)


class Client(Connection):
    """The connection of one client."""

    def on_message_complete(self) -> None:
        self.exchange.event(self, self.whole_body())


class Runtime(Connection):
    """The connection of one bootstrap. It works for one client at a time."""

    client: Client

    def on_message_complete(self) -> None:
        if self.url.endswith(b"/next"):
            self.exchange.poll(self)
            return
        self.transport.write(OK)
        if self.url.endswith(b"/response"):
            body, client = self.whole_body(), self.client.transport
            if not client.is_closing():
                client.writelines((RESULT % len(body), body))

    def connection_lost(self, exc: Exception | None) -> None:
        self.exchange.leave(self)

    def take(self, client: Client, body: bytes) -> None:
        self.client = client
        self.transport.writelines((EVENT % len(body), body))


class Exchange:
    """Keeps the events that wait for a bootstrap, and the bootstraps that wait for an event."""

    def __init__(self) -> None:
        self._events: deque[tuple[Client, bytes]] = deque()
        self._idle: list[Runtime] = []

    def event(self, client: Client, body: bytes) -> None:
        if self._idle:
            self._idle.pop().take(client, body)
        else:
            self._events.append((client, body))

    def poll(self, runtime: Runtime) -> None:
        if self._events:
            runtime.take(*self._events.popleft())
        else:
            self._idle.append(runtime)

    def leave(self, runtime: Runtime) -> None:
        if runtime in self._idle:
            self._idle.remove(runtime)


async def serve(client_port: int, address: str, runtime_port: int) -> None:
    loop, exchange = asyncio.get_running_loop(), Exchange()
    await loop.create_server(lambda: Client(exchange), "127.0.0.1", client_port)
    server = await loop.create_server(lambda: Runtime(exchange), address, runtime_port)
    print("serving", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
