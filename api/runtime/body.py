"""Gathers the body of a request as it arrives. An announced length takes no memory. No I/O.

At most ``limits.RESPONSE_BYTES`` are kept. Bytes over them are counted and dropped. The platform
answers an oversized result with 200 and fails the invocation with 407 (contract 1.4). A runtime
that is cut off while it sends would report a fault of the network.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Protocol

from api.runtime.head import bad_request
from sandbox import limits
from sandbox.limits import KIB

#: The most bytes of a line of a chunked body, and of all its trailers.
LINE_BYTES = 4 * KIB
TRAILER_BYTES = 64 * KIB

SIZE_LINE = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n")
EMPTY_LINES = (b"\r\n", b"\n")


class _Part(Enum):
    """The next part of a chunked body."""

    SIZE = "a chunk's size"
    DATA = "a chunk's bytes"
    DATA_END = "the end of its line"
    TRAILERS = "trailers, or the empty line that ends the body"


class Body(Protocol):
    """The interface of ``Counted`` and ``Chunked``. ``size`` counts all bytes, kept or not."""

    size: int
    kept: bytearray
    done: bool

    def feed(self, data: bytes) -> bytes:
        """Take bytes that came. Returns those of the next request."""
        ...


class _Gathering:
    """Keeps bytes up to the limit. With ``keep`` False it only counts them."""

    __slots__ = ("_limit", "done", "kept", "size")

    def __init__(self, *, keep: bool) -> None:
        self.size = 0
        self.done = False
        self.kept = bytearray()
        self._limit = limits.RESPONSE_BYTES if keep else 0

    def _add(self, data: bytes) -> None:
        self.size += len(data)
        if self.size <= self._limit:
            self.kept += data
        elif self.kept:
            self.kept = bytearray()


class Counted(_Gathering):
    """A body with a Content-Length."""

    __slots__ = ("_left",)

    def __init__(self, length: int, *, keep: bool) -> None:
        super().__init__(keep=keep)
        self._left = length
        self.done = not length

    def feed(self, data: bytes) -> bytes:
        """See ``Body``."""
        mine, rest = (data, b"") if len(data) <= self._left else _cut(data, self._left)
        self._add(mine)
        self._left -= len(mine)
        self.done = not self._left
        return rest


class Chunked(_Gathering):
    """A body with ``Transfer-Encoding: chunked``. Trailers are ignored."""

    __slots__ = ("_left", "_line", "_part", "_trailers")

    def __init__(self, *, keep: bool) -> None:
        super().__init__(keep=keep)
        self._part = _Part.SIZE
        self._left = 0  # missing bytes of the present chunk
        self._line = b""  # the begin of a line that has not ended
        self._trailers = 0  # bytes of them so far

    def feed(self, data: bytes) -> bytes:
        """See ``Body``. ``Refused`` when it cannot be understood."""
        if self._line:
            data, self._line = self._line + data, b""
        at, end = 0, len(data)
        while at < end and not self.done:
            if self._part is _Part.SIZE:
                whole = self._take_whole(data, at)
                if whole:
                    at = whole
                    continue
            if self._part is _Part.DATA:
                piece = data[at : at + self._left]
                self._add(piece)
                at += len(piece)
                self._left -= len(piece)
                if not self._left:
                    self._part = _Part.DATA_END
                continue
            after = data.find(b"\n", at) + 1
            if (after or end) - at > LINE_BYTES:
                raise bad_request("a line of a chunked body is too long")
            if not after:
                self._line = data[at:]
                return b""
            self._take_line(data[at:after])
            at = after
        return data[at:] if self.done else b""

    def _take_whole(self, data: bytes, at: int) -> int:
        """Where a chunk ends, if all of it has come. 0 if not. Most chunks come whole."""
        match = SIZE_LINE.match(data, at)
        if match is None or match.end() - at > LINE_BYTES:
            return 0
        size, start = int(match[1], 16), match.end()
        stop = start + size
        if data[stop : stop + 2] != b"\r\n":
            return 0
        if size:
            self._add(data[start:stop])
        else:
            self.done = True
        return stop + 2

    def _take_line(self, line: bytes) -> None:
        if self._part is _Part.SIZE:
            match = SIZE_LINE.fullmatch(line)
            if match is None:
                raise bad_request("a chunk begins with its size in hexadecimal digits")
            self._left = int(match[1], 16)
            self._part = _Part.DATA if self._left else _Part.TRAILERS
        elif self._part is _Part.DATA_END:
            if line not in EMPTY_LINES:
                raise bad_request("a chunk has as many bytes as its size says")
            self._part = _Part.SIZE
        elif line in EMPTY_LINES:
            self.done = True
        else:
            self._trailers += len(line)
            if self._trailers > TRAILER_BYTES:
                raise bad_request("there are too many trailers")


def _cut(data: bytes, at: int) -> tuple[bytes, bytes]:
    return data[:at], data[at:]
