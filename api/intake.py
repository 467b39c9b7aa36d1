"""Limits how long a request's head may be, and how long a server waits for the rest.

A request takes memory only for bytes that came, and only its body may have many. No I/O: a protocol
reports what its parser found, and gets an order.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


@dataclass(frozen=True, slots=True)
class IntakeLimits:
    """Limits of one request.

    ``head_bytes`` bounds the request line and headers, each chunk's line, and the trailers.
    ``head_s`` is the time from the head's first byte to its last. ``silence_s`` is the longest time
    without a byte of the body.
    """

    head_bytes: int = 64 * 1024
    head_s: float = 10.0
    silence_s: float = 30.0


class Stage(IntEnum):
    """The part of a request that comes next. Between requests there is none."""

    BETWEEN = 0
    HEAD = 1
    BODY = 2


class Intake:
    """The request that is coming in on one connection.

    The parser reports by ``began``, ``head_ended``, ``came`` and ``ended`` what it found in some
    bytes, and by ``fed`` their number. ``fed`` is needed only while ``stage`` is not BETWEEN.
    """

    __slots__ = ("_limits", "_loose", "_moved", "_until", "stage")

    def __init__(self, limits: IntakeLimits) -> None:
        self.stage = Stage.BETWEEN
        self._limits = limits
        #: Bytes of the present head or body that came after its first piece. 1 stands for the first
        #: piece, because the share of this part in it is not known.
        self._loose = 0
        self._moved = False
        self._until = 0.0

    def began(self) -> None:
        """A request's first byte."""
        self.stage = Stage.HEAD
        self._moved = True
        self._loose = 0

    def head_ended(self, piece: int, url: bytes, headers: list[tuple[bytes, bytes]]) -> bool:
        """The head has ended, in a piece of ``piece`` bytes. False if it is above the limit."""
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
        """``piece`` bytes came, and the request has not ended. Returns how long to wait for more,
        in seconds, or None if the request is above the limit. ``now`` is any clock's."""
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
