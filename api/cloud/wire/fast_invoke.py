"""The short way of an Invoke through the web server.

uvicorn gives every request a task, a scope, an event and a walk through the application; an
Invoke needs none of that. This protocol is uvicorn's own, except that a ``POST /`` whose
``X-TC-Action`` header says Invoke or InvokeFunction goes straight to the cloud API. Everything
else, also an Invoke in another dress (a form, a query) or from a browser's page (which the guard
has to look at), takes the ordinary way and is answered the same.
"""

from __future__ import annotations

import ipaddress
from functools import partial
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

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


def fast_invoke_protocol(
    api: CloudApi,
    instances: ipaddress.IPv4Network,
    keep_awake: Callable[[], None] = lambda: None,
    max_body_bytes: int = MAX_BODY_BYTES,
) -> type[HttpToolsProtocol]:
    """The protocol class for uvicorn. ``keep_awake`` is called for every Invoke and its answer.

    Connections that come from, or arrive on, the instances' own address range are closed: a
    function may reach the runtime API, not the control API.
    """

    class FastInvokeProtocol(HttpToolsProtocol):
        _invoke_body: list[bytes] | None = None
        _invoke_room: bytearray | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            if _is_instance(transport, instances):
                transport.abort()
                return
            super().connection_made(transport)
            self._silence = Deadline(self.loop)

        def connection_lost(self, exc: Exception | None) -> None:
            if self.transport is not None:
                super().connection_lost(exc)
                self._silence.close()

        def on_message_begin(self) -> None:
            # A scope is made where one is needed: see on_headers_complete.
            self.url = b""
            self.expect_100_continue = False
            self.headers = []

        def data_received(self, data: bytes) -> None:
            if self.transport is not None:
                self._silence.lift()
                super().data_received(data)

        def on_headers_complete(self) -> None:
            self._invoke_body = None
            fields = dict(self.headers)
            if self._is_plain_invoke(fields):
                self._invoke_body = []
                self._invoke_size = 0
                self._invoke_room = None
                length = fields.get(b"content-length", b"")
                if len(length) > SMALL_DIGITS and length.isdigit():
                    size = int(length)
                    self._invoke_room = bytearray(size) if size <= max_body_bytes else None
                if self.expect_100_continue:
                    self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            else:
                url, headers, expect = self.url, self.headers, self.expect_100_continue
                super().on_message_begin()
                self.url, self.expect_100_continue = url, expect
                self.headers += headers
                super().on_headers_complete()

        def on_body(self, body: bytes) -> None:
            if self._invoke_body is None:
                super().on_body(body)
                return
            at, self._invoke_size = self._invoke_size, self._invoke_size + len(body)
            if self._invoke_room is not None:
                self._invoke_room[at : self._invoke_size] = body
            elif self._invoke_size <= max_body_bytes:
                self._invoke_body.append(body)
            else:
                # Read and dropped: a client that is cut off while it sends never sees our answer.
                self._invoke_body.clear()

        def on_message_complete(self) -> None:
            if self._invoke_body is None:
                super().on_message_complete()
                return
            body = self._invoke_room or b"".join(self._invoke_body)
            self._invoke_body = self._invoke_room = None
            keep_awake()
            running = _Running(self.parser.should_keep_alive())
            self.cycle = running  # type: ignore[assignment]
            if self._invoke_size > max_body_bytes:
                self._answer(running, too_large(max_body_bytes))
                return
            raw = RawRequest.build("POST", b"", self.headers, body)
            api.answer_invoke(raw, partial(self._answer, running))

        def _is_plain_invoke(self, fields: dict[bytes, bytes]) -> bool:
            if fields.get(b"x-tc-action") not in ACTIONS or b"origin" in fields:
                return False
            if self.url != b"/" or self.parser.get_method() != b"POST":
                return False
            return self.cycle is None or self.cycle.response_complete

        def _answer(self, running: _Running, answer: bytes) -> None:
            keep_awake()
            running.response_complete = True
            transport = self.transport
            if transport.is_closing():
                return
            head = HEAD if running.keep_alive else LAST_HEAD
            head %= len(answer)
            if len(answer) < SMALL_BYTES:
                transport.write(head + answer)
            else:
                transport.writelines((head, answer))
            if not running.keep_alive:
                transport.close()
            if self.pipeline or not running.keep_alive:
                self.on_response_complete()
            else:
                self.server_state.total_requests += 1
                self._silence.set(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    return FastInvokeProtocol


def _is_instance(transport: asyncio.Transport, instances: ipaddress.IPv4Network) -> bool:
    for name in ("sockname", "peername"):
        address: Any = transport.get_extra_info(name)
        if address and ":" not in address[0] and ipaddress.IPv4Address(address[0]) in instances:
            return True
    return False
