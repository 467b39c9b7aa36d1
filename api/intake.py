"""How much of a request may come, beside its body, and how long the rest is waited for.

A client pays for memory with bytes that it sends, and no part of a request but its body has a
use for many. No I/O: a protocol says what its parser found, and is told what to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


@dataclass(frozen=True, slots=True)
class IntakeLimits:
    """Limits of one request.

    ``head_bytes`` are for all that is not its body: the request line and headers, and later each
    chunk's line, and the trailers. ``head_s`` is from the head's first byte to its last.
    ``silence_s`` is how long the rest of a body is waited for without a byte.
    """

    head_bytes: int = 64 * 1024
    head_s: float = 10.0
    silence_s: float = 30.0


class Stage(IntEnum):
    """What of a request is expected next; between requests nothing is."""

    BETWEEN = 0
    HEAD = 1
    BODY = 2


class Intake:
    """The request that is coming in on one connection.

    ``began``, ``head_ended``, ``came`` and ``ended`` tell what the parser found in some bytes,
    ``fed`` how many those were. ``fed`` is needed only while ``stage`` is not BETWEEN.
    """

    __slots__ = ("_limits", "_loose", "_moved", "_until", "stage")

    def __init__(self, limits: IntakeLimits) -> None:
        self.stage = Stage.BETWEEN
        self._limits = limits
        #: Bytes of the head or body under way that came after the piece it began in. At 1 it stands
        #: for that first piece, of which this part's share is not known.
        self._loose = 0
        self._moved = False
        self._until = 0.0

    def began(self) -> None:
        """A request's first byte."""
        self.stage = Stage.HEAD
        self._moved = True
        self._loose = 0

    def head_ended(self, piece: int, url: bytes, headers: list[tuple[bytes, bytes]]) -> bool:
        """The end of a head, within so many bytes. False if the head is above the limit."""
        if self._loose or piece > self._limits.head_bytes:
            size = len(url) + sum(len(name) + len(value) for name, value in headers)
            if size > self._limits.head_bytes:
                return False
        self.stage = Stage.BODY
        self._moved = True
        return True

    def came(self) -> None:
        """A piece of the body."""
        self._moved = True

    def ended(self) -> None:
        """A request's last byte."""
        self.stage = Stage.BETWEEN

    def fed(self, piece: int, now: float) -> float | None:
        """So many bytes came, and the request has not ended. How long to wait for more, seconds;
        None if it is above the limit. ``now`` is any clock's."""
        if self._moved:
            self._moved = False
            self._loose = 1
            self._until = now + self._limits.head_s
        else:
            self._loose += piece
            if self._loose > self._limits.head_bytes:
                return None
        if self.stage is Stage.HEAD:
            return max(0.0, self._until - now)
        return self._limits.silence_s
