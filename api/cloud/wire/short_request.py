"""Keeps an Invoke on the short way: its head, its body, and whether it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from api.cloud.wire.request import Body


#: A longer head is not remembered.
KNOWN_BYTES = 2048
END_OF_HEAD = b"\r\n\r\n"


class KnownHead(NamedTuple):
    """The head of an Invoke that was read and let in. ``length`` is the whole request's.

    A client that invokes again mostly sends the same bytes in front of the event. Bytes that are
    the same mean the same, so nobody has to read them again.
    """

    head: bytes
    length: int
    named: Mapping[str, str]


def known_head(data: bytes, body: Body, named: Mapping[str, str]) -> KnownHead | None:
    """``data`` came in one piece, began a request and brought its last byte, with this body. None
    if anything else is in it too, as a request behind it, or how long its chunks are."""
    at = len(data) - len(body)
    if not 0 < at <= KNOWN_BYTES or data.find(END_OF_HEAD) + len(END_OF_HEAD) != at:
        return None
    return KnownHead(data[:at], len(data), named)


class RunningInvoke:
    """Stands for an Invoke on the short way where uvicorn asks about its present request.

    While it exists, uvicorn queues the requests behind it. uvicorn clears ``keep_alive`` when it
    stops.
    """

    __slots__ = ("disconnected", "keep_alive", "response_complete")

    def __init__(self, keep_alive: bool) -> None:
        self.keep_alive = keep_alive
        self.response_complete = False
        self.disconnected = False

    @property
    def message_event(self) -> RunningInvoke:
        """uvicorn sets it when more of the body came, or the connection ended."""
        return self

    def set(self) -> None:
        """Do nothing: nobody waits for more of the body."""


class InvokeBody:
    """The body of an Invoke as it arrives. It takes memory only for bytes that came.

    Bytes over the limit are counted and dropped. A client that is cut off while it sends never sees
    our answer.
    """

    __slots__ = ("_limit", "size", "whole")

    def __init__(self, limit: int) -> None:
        """``limit`` is in bytes. ``size`` counts all bytes, ``whole`` has those that were kept."""
        self.size = 0
        self.whole: Body = b""
        self._limit = limit

    @property
    def too_large(self) -> bool:
        """Whether more came than the limit allows."""
        return self.size > self._limit

    def add(self, piece: bytes) -> None:
        """One more piece has arrived."""
        first, self.size = not self.size, self.size + len(piece)
        if self.size > self._limit:
            self.whole = b""
        elif first:
            self.whole = piece
        else:
            # A growing one costs no more than one of the announced length.
            if isinstance(self.whole, bytes):
                self.whole = bytearray(self.whole)
            self.whole += piece
