"""The short way of an Invoke through the web server.

uvicorn gives every request a task, a scope, an event and a walk through the application; an
Invoke needs none of that. This protocol is uvicorn's own, except that a ``POST /`` whose
``X-TC-Action`` header says Invoke or InvokeFunction goes straight to the cloud API. Everything
else takes the ordinary way and is answered the same, including an Invoke sent as a form or a
query, and one from a browser's page, which the guard has to look at.

The class uses attributes of uvicorn's that uvicorn does not document. pyproject.toml pins its
minor version, and tests/contract/test_uvicorn_attributes.py names the attribute that is gone.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.allowed_hosts import AllowedHosts
from api.cloud.wire.request import RawRequest
from api.cloud.wire.routes import MAX_BODY_BYTES, too_large
from api.runtime.protocol import SMALL_BYTES, SMALL_DIGITS
from sandbox.deadline import Deadline

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from api.cloud.endpoint import CloudApi

ACTIONS = frozenset({b"Invoke", b"InvokeFunction"})

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
LAST_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n"
)


@dataclass(frozen=True, slots=True)
class _Shared:
    """What every connection of one server shares: see ``fast_invoke_protocol``."""

    api: CloudApi
    instances: ipaddress.IPv4Network
    keep_awake: Callable[[], None]
    max_body_bytes: int
    hosts: AllowedHosts


class _Running:
    """What uvicorn asks of the request at work, for one that took the short way.

    While there is one, what follows on the connection is queued up behind it; ``keep_alive`` is
    taken back when the server stops.
    """

    __slots__ = ("disconnected", "keep_alive", "response_complete")

    def __init__(self, keep_alive: bool) -> None:
        self.keep_alive = keep_alive
        self.response_complete = False
        self.disconnected = False

    @property
    def message_event(self) -> _Running:
        return self

    def set(self) -> None:
        """Nobody waits for more of its body."""


class _Body:
    """The body of one Invoke as it arrives.

    What is over the limit is counted and dropped: a client that is cut off while it sends never
    sees our answer.
    """

    __slots__ = ("_limit", "_pieces", "_room", "size")

    def __init__(self, announced: bytes, limit: int) -> None:
        """``announced`` is the Content-Length as it was sent, if it was."""
        self.size = 0
        self._limit = limit
        self._pieces: list[bytes] = []
        self._room: bytearray | None = None
        if len(announced) > SMALL_DIGITS and announced.isdigit():
            size = int(announced)
            self._room = bytearray(size) if size <= limit else None

    @property
    def too_large(self) -> bool:
        return self.size > self._limit

    def add(self, piece: bytes) -> None:
        at, self.size = self.size, self.size + len(piece)
        if self._room is not None:
            self._room[at : self.size] = piece
        elif self.size <= self._limit:
            self._pieces.append(piece)
        else:
            self._pieces.clear()

    def whole(self) -> bytes | bytearray:
        return self._room or b"".join(self._pieces)


class FastInvokeProtocol(HttpToolsProtocol):
    """One connection to the control port. Made by uvicorn: see ``fast_invoke_protocol``."""

    def __init__(self, shared: _Shared, *args: Any, **kwargs: Any) -> None:
        """``args`` and ``kwargs`` are uvicorn's."""
        super().__init__(*args, **kwargs)
        self._shared = shared
        self._keep_awake = shared.keep_awake
        self._hosts = shared.hosts
        self._silence = Deadline(self.loop)
        self._body: _Body | None = None

    # ------------------------------------------------------------------ asyncio

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, unless a function made it."""
        if _is_instance(transport, self._shared.instances):
            transport.abort()
            return
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what was under way."""
        if self.transport is not None:
            super().connection_lost(exc)
            self._silence.close()

    def data_received(self, data: bytes) -> None:
        """Feed the parser, which calls what follows below."""
        if self.transport is not None:
            self._silence.lift()
            super().data_received(data)

    # ------------------------------------------------------------------ httptools

    def on_message_begin(self) -> None:
        """Forget the last request. A scope is made where one is needed."""
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_headers_complete(self) -> None:
        """Decide which way the request goes."""
        fields = dict(self.headers)
        if not self._is_plain_invoke(fields):
            self._body = None
            self._go_the_ordinary_way()
            return
        self._body = _Body(fields.get(b"content-length", b""), self._shared.max_body_bytes)
        if self.expect_100_continue:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body."""
        if self._body is None:
            super().on_body(body)
        else:
            self._body.add(body)

    def on_message_complete(self) -> None:
        """Run the Invoke."""
        body, self._body = self._body, None
        if body is None:
            super().on_message_complete()
            return
        self._keep_awake()
        running = _Running(self.parser.should_keep_alive())
        self.cycle = running  # type: ignore[assignment]
        if body.too_large:
            self._answer(running, too_large(self._shared.max_body_bytes))
            return
        raw = RawRequest.build("POST", b"", self.headers, body.whole())
        self._shared.api.answer_invoke(raw, partial(self._answer, running))

    # ------------------------------------------------------------------ inside

    def _is_plain_invoke(self, fields: dict[bytes, bytes]) -> bool:
        if fields.get(b"x-tc-action") not in ACTIONS:
            return False
        # What the guard may refuse is left to it, and so is whatever says something twice.
        if b"origin" in fields or b"sec-fetch-site" in fields or len(fields) < len(self.headers):
            return False
        if not self._hosts.allows(fields.get(b"host", b"")):
            return False
        if self.url != b"/" or self.parser.get_method() != b"POST":
            return False
        return self.cycle is None or self.cycle.response_complete

    def _go_the_ordinary_way(self) -> None:
        url, headers, expect = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expect
        self.headers += headers
        super().on_headers_complete()

    def _answer(self, running: _Running, answer: bytes) -> None:
        self._keep_awake()
        running.response_complete = True
        if self.transport.is_closing():
            return
        self._write(running.keep_alive, answer)
        if self.pipeline or not running.keep_alive:
            self.on_response_complete()
        else:
            self.server_state.total_requests += 1
            self._silence.set(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def _write(self, keep_alive: bool, answer: bytes) -> None:
        head = (HEAD if keep_alive else LAST_HEAD) % len(answer)
        if len(answer) < SMALL_BYTES:
            self.transport.write(head + answer)
        else:
            self.transport.writelines((head, answer))
        if not keep_alive:
            self.transport.close()


def fast_invoke_protocol(
    api: CloudApi,
    instances: ipaddress.IPv4Network,
    keep_awake: Callable[[], None] = lambda: None,
    max_body_bytes: int = MAX_BODY_BYTES,
    hosts: AllowedHosts | None = None,
) -> type[HttpToolsProtocol]:
    """What uvicorn's ``http`` setting takes: it is called once for every connection.

    ``instances`` is the instances' address range: connections that come from there, or arrive on
    it, are closed, because a function may reach the runtime API and not the control API.
    ``keep_awake`` is called for every Invoke and for its answer. ``hosts`` are the names that the
    sandbox may be called by.
    """
    shared = _Shared(api, instances, keep_awake, max_body_bytes, hosts or AllowedHosts())
    return cast("type[HttpToolsProtocol]", partial(FastInvokeProtocol, shared))


def _is_instance(transport: asyncio.Transport, instances: ipaddress.IPv4Network) -> bool:
    for name in ("sockname", "peername"):
        address: Any = transport.get_extra_info(name)
        if address and ":" not in address[0] and ipaddress.IPv4Address(address[0]) in instances:
            return True
    return False
