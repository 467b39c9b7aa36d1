"""Protocols that come in pieces: the pieces must not matter."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from api.runtime import protocol
from api.runtime.callers import Callers
from api.runtime.head import Heads
from api.runtime.protocol import RuntimeProtocol, Shared
from sandbox.engine.init_protocol import InitConnection, InitProtocolError
from sandbox.errors import IllegalTransitionError
from sandbox.instance.rendezvous import Event

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fuzz.targets import Take

HOST = "a" * 32 + ".scf"
#: Most inputs begin so, or nothing would come past the door.
BEGINNINGS = (
    b"",
    b"GET /runtime/invocation/next HTTP/1.1\r\nHost: %b\r\n" % HOST.encode(),
    b"POST /runtime/invocation/response HTTP/1.1\r\nHost: %b\r\n" % HOST.encode(),
    b"POST /runtime/invocation/error HTTP/1.1\nHost:%b\nTransfer-Encoding: chunked\n\n"
    % HOST.encode(),
)


class Instance:
    """Answers each poll with an event at once, and notes what is done to it."""

    def __init__(self) -> None:
        self.container = None
        self.seen: list[object] = []

    def poll(self, poller: Callable[[Event], None]) -> None:
        self.seen.append("poll")
        poller(Event("id", 128, 3000, b"{}"))

    def unpark(self, poller: Callable[[Event], None]) -> None:
        self.seen.append("unpark")

    def push(self, body: bytes | bytearray, *, error: bool = False) -> None:
        self.seen.append((bytes(body), error))

    def push_too_large(self) -> None:
        self.seen.append("too large")

    def ready(self) -> None:
        self.seen.append("ready")


class Pool:
    """One instance, known by its address."""

    def __init__(self) -> None:
        self.instance = Instance()
        self.by_host: dict[str, Any] = {}
        self.by_peer: dict[str, Any] = {"10.0.0.1": self.instance}


class Transport:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.closed = False

    def get_extra_info(self, name: str) -> Any:
        return ("10.0.0.1", 1) if name == "peername" else self

    def setsockopt(self, *_: object) -> None: ...

    def write(self, data: bytes) -> None:
        self.written += data

    def writelines(self, parts: tuple[bytes, ...]) -> None:
        self.written += b"".join(parts)

    def write_eof(self) -> None:
        self.closed = True

    def close(self) -> None:
        self.closed = True

    abort = close

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class NoDeadline:
    """Time stands still."""

    def __init__(self, loop: object) -> None: ...

    def set(self, seconds: float, action: object) -> None: ...

    def lift(self) -> None: ...

    def close(self) -> None: ...


def runtime() -> Take:
    """The answers, and what is done to the instance, by the pieces in which a request comes."""
    vars(protocol)["Deadline"] = NoDeadline
    vars(asyncio)["get_running_loop"] = object

    def feed(pieces: list[bytes]) -> tuple[bytes, list[object]]:
        pool, transport = Pool(), Transport()
        shared = Shared(Heads(), Callers(cast("Any", pool)), lambda: None, {})
        connection = RuntimeProtocol(shared)
        connection.connection_made(cast("Any", transport))
        for piece in pieces:
            if transport.closed:
                break
            connection.data_received(piece)
        connection.connection_lost(None)
        assert shared.callers.accounts == {}
        assert shared.callers.nameless == {}
        return bytes(transport.written), pool.instance.seen

    def take(data: bytes) -> None:
        if len(data) < 3:
            return
        text = BEGINNINGS[data[0] % len(BEGINNINGS)] + data[3:]
        whole = feed([text])
        step = data[1] % 64 + 1
        assert feed(pieces_of(text, step)) == whole
        assert feed([text[: data[2]], text[data[2] :]] if text[data[2] :] else [text]) == whole

    return take


def frames() -> Take:
    """The messages, by the pieces in which they come."""

    def feed(pieces: list[bytes]) -> list[str]:
        connection = InitConnection()
        connection.go()
        for _ in range(3):
            connection.flush()
        told: list[str] = []
        try:
            for piece in pieces:
                told += map(repr, connection.receive(piece))
        except (InitProtocolError, IllegalTransitionError) as error:
            told.append(type(error).__name__)
        return told

    def take(data: bytes) -> None:
        if len(data) < 2:
            return
        whole = feed([data[1:]])
        if whole[-1:] in (["InitProtocolError"], ["IllegalTransitionError"]):
            return  # what came before it in one piece is not told
        assert feed(pieces_of(data[1:], data[0] % 16 + 1)) == whole

    return take


def pieces_of(data: bytes, step: int) -> list[bytes]:
    return [data[at : at + step] for at in range(0, len(data), step)]
