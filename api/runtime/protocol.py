"""The runtime API as an asyncio protocol (contract sections 1.3 and 10).

It does not use the web framework. Every event and every result comes this way, and a framework's
request cycle takes several times as long as the work. ``head`` and ``body`` know which HTTP is
valid. This module answers the requests and limits the callers.

Requests of a connection are answered in order, one at a time. Requests behind a waiting poll, or
behind an answer that is not read, wait too.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple, cast

from api.runtime.body import Body, Chunked, Counted
from api.runtime.callers import Caller
from api.runtime.head import (
    HEAD_BYTES,
    REMEMBERED_BYTES,
    TOKEN_BYTES,
    Call,
    Head,
    Heads,
    Refused,
    Why,
    end_of_head,
)
from api.runtime.replies import (
    ANSWERS,
    CONTINUE,
    FORBIDDEN,
    IMPATIENT,
    LATE_BODY,
    LATE_HEAD,
    LONG_HEAD,
    NOT_HTTP,
    Reply,
    event_head,
)
from api.runtime.sockets import acknowledge
from sandbox import limits
from sandbox.deadline import Deadline

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from api.runtime.callers import Callers
    from sandbox.instance.rendezvous import Event

#: A body of fewer bytes is copied behind its head: one write is faster than two.
SMALL_BYTES = 4096

#: The most time for a head, from its first byte. A stranger's time begins when it connects.
HEAD_S = 10.0
#: The longest pause of a body. It may pause for ever while its instance works on an event.
BODY_GAP_S = 30.0
#: A refused caller may read the answer for this long, then the connection is closed.
LINGER_S = 2.0


class Upgrade(NamedTuple):
    """Another protocol for one path.

    ``accept`` gets the head and the caller's address. The connection is answered with 101 and then
    belongs to the protocol that it returns. None refuses it with 403.
    """

    name: bytes
    accept: Callable[[Head, str], asyncio.Protocol | None]


class Shared(NamedTuple):
    """Shared by all connections of a server. ``keep_awake`` is called when bytes come in."""

    heads: Heads
    callers: Callers
    keep_awake: Callable[[], None]
    upgrades: Mapping[bytes, Upgrade]


class RuntimeProtocol(asyncio.Protocol):
    """One connection of one instance. asyncio documents the methods it calls.

    ``caller`` replaces the address of the other end if that address says nothing.
    """

    __slots__ = (
        "_body",
        "_caller",
        "_closing",
        "_deadline",
        "_early",
        "_head",
        "_over",
        "_parked",
        "_peer",
        "_pressed",
        "_rest",
        "_shared",
        "_transport",
    )

    def __init__(self, shared: Shared, caller: str = "") -> None:
        self._shared = shared
        self._peer = caller
        self._caller: Caller
        self._transport: asyncio.Transport
        self._deadline = Deadline(asyncio.get_running_loop())
        self._early: bytearray | None = None  # the beginning of a head
        self._head: Head
        self._body: Body | None = None  # the present body
        self._rest = bytearray()  # bytes behind a waiting poll or an unread answer
        self._parked: Callable[[Event], None] | None = None
        self._closing = False
        self._pressed = False
        self._over = False

    # ------------------------------------------------------------------ asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if not self._peer:
            peer = transport.get_extra_info("peername")
            self._peer = peer[0] if peer else ""
        self._caller = Caller(self._shared.callers, self._peer)
        if self._caller.one_too_many:
            self._over = True
            self._transport.abort()
        elif not self._caller.expected:
            # Only an instance may keep an idle connection.
            self._deadline.set(HEAD_S, self._head_is_late)

    def data_received(self, data: bytes) -> None:
        self._shared.keep_awake()
        if self._parked is None and not self._pressed:
            self._take(data)
        elif not self._over:
            self._wait_with(data)

    def pause_writing(self) -> None:
        """The caller does not read its answers. Read no requests until it does."""
        self._pressed = True
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._pressed = False
        self._transport.resume_reading()
        self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        self._over = True
        self._forget()
        self._deadline.close()

    # ------------------------------------------------------------------ requests

    def _take(self, data: bytes) -> None:
        """Handle the bytes that came, one request after the other."""
        try:
            while data and not self._over:
                if self._parked is not None or self._pressed:
                    self._rest += data
                    return
                data = self._take_head(data) if self._body is None else self._take_body(data)
        except Refused as refused:
            self._refuse(refused.why)
            return
        if self._body is not None:
            self._deadline.set(BODY_GAP_S, self._body_is_late)
            acknowledge(self._transport)
        elif self._early is not None:
            acknowledge(self._transport)

    def _take_head(self, data: bytes) -> bytes:
        if self._early is not None:
            return self._take_more_of_head(data)
        if len(data) <= REMEMBERED_BYTES:
            head = self._shared.heads.known.get(data)
            if head is not None:
                return self._begin(head, head.length, b"")
        if data[0] in b"\r\n":
            return data.lstrip(b"\r\n")
        if data[0] not in TOKEN_BYTES:
            raise Refused(NOT_HTTP)
        end = end_of_head(data)
        if end < 0:
            if len(data) > HEAD_BYTES:
                raise Refused(LONG_HEAD)
            self._early = bytearray(data)
            self._deadline.set(HEAD_S, self._head_is_late)
            return b""
        if end > HEAD_BYTES:
            raise Refused(LONG_HEAD)
        return self._begin(*self._shared.heads.read(data[:end]), data[end:])

    def _take_more_of_head(self, data: bytes) -> bytes:
        early = self._early
        assert early is not None
        looked_at = max(len(early) - 2, 0)
        early += data
        end = end_of_head(early, looked_at)
        if end > HEAD_BYTES or (end < 0 and len(early) > HEAD_BYTES):
            raise Refused(LONG_HEAD)
        if end < 0:
            return b""
        self._early = None
        self._deadline.lift()
        return self._begin(*self._shared.heads.read(bytes(early[:end])), bytes(early[end:]))

    def _begin(self, head: Head, length: int | None, data: bytes) -> bytes:
        """A head is complete, and ``data`` came behind it. Returns the bytes that are left."""
        if head.call is Call.UNKNOWN and head.path in self._shared.upgrades:
            self._switch(head, data)
            return b""
        if head.host != self._caller.host:
            self._caller.identify(head.host)
            self._deadline.lift()
        if head.expects_continue:
            self._transport.write(CONTINUE)
        if length is not None and length <= len(data):
            self._finish(head, data[:length])
            return data[length:]
        keep = head.call in (Call.RESPONSE, Call.ERROR)
        self._head = head
        self._body = Chunked(keep=keep) if length is None else Counted(length, keep=keep)
        return data

    def _take_body(self, data: bytes) -> bytes:
        body = self._body
        assert body is not None
        before = len(body.kept)
        rest = body.feed(data)
        self._caller.hold(len(body.kept) - before)
        if body.done:
            self._deadline.lift()
            self._drop_body()
            self._finish(self._head, body.kept, body.size)
        return rest

    def _finish(self, head: Head, body: bytes | bytearray, size: int = 0) -> None:
        """A request is complete. ``size`` is the length of its body, kept or not."""
        instance = self._caller.instance
        assert instance is not None
        call = head.call
        if call is Call.NEXT:
            self._closing = not head.keep
            self._parked = self._deliver
            instance.poll(self._parked)
            return
        # Answer before the result is passed on, so that the runtime can poll meanwhile.
        self._answer(ANSWERS[call], keep=head.keep and call is not Call.TUNNEL)
        if call is Call.RESPONSE or call is Call.ERROR:
            if size > limits.RESPONSE_BYTES:
                instance.push_too_large()
            else:
                instance.push(body, error=call is Call.ERROR)
        elif call is Call.READY:
            instance.ready()

    # ------------------------------------------------------------------ answers

    def _deliver(self, event: Event) -> None:
        self._parked = None
        head = event_head(event, last=self._closing)
        if len(event.body) < SMALL_BYTES:
            self._transport.write(head + event.body)
        else:
            self._transport.writelines((head, event.body))
        if self._closing:
            self._close()
        elif self._rest:
            self._go_on()

    def _answer(self, reply: Reply, *, keep: bool) -> None:
        if keep:
            self._transport.write(reply.kept)
        else:
            self._transport.write(reply.last)
            self._close()

    def _close(self) -> None:
        self._over = True
        self._transport.close()

    def _refuse(self, why: Why) -> None:
        """Send the reason, read no more, and give the caller time to read the answer.

        A close with unread bytes is a reset, which can overtake the answer.
        """
        self._over = True
        self._forget()
        self._transport.write(Reply.of(*why).last)
        self._transport.write_eof()
        self._deadline.set(LINGER_S, self._transport.abort)

    def _switch(self, head: Head, data: bytes) -> None:
        """Give the connection to another protocol. ``data`` are its first bytes."""
        upgrade = self._shared.upgrades[head.path]
        accepted = head.fields.get(b"upgrade") == upgrade.name
        successor = upgrade.accept(head, self._peer) if accepted else None
        if successor is None:
            raise Refused(FORBIDDEN)
        self._over = True
        self._forget()
        self._deadline.close()
        self._transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: %b\r\nConnection: Upgrade\r\n\r\n"
            % upgrade.name
        )
        self._transport.set_protocol(successor)
        successor.connection_made(self._transport)
        if data:
            successor.data_received(data)

    # ------------------------------------------------------------------ waiting

    def _drop_body(self) -> None:
        if self._body is not None:
            body, self._body = self._body, None
            self._caller.hold(-len(body.kept))

    def _forget(self) -> None:
        """Drop the bytes, the counts and the timers of the connection."""
        instance = self._caller.instance
        if self._parked is not None and instance is not None:
            instance.unpark(self._parked)
        self._parked = self._early = None
        self._rest.clear()
        self._drop_body()
        self._caller.leave()

    def _wait_with(self, data: bytes) -> None:
        """Keep bytes that came behind a waiting poll or an unread answer."""
        self._rest += data
        if self._parked is not None and len(self._rest) > HEAD_BYTES:
            self._refuse(IMPATIENT)

    def _go_on(self) -> None:
        """Go on with the bytes that have waited."""
        if self._rest and self._parked is None and not self._pressed:
            rest, self._rest = bytes(self._rest), bytearray()
            self._take(rest)

    def _head_is_late(self) -> None:
        self._refuse(LATE_HEAD)

    def _body_is_late(self) -> None:
        """An instance that works on an event has its Timeout as the limit, because a runtime may
        send a result while it makes it."""
        instance = self._caller.instance
        if instance is not None and instance.invocation is not None:
            self._deadline.set(BODY_GAP_S, self._body_is_late)
        else:
            self._refuse(LATE_BODY)
