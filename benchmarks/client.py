"""Sends requests, one at a time or many at once. The client itself takes as little time as it
can."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True)
class Request:
    """A POST to 127.0.0.1:``port``."""

    port: int
    path: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """``sent`` and ``answered`` are wall-clock seconds, ``seconds`` the time between them."""

    status: int
    body: bytes
    sent: float
    answered: float
    seconds: float

    def json(self) -> Any:
        return json.loads(self.body)


class Caller:
    """One client on one kept connection. It uses a bare socket, because a library's time would be
    measured too."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def call(self, request: Request) -> Reply:
        message = _message(request)
        sent, began = time.time(), time.perf_counter()
        self._socket.sendall(message)
        head, body = self._receive(b"", lambda data: b"\r\n\r\n" in data).split(b"\r\n\r\n", 1)
        status, length = _understood(head)
        body = self._receive(body, lambda data: len(data) >= length)
        seconds, answered = time.perf_counter() - began, time.time()
        return Reply(status, body, sent, answered, seconds)

    def close(self) -> None:
        self._socket.close()

    def _receive(self, data: bytes, enough: Callable[[bytes], bool]) -> bytes:
        while not enough(data):
            piece = self._socket.recv(1 << 20)
            if not piece:
                raise ConnectionError("the connection was closed before the whole answer came")
            data += piece
        return data


def call(request: Request) -> Reply:
    """One request on a connection of its own."""
    caller = Caller(request.port)
    try:
        return caller.call(request)
    finally:
        caller.close()


def all_at_once(requests: Sequence[Request]) -> list[Reply]:
    """Send every request on its own connection. All are sent together once all are connected."""
    return asyncio.run(_all_at_once(requests))


async def _all_at_once(requests: Sequence[Request]) -> list[Reply]:
    streams = [await asyncio.open_connection("127.0.0.1", r.port) for r in requests]
    pairs = zip(requests, streams, strict=True)
    return await asyncio.gather(*(_exchange(request, *stream) for request, stream in pairs))


async def _exchange(
    request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> Reply:
    message = _message(request)
    sent, began = time.time(), time.perf_counter()
    writer.write(message)
    status, length = _understood(await reader.readuntil(b"\r\n\r\n"))
    body = await reader.readexactly(length)
    seconds, answered = time.perf_counter() - began, time.time()
    writer.close()
    return Reply(status, body, sent, answered, seconds)


def _message(request: Request) -> bytes:
    fields = {
        "Host": f"127.0.0.1:{request.port}",
        "Content-Length": str(len(request.body)),
        **request.headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"POST {request.path} HTTP/1.1\r\n{head}\r\n".encode() + request.body


def _understood(head: bytes) -> tuple[int, int]:
    """Status and length of an answer. All servers measured here name the length."""
    lines = head.decode("latin-1").lower().split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
    return int(lines[0].split()[1]), int(fields["content-length"])
