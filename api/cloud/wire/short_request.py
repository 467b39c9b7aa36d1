"""What a connection keeps of an Invoke on the short way: its body, and that it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from api.cloud.wire.request import Body


class RunningInvoke:
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
    def message_event(self) -> RunningInvoke:
        """Where uvicorn says that more of the body came, or the end of the connection."""
        return self

    def set(self) -> None:
        """Nobody waits for more of its body."""


class InvokeBody:
    """The body of one Invoke as it arrives: it takes the memory of what has come.

    What is over the limit is counted and dropped: a client that is cut off while it sends never
    sees our answer.
    """

    __slots__ = ("_limit", "size", "whole")

    def __init__(self, limit: int) -> None:
        """``limit`` is in bytes. ``size`` counts all that came, ``whole`` is what was kept."""
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
            # One that grows costs no more than one of the announced length would.
            if isinstance(self.whole, bytes):
                self.whole = bytearray(self.whole)
            self.whole += piece
