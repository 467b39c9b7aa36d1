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
import sys
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import structlog
from httptools import HttpParserUpgrade
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.allowed_hosts import AllowedHosts
from api.closed_transport import LateTransport
from api.cloud.wire.offer import head_without_offer
from api.cloud.wire.request import RawRequest, named
from api.cloud.wire.routes import MAX_BODY_BYTES, too_large
from api.cloud.wire.short_request import InvokeBody, RunningInvoke, known_head
from api.intake import Intake, IntakeLimits, Stage
from api.runtime.protocol import SMALL_BYTES
from sandbox.deadline import Deadline

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping

    from api.cloud.endpoint import CloudApi
    from api.cloud.wire.request import Body
    from api.cloud.wire.short_request import KnownHead

log = structlog.get_logger()

ACTIONS = frozenset({b"Invoke", b"InvokeFunction"})

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
#: The answers before a connection is closed.
TOO_LONG = ("431 Request Header Fields Too Large", "the head of a request is above the limit")
TOO_SLOW = ("408 Request Timeout", "the rest of the request did not come")
#: The first byte of a client that begins with TLS.
TLS = 0x16
#: How long incoming bytes are dropped then. A client that is cut off at once sees no answer.
LINGER_S = 2.0

LAST_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n"
)


@dataclass(frozen=True, slots=True)
class _Shared:
    """Shared by all connections of a server, see ``fast_invoke_protocol``."""

    api: CloudApi
    instances: ipaddress.IPv4Network
    keep_awake: Callable[[], None]
    max_body_bytes: int
    hosts: AllowedHosts
    limits: IntakeLimits


class FastInvokeProtocol(HttpToolsProtocol):
    """One connection to the control port. Made by uvicorn: see ``fast_invoke_protocol``."""

    def __init__(self, shared: _Shared, *args: Any, **kwargs: Any) -> None:
        """``args`` and ``kwargs`` are uvicorn's."""
        super().__init__(*args, **kwargs)
        self._shared = shared
        self._keep_awake = shared.keep_awake
        self._hosts = shared.hosts
        self._silence = Deadline(self.loop)
        self._body: InvokeBody | None = None
        self._intake = Intake(shared.limits)
        #: The headers of the newest Invoke, by name. Clients mostly send the same ones again.
        self._invoke_headers: list[tuple[bytes, bytes]] = []
        self._named: dict[str, str] = {}
        #: The piece of data that is being read, and the one in which the present request began.
        self._data = self._began_in = b""
        self._known: KnownHead | None = None
        self._piece = 0
        #: The head of a request that offers another protocol, until it is read anew without.
        self._head_without_offer = b""
        self._too_long = False
        self._refused = False

    # ------------------------------------------------------------------ asyncio

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a connection, unless a function made it."""
        if _is_instance(transport, self._shared.instances):
            transport.abort()
            return
        super().connection_made(transport)
        self._silence.set(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the requests of the connection."""
        if self.transport is not None:
            super().connection_lost(exc)
            self._silence.close()

    def data_received(self, data: bytes) -> None:
        """Feed the parser, which calls what follows below."""
        if self.transport is None or self._refused:
            return
        self._silence.lift()
        known = self._known
        if known and len(data) == known.length and self._is_free and data.startswith(known.head):
            self._unset_keepalive_if_required()
            self._run(data[len(known.head) :], known.named, keep_alive=True)
            return
        self._piece = len(data)
        if data[0] == TLS and not self._intake.stage:
            log.warning(
                "tls_on_plain_port", hint="the sandbox speaks plain HTTP: use http://, not https://"
            )
            self.transport.close()
            return
        self._data = data
        super().data_received(data)
        self._data = self._began_in = b""
        if self._intake.stage and not self._refused:
            self._wait_for_more()

    def send_400_response(self, msg: str) -> None:
        """Refuse a request for which the parser or ``on_headers_complete`` raised an error."""
        if self._too_long:
            self._hang_up(*TOO_LONG)
        else:
            super().send_400_response(msg)

    def on_response_complete(self) -> None:
        """Start the next request. Read no more while others wait."""
        super().on_response_complete()
        if self.pipeline:
            self.flow.pause_reading()

    # ------------------------------------------------------------------ httptools

    def on_message_begin(self) -> None:
        """Forget the last request. A scope is made only if it is needed."""
        self._intake.began()
        self._began_in = self._data
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_headers_complete(self) -> None:
        """Choose the way of the request."""
        if not self._intake.head_ended(self._piece, self.url, self.headers):
            self._too_long = True
            raise ValueError(TOO_LONG)  # stops the parser: see send_400_response
        if not (self._are_of_an_invoke(self.headers) and self._is_plain()):
            self._body = None
            if self._offers_another_protocol():
                return
            self._go_the_ordinary_way()
            return
        self._body = InvokeBody(self._shared.max_body_bytes)
        # The parser adds trailers to the same list. They are ignored.
        self.headers = []
        if self.expect_100_continue:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body."""
        self._intake.came()
        if self._body is None:
            super().on_body(body)
        else:
            self._body.add(body)

    def on_message_complete(self) -> None:
        """Run the Invoke."""
        self._intake.ended()
        if self._head_without_offer:
            return
        body, self._body = self._body, None
        if body is None:
            super().on_message_complete()
            return
        self._known = None
        keep_alive = self.parser.should_keep_alive()
        if body.too_large:
            self.cycle = running = RunningInvoke(keep_alive)  # type: ignore[assignment]
            self._answer(running, too_large(self._shared.max_body_bytes))
            return
        if keep_alive and self._began_in is self._data and not self.expect_100_continue:
            self._known = known_head(self._data, body.whole, self._named)
        self._run(body.whole, self._named, keep_alive=keep_alive)

    # ------------------------------------------------------------------ inside

    def _run(self, body: Body, named: Mapping[str, str], *, keep_alive: bool) -> None:
        self._keep_awake()
        self.cycle = running = RunningInvoke(keep_alive)  # type: ignore[assignment]
        raw = RawRequest("POST", "", named, body)
        self._shared.api.answer_invoke(raw, partial(self._answer, running))

    @property
    def _is_free(self) -> bool:
        """Whether a request that begins now can run at once."""
        return not (
            self._intake.stage or self._is_working or self.pipeline or self.flow.write_paused
        )

    def _are_of_an_invoke(self, headers: list[tuple[bytes, bytes]]) -> bool:
        """Whether they are an Invoke's that nobody else has to look at. Keeps them if so."""
        if headers == self._invoke_headers:
            return bool(headers)
        fields = dict(headers)
        if fields.get(b"x-tc-action") not in ACTIONS:
            return False
        # The guard gets requests that it may refuse, and requests that repeat a header.
        if b"origin" in fields or b"sec-fetch-site" in fields or len(fields) < len(headers):
            return False
        if b"upgrade" in fields:
            return False
        if not self._hosts.allows(fields.get(b"host", b"")):
            return False
        self._invoke_headers, self._named = headers, named(headers)
        return True

    def _is_plain(self) -> bool:
        # The ordinary way waits until its answer can be written.
        if self.flow.write_paused:
            return False
        if self.url != b"/" or self.parser.get_method() != b"POST":
            return False
        return self.cycle is None or self.cycle.response_complete

    def _offers_another_protocol(self) -> bool:
        """Keep the head of a request that does, without the offer."""
        method = self.parser.get_method()
        if not self.parser.should_upgrade() or method == b"CONNECT":
            return False
        version = self.parser.get_http_version()
        self._head_without_offer = head_without_offer(method, self.url, version, self.headers)
        return True

    def _unsupported_upgrade_warning(self) -> None:
        """Read a request anew that offered another protocol, and go on with what came behind its
        head. uvicorn calls this when the parser stops there, and would drop the rest."""
        head, self._head_without_offer = self._head_without_offer, b""
        if not head:
            super()._unsupported_upgrade_warning()
            return
        stopped = sys.exception()
        assert isinstance(stopped, HttpParserUpgrade)
        self._data = head + self._data[stopped.args[0] :]
        super().data_received(self._data)

    def _go_the_ordinary_way(self) -> None:
        url, headers, expect = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expect
        self.headers += headers
        super().on_headers_complete()
        self.cycle.transport = cast("asyncio.Transport", LateTransport(self.transport))
        if not self.parser.should_upgrade():
            self.headers = []  # for trailers, which would change the headers of the scope

    @property
    def _is_working(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait_for_more(self) -> None:
        seconds = self._intake.fed(self._piece, self.loop.time())
        if seconds is None:
            self._hang_up(*TOO_LONG)
        else:
            self._silence.set(seconds, self._waited)

    def _waited(self) -> None:
        """No more bytes came: close the connection, unless the client waits for an answer."""
        if self.flow.read_paused or (self._is_working and self._intake.stage is Stage.HEAD):
            self._silence.set(self._shared.limits.silence_s, self._waited)
        else:
            self._hang_up(*TOO_SLOW)

    def _hang_up(self, status: str, message: str) -> None:
        """Send the reason, unless the client would take it for another request's answer. Read no
        more."""
        self._refused = True
        if not self._is_next_to_be_answered():
            self.transport.close()
            return
        body = f"{message}\n".encode()
        head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nConnection: close\r\n"
        self.transport.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        self.transport.write_eof()
        self._silence.set(LINGER_S, self.transport.close)

    def _is_next_to_be_answered(self) -> bool:
        """Whether the client would take bytes written now for the answer to the incoming
        request."""
        if self._intake.stage is Stage.BODY and self._body is None:
            return not (self.cycle.response_started or self.pipeline)
        return not self._is_working

    def _answer(self, running: RunningInvoke, answer: bytes) -> None:
        self._keep_awake()
        running.response_complete = True
        if self.transport.is_closing() or self._refused:
            return
        self._write(running.keep_alive, answer)
        if self.pipeline or not running.keep_alive:
            self.on_response_complete()
        else:
            self.server_state.total_requests += 1
            if not self._intake.stage:
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
    limits: IntakeLimits | None = None,
) -> type[HttpToolsProtocol]:
    """The value of uvicorn's ``http`` setting. uvicorn calls it once for every connection.

    ``instances`` is the address range of instances. Connections from it, or to an address in it,
    are closed: a function may use the runtime API but not the control API. ``keep_awake`` is called
    for every Invoke and for its answer. ``hosts`` are the names that the sandbox may be called by.
    ``limits`` hold for every request, whichever way it goes.
    """
    shared = _Shared(
        api,
        instances,
        keep_awake,
        max_body_bytes,
        hosts or AllowedHosts(),
        limits or IntakeLimits(),
    )
    return cast("type[HttpToolsProtocol]", partial(FastInvokeProtocol, shared))


def _is_instance(transport: asyncio.Transport, instances: ipaddress.IPv4Network) -> bool:
    for name in ("sockname", "peername"):
        address: Any = transport.get_extra_info(name)
        if address and ":" not in address[0] and ipaddress.IPv4Address(address[0]) in instances:
            return True
    return False
