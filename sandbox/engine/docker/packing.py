"""An archive that is read while it is being written, in memory and with bounds."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from queue import Empty, Queue
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

PIECE_BYTES = 1024 * 1024
#: So many pieces are made ahead of whoever takes them.
AHEAD = 16


class Packing:
    """What ``write`` writes, in pieces, from a thread that begins at once.

    Use as a context. At its end the thread has stopped. The block's error is raised, or, if it has
    none, that of ``write``.
    """

    def __init__(self, write: Callable[[BinaryIO], None]) -> None:
        self._write = write
        self._queue: Queue[bytes] = Queue(AHEAD)
        self._given_up = False
        self._thread = ThreadPoolExecutor(1)
        self._packed = self._thread.submit(self._pack)

    def __enter__(self) -> Packing:
        return self

    def __exit__(self, kind: object, error: object, stack: object) -> None:
        self._given_up = True
        while not self._packed.done():
            with suppress(Empty):
                self._queue.get(timeout=0.01)
        self._queue.put(b"")  # for a reader that is left behind: its last piece may have gone
        self._thread.shutdown()
        if error is None:
            self._packed.result()

    def __iter__(self) -> Iterator[bytes]:
        """The pieces. Raises what ``write`` raised: half an archive is not taken for a whole."""
        while piece := self._queue.get():
            yield piece
        self._packed.result()
        if self._given_up:
            raise BrokenPipeError

    def put(self, piece: bytes) -> None:
        """Take a piece from ``write``; waits while too many lie ahead of the reader."""
        if self._given_up:
            raise BrokenPipeError
        self._queue.put(piece)

    def _pack(self) -> None:
        try:
            with suppress(BrokenPipeError), io.BufferedWriter(_Pieces(self), PIECE_BYTES) as out:
                self._write(cast("BinaryIO", out))
        finally:
            self._queue.put(b"")


class _Pieces(io.RawIOBase):
    def __init__(self, packing: Packing) -> None:
        self._packing = packing

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        piece = bytes(data)
        if piece:
            self._packing.put(piece)
        return len(piece)
