"""An archive in pieces: whole, or the error that cut it short; and nothing is left running."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from sandbox.engine.docker.packing import AHEAD, PIECE_BYTES, Packing
from tests.support.waiting import DEADLINE_S

if TYPE_CHECKING:
    from typing import BinaryIO

MORE = PIECE_BYTES * (AHEAD + 5) + 17


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES, MORE])
def test_what_is_written_is_what_is_read(size: int) -> None:
    def write(out: BinaryIO) -> None:
        out.write(b"x" * size)

    with Packing(write) as pieces:
        assert b"".join(pieces) == b"x" * size


def test_it_is_written_before_anybody_reads() -> None:
    written = threading.Event()

    def write(out: BinaryIO) -> None:
        out.write(b"x" * PIECE_BYTES * 2)
        written.set()

    with Packing(write) as pieces:
        assert written.wait(DEADLINE_S)
        assert len(b"".join(pieces)) == PIECE_BYTES * 2


def test_an_error_of_the_writer_is_the_readers() -> None:
    def write(out: BinaryIO) -> None:
        out.write(b"half")
        raise ValueError("damaged")

    with pytest.raises(ValueError, match="damaged"), Packing(write) as pieces:
        list(pieces)


def test_a_reader_that_gives_up_ends_the_writer() -> None:
    def write(out: BinaryIO) -> None:
        while True:
            out.write(b"x" * PIECE_BYTES)

    before = threading.active_count()
    with Packing(write) as pieces:
        assert next(iter(pieces))
    assert threading.active_count() == before


def test_a_reader_that_is_left_behind_is_told() -> None:
    with Packing(lambda out: None) as pieces:
        pass
    with pytest.raises(BrokenPipeError):
        list(pieces)
