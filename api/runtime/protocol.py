"""The runtime API as an asyncio protocol on httptools (contract sections 1.3 and 10).

Why not the web framework: this is the path of every event and every result, and a framework's
request cycle costs several times what the work itself does. Every accepted call is answered 200
with a short body that ends in a line feed, because the bodies end up in functions' logs.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import httptools

from sandbox import limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.instance.instance import Instance
    from sandbox.instance.rendezvous import Event

READY = b"/runtime/init/ready"
NEXT = b"/runtime/invocation/next"
RESPONSE = b"/runtime/invocation/response"
ERROR = b"/runtime/invocation/error"
METHODS = {READY: b"POST", NEXT: b"GET", RESPONSE: b"POST", ERROR: b"POST"}

#: Headers that say where the body ends.
FRAMING = (b"content-length", b"transfer-encoding")
FRAMING_LENGTHS = tuple(map(len, FRAMING))

#: A Content-Length of more digits is given its place in memory at once: to gather a body of
#: megabytes in pieces and to join them takes five times as long.
SMALL_DIGITS = 5
#: A body of fewer bytes is copied behind its head: one piece is written with less ado than two.
SMALL_BYTES = 4096

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def _reply(status: str, body: bytes) -> tuple[bytes, bytes]:
    """The same answer for a kept and for a closed connection."""
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
    ).encode()
    return head + b"\r\n" + body, head + b"Connection: close\r\n\r\n" + body


OK = _reply("200 OK", b"OK\n")
NOT_FOUND = _reply("404 Not Found", b"no such path in the runtime API\n")
WRONG_METHOD = _reply("405 Method Not Allowed", b"wrong method for this path\n")
FORBIDDEN = _reply("403 Forbidden", b"this address belongs to no instance of yours\n")
BAD_REQUEST = _reply("400 Bad Request", b"not an HTTP request\n")[1]


class RuntimeProtocol(asyncio.Protocol):
    """One connection of one instance.

    An ``asyncio.Protocol``, and what httptools calls for each part of a request: both document
    the methods.

    ``find`` gives the instance for a Host name and the caller's address, or None when the name is
    unknown or used from an address that is not its own. ``caller`` stands for the address of
    whoever connects, where that address tells nothing. ``keep_awake`` is called when something
    comes in.
    """

    __slots__ = (
        "_body",
        "_closing",
        "_expect",
        "_find",
        "_framing",
        "_host",
        "_instance",
        "_instance_host",
        "_keep_awake",
        "_parked",
        "_parser",
        "_peer",
        "_room",
        "_size",
        "_target",
        "_transport",
    )

    def __init__(
        self,
        find: Callable[[str, str], Instance | None],
        caller: str = "",
        keep_awake: Callable[[], None] = lambda: None,
    ) -> None:
        self._find = find
        self._keep_awake = keep_awake
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._peer = caller
        self._target = b""
        self._host = b""
        self._expect = False
        self._framing = b""
        self._body: list[bytes] = []
        self._room: bytearray | None = None
        self._size = 0
        self._instance: Instance | None = None
        self._instance_host = b"\0"
        self._parked: Callable[[Event], None] | None = None
        self._closing = False

    # ------------------------------------------------------------------ asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if not self._peer:
            peer = transport.get_extra_info("peername")
            self._peer = peer[0] if peer else ""

    def data_received(self, data: bytes) -> None:
        self._keep_awake()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._decline(data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError:
            raise  # a fault of ours, not the caller's: the event loop reports it and hangs up
        except httptools.HttpParserError:
            self._transport.write(BAD_REQUEST)
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._parked is not None and self._instance is not None:
            self._instance.unpark(self._parked)
            self._parked = None

    # ------------------------------------------------------------------ httptools

    def on_message_begin(self) -> None:
        self._target = b""
        self._host = b""
        self._expect = False
        self._framing = b""
        self._body = []
        self._room = None
        self._size = 0

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(name) == 4 and name.lower() == b"host":
            self._host = value
        elif len(name) == 6 and name.lower() == b"expect":
            self._expect = value.lower() == b"100-continue"
        elif len(name) in FRAMING_LENGTHS and name.lower() in FRAMING:
            self._framing += b"%b: %b\r\n" % (name, value)
            if len(value) > SMALL_DIGITS and value.isdigit():
                size = int(value)
                self._room = bytearray(size) if size <= limits.RESPONSE_BYTES else None

    def on_headers_complete(self) -> None:
        if self._expect:
            self._transport.write(CONTINUE)

    def on_body(self, body: bytes) -> None:
        at, self._size = self._size, self._size + len(body)
        if self._room is not None:
            self._room[at : self._size] = body
        elif self._size <= limits.RESPONSE_BYTES:
            self._body.append(body)
        else:
            self._body.clear()

    def on_message_complete(self) -> None:
        if self._parser.should_upgrade():
            return  # it comes again, see _decline
        path = self._target.partition(b"?")[0]
        method = METHODS.get(path)
        if method is None:
            self._answer(NOT_FOUND)
            return
        if self._parser.get_method() != method:
            self._answer(WRONG_METHOD)
            return
        instance = self._instance
        if instance is None or self._host != self._instance_host:
            host = self._host.decode("latin-1").rpartition(":")
            instance = self._find(host[0] or host[2], self._peer)
            if instance is None:
                self._answer(FORBIDDEN)
                return
            self._instance = instance
            self._instance_host = self._host
        if path is NEXT or path == NEXT:
            self._closing = not self._parser.should_keep_alive()
            self._parked = self._deliver
            instance.poll(self._parked)
            return
        # Answered before the result goes on its way: the runtime may poll while it does.
        self._answer(OK)
        if path == READY:
            instance.ready()
        elif self._size > limits.RESPONSE_BYTES:
            instance.push_too_large()
        else:
            instance.push(self._whole_body(), error=path == ERROR)

    # ------------------------------------------------------------------ inside

    def _whole_body(self) -> bytes | bytearray:
        if self._room is not None:
            return self._room
        return self._body[0] if len(self._body) == 1 else b"".join(self._body)

    def _deliver(self, event: Event) -> None:
        self._parked = None
        head = (
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            f"Request_Id: {event.request_id}\r\n"
            f"Memory_Limit_In_Mb: {event.memory_limit_mb}\r\n"
            f"Time_Limit_In_Ms: {event.time_limit_ms}\r\n"
            f"Content-Length: {len(event.body)}\r\n"
            f"{'Connection: close' + chr(13) + chr(10) if self._closing else ''}\r\n"
        ).encode()
        if len(event.body) < SMALL_BYTES:
            self._transport.write(head + event.body)
        else:
            self._transport.writelines((head, event.body))
        if self._closing:
            self._transport.close()

    def _decline(self, rest: bytes) -> None:
        """Take a request again without its offer of another protocol.

        Java's HTTP client offers HTTP/2 with every request. The parser stops at an offer and
        would take the body for the other protocol's.
        """
        method, version = self._parser.get_method(), self._parser.get_http_version().encode()
        if method == b"CONNECT":
            self._transport.write(WRONG_METHOD[1])
            self._transport.close()
            return
        head = (method, self._target, version, self._host, self._framing)
        self._parser = httptools.HttpRequestParser(self)
        self.data_received(b"%b %b HTTP/%b\r\nHost: %b\r\n%b\r\n%b" % (*head, rest))

    def _answer(self, reply: tuple[bytes, bytes]) -> None:
        if self._parser.should_keep_alive():
            self._transport.write(reply[0])
        else:
            self._transport.write(reply[1])
            self._transport.close()
