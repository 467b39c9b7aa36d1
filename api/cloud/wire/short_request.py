"""Keeps an Invoke on the short way: its body, and whether it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from api.cloud.wire.request import Body


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
