"""Output cut into lines, given to requests, kept within the platform's limits."""

from __future__ import annotations

import pytest

from sandbox.instance.logs import LogBook
from sandbox.invocation import Tail
from sandbox.records.record import LogChunk
from tests.support.clock import FakeClock

LIMIT_NOTE = "[PLATFORM] log limit of 1 MB or 5000 lines per 5 s reached"


class Book:
    """A log book of an instance called ``i``, open at request ``a``."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.chunks: list[LogChunk] = []
        self.book = LogBook("i", self.clock, self.chunks.append)
        self.book.begin("a")

    def lines(self, request_id: str = "a") -> list[str]:
        chunks = [chunk for chunk in self.chunks if chunk.request_id == request_id]
        return [text for chunk in chunks for _, text in chunk.lines]


@pytest.fixture
def log() -> Book:
    return Book()


# ---------------------------------------------------------------- lines


def test_lines_of_one_piece_of_output_are_one_chunk(log: Book) -> None:
    log.book.feed(b"one\ntwo\n")
    at = log.clock.now()
    assert log.chunks == [LogChunk("a", "i", 0, [(at, "one"), (at, "two")])]


def test_chunks_are_numbered_in_order(log: Book) -> None:
    log.book.feed(b"one\n")
    log.book.feed(b"two\n")
    log.book.note_for("b", "apart")
    log.book.note("three")
    assert [(c.request_id, c.seq) for c in log.chunks] == [("a", 0), ("a", 1), ("b", 2), ("a", 3)]


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_output_may_be_cut_anywhere(log: Book, size: int) -> None:
    data = "erste Zeile\r\nzwéite\n\nlast\n".encode()
    for start in range(0, len(data), size):
        log.book.feed(data[start : start + size])
    assert log.lines() == ["erste Zeile", "zwéite", "", "last"]


def test_output_without_a_line_end_is_kept_back_until_there_is_one(log: Book) -> None:
    log.book.feed(b"half ")
    assert log.chunks == []
    log.book.feed(b"a line\n")
    assert log.lines() == ["half a line"]


def test_the_end_of_the_process_ends_the_line(log: Book) -> None:
    log.book.feed(b"no line end")
    log.book.end_line()
    log.book.end_line()
    assert log.lines() == ["no line end"]


def test_carriage_returns_are_taken_off_at_the_end_only(log: Book) -> None:
    log.book.feed(b"10%\r20%\r\nplain\n\r\n")
    assert log.lines() == ["10%\r20%", "plain", ""]


def test_bytes_that_are_not_utf8_are_replaced(log: Book) -> None:
    log.book.feed(b"\xff\xfe caf\xc3\xa9 \xc3\n")
    assert log.lines() == ["\ufffd\ufffd café \ufffd"]


@pytest.mark.parametrize("size", [18 * 1024, 1000])
def test_only_the_first_8_kb_of_a_line_are_kept(log: Book, size: int) -> None:
    data = b"x" * (18 * 1024) + b"y\r\nnext\n"
    for start in range(0, len(data), size):
        log.book.feed(data[start : start + size])
    assert log.lines() == ["x" * 8192, "next"]


def test_a_line_of_8_kb_is_whole(log: Book) -> None:
    log.book.feed(b"x" * 8192 + b"\n")
    assert log.lines() == ["x" * 8192]


def test_a_long_line_without_end_does_not_grow_for_ever(log: Book) -> None:
    for _ in range(100):
        log.book.feed(b"x" * 1024)
    log.book.end_line()
    assert log.lines() == ["x" * 8192]


# ---------------------------------------------------------------- requests


def test_lines_belong_to_the_request_that_was_begun_last(log: Book) -> None:
    log.book.feed(b"for a\nstill for a")
    log.book.begin("b")
    log.book.feed(b"for b\n")
    assert log.lines("a") == ["for a", "still for a"]
    assert log.lines("b") == ["for b"]


def test_beginning_the_same_request_again_changes_nothing(log: Book) -> None:
    log.book.feed(b"init\n")
    tail = log.book.tail
    log.book.begin_unless("a")
    assert log.book.tail is tail
    log.book.begin_unless("b")
    assert log.book.tail is not tail


def test_a_note_is_a_line_of_the_present_request(log: Book) -> None:
    log.book.feed(b"half")
    log.book.note("[PLATFORM] noted")
    log.book.feed(b" line\n")
    assert log.lines() == ["[PLATFORM] noted", "half line"]


def test_a_note_can_be_for_an_earlier_request(log: Book) -> None:
    log.book.begin("b")
    log.book.note_for("a", "late")
    log.book.note_for("b", "present")
    assert log.lines("a") == ["late"]
    assert log.lines("b") == ["present"]
    assert [text for _, text in log.book.tail.lines] == ["present"]


def test_lines_outside_any_request_have_no_id(log: Book) -> None:
    book = LogBook("i", log.clock, log.chunks.append)
    book.feed(b"who asked?\n")
    assert log.chunks[0].request_id == ""


# ---------------------------------------------------------------- rates


def test_after_5000_lines_in_5_s_lines_are_dropped_with_one_note(log: Book) -> None:
    log.book.feed(b"x\n" * 6000)
    log.book.feed(b"y\n")
    assert len(log.lines()) == 5001
    assert log.lines()[-1] == LIMIT_NOTE


def test_after_1_mb_in_5_s_lines_are_dropped(log: Book) -> None:
    log.book.feed(b"\n".join([b"x" * 8192] * 129) + b"\n")
    assert len(log.lines()) == 129
    assert log.lines()[-1] == LIMIT_NOTE


def test_lines_left_out_on_the_way_are_told_as_the_limit(log: Book) -> None:
    log.book.feed(b"x\n" * 2500)
    log.book.discarded()  # of a line that is too long
    log.clock.tick(6)
    log.book.feed(b"x\n" * 2500)
    log.book.discarded()
    log.book.discarded()
    assert log.lines().count(LIMIT_NOTE) == 1
    assert log.lines()[-1] == LIMIT_NOTE


def test_the_next_5_s_begin_afresh(log: Book) -> None:
    log.book.feed(b"x\n" * 5001)
    log.clock.tick(4.9)
    log.book.feed(b"dropped\n")
    log.clock.tick(0.1)
    log.book.feed(b"kept\n")
    assert log.lines()[-2:] == [LIMIT_NOTE, "kept"]
    log.book.feed(b"x\n" * 5000)
    assert log.lines()[-1] == LIMIT_NOTE


def test_the_limits_are_per_request(log: Book) -> None:
    log.book.feed(b"x\n" * 5001)
    log.book.begin("b")
    log.book.feed(b"kept\n")
    assert log.lines("b") == ["kept"]


# ---------------------------------------------------------------- tails


def test_a_tail_keeps_the_last_4_kb() -> None:
    tail = Tail()
    for number in range(100):
        tail.add((0.0, f"{number:02}" + "x" * 97))
    assert len(tail.lines) == 41  # of the first one, the last 96 bytes
    assert tail.lines[0][1].startswith("59")
    assert tail.count == 100


def test_a_tail_keeps_its_last_line_however_long() -> None:
    tail = Tail()
    tail.add((0.0, "short"))
    tail.add((0.0, "x" * 8192))
    assert [len(text) for _, text in tail.lines] == [8192]
