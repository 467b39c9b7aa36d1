"""The protocol between control plane and init: frames, order, and what must not be."""

from __future__ import annotations

import errno
import signal
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.engine.init_protocol import (
    OUTPUT_MAX_BYTES,
    TRANSITIONS,
    Discarded,
    Ended,
    Flushed,
    InitConnection,
    InitProtocolError,
    MemoryRose,
    Message,
    NotStarted,
    Output,
    OutputClosed,
    Stage,
    Started,
    State,
)
from sandbox.errors import IllegalTransitionError


def frame(kind: bytes, body: bytes = b"") -> bytes:
    return kind + len(body).to_bytes(3) + body


def border(kind: bytes, number: int, peak: int = 0, oom: int = 0) -> bytes:
    return frame(kind, struct.pack("!IQI", number, peak, oom))


STARTED = frame(b"S")
ENDED = border(b"E", 0)


def running() -> InitConnection:
    connection = InitConnection()
    connection.go()
    connection.receive(STARTED)
    return connection


def same(messages: list[Message], *expected: Message) -> bool:
    """Equal in kind too: messages are tuples, and equal ones may be of two kinds."""
    return messages == list(expected) and [*map(type, messages)] == [*map(type, expected)]


def test_every_command_is_eight_bytes() -> None:
    connection = InitConnection()

    assert connection.go() == b"G\0\0\4\0\0\0\0"
    assert connection.flush() == b"F\0\0\4\0\0\0\1"
    assert connection.flush() == b"F\0\0\4\0\0\0\2"
    assert connection.signal(signal.SIGTERM) == b"K\0\0\4\0\0\0\x0f"
    assert connection.sample(50) == b"W\0\0\4\0\0\0\x32"
    assert connection.quit() == b"Q\0\0\4\0\0\0\0"


def test_a_life_from_go_to_the_end() -> None:
    connection = InitConnection()
    connection.go()
    connection.flush()
    data = (
        STARTED
        + frame(b"O", b"hello\n")
        + frame(b"D", (1 << 40).to_bytes(8))
        + border(b"N", 1, 1 << 33, 2)
        + frame(b"M", struct.pack("!QI", 1 << 34, 3))
        + frame(b"C")
        + border(b"E", 9, 1 << 34, 3)
    )

    assert same(
        connection.receive(data),
        Started(),
        Output(b"hello\n"),
        Discarded(1 << 40),
        Flushed(1, 1 << 33, 2),
        MemoryRose(1 << 34, 3),
        OutputClosed(),
        Ended(9, 1 << 34, 3),
    )
    assert connection.state is State.ENDED


@given(st.lists(st.integers(1, 40), max_size=30))
def test_pieces_of_any_size_give_the_same(cuts: list[int]) -> None:
    data = STARTED + frame(b"O", b"x" * 300) + border(b"N", 1) + frame(b"O", b"y") + ENDED
    whole = InitConnection()
    whole.go()
    whole.flush()
    expected = whole.receive(data)
    connection = InitConnection()
    connection.go()
    connection.flush()
    messages, at = [], 0
    for cut in cuts:
        messages += connection.receive(data[at : at + cut])
        at += cut
    messages += connection.receive(data[at:])

    assert same(messages, *expected)


def test_a_bootstrap_that_cannot_be_executed() -> None:
    connection = InitConnection()
    connection.go()

    failure, end = connection.receive(
        frame(b"X", struct.pack("!II", errno.ENOENT, 3)) + border(b"E", 127 << 8)
    )

    assert failure == NotStarted(errno.ENOENT, Stage.EXEC)
    assert str(failure) == "No such file or directory (at exec)"
    assert isinstance(end, Ended)
    assert end.code == 127


@pytest.mark.parametrize(("status", "code"), [(0, 0), (7 << 8, 7), (9, 137), (11 | 128, 139)])
def test_an_end_has_the_code_of_a_shell(status: int, code: int) -> None:
    (end,) = running().receive(border(b"E", status))

    assert isinstance(end, Ended)
    assert end.code == code


def test_a_newer_flush_answers_the_older_ones() -> None:
    connection = running()
    for _ in range(3):
        connection.flush()

    connection.receive(border(b"N", 3))

    assert (connection.asked, connection.answered) == (3, 3)


def test_numbers_go_on_where_the_wire_begins_anew() -> None:
    connection = running()
    connection.asked = connection.answered = (1 << 32) - 2
    assert connection.flush()[4:] == b"\xff\xff\xff\xff"
    assert connection.flush()[4:] == b"\0\0\0\0"
    assert connection.flush()[4:] == b"\0\0\0\1"

    assert connection.receive(border(b"N", (1 << 32) - 1)) == [Flushed((1 << 32) - 1, 0, 0)]
    assert connection.receive(border(b"N", 1)) == [Flushed((1 << 32) + 1, 0, 0)]


@pytest.mark.parametrize(
    "bad",
    [
        frame(b"Z"),
        frame(b"S", b"x"),
        frame(b"O"),
        b"O" + (OUTPUT_MAX_BYTES + 1).to_bytes(3),
        b"O\xff\xff\xff",
        frame(b"N", b"short"),
        frame(b"X", struct.pack("!II", 2, 4)),
        border(b"E", 0x7F),
        border(b"E", 1 << 16),
        border(b"N", 1),
        STARTED,
        frame(b"X", struct.pack("!II", 2, 3)),
        b"\0" * 8,
    ],
    ids=[
        "unknown type",
        "too long",
        "empty output",
        "output too long",
        "output far too long",
        "too short",
        "unknown stage",
        "stopped, not ended",
        "no wait status",
        "a flush nobody asked for",
        "started twice",
        "failed after the start",
        "zeros",
    ],
)
def test_a_bad_frame_is_an_error(bad: bytes) -> None:
    with pytest.raises(InitProtocolError):
        running().receive(bad)


def test_a_long_frame_is_refused_by_its_head() -> None:
    """Nothing is kept for it."""
    with pytest.raises(InitProtocolError):
        running().receive(b"O\x00\x80\x01")


@pytest.mark.parametrize("late", [frame(b"O", b"x"), border(b"N", 1), ENDED, frame(b"C")])
def test_nothing_comes_after_the_end(late: bytes) -> None:
    connection = running()
    connection.flush()
    connection.receive(ENDED)

    with pytest.raises(InitProtocolError):
        connection.receive(late)


def test_nothing_but_a_flush_is_answered_before_go() -> None:
    connection = InitConnection()
    connection.flush()
    assert connection.receive(border(b"N", 1)) == [Flushed(1, 0, 0)]

    with pytest.raises(InitProtocolError):
        connection.receive(STARTED)


def test_a_flush_is_answered_once() -> None:
    connection = running()
    connection.flush()
    connection.receive(border(b"N", 1))

    with pytest.raises(InitProtocolError):
        connection.receive(border(b"N", 1))


def test_no_output_after_it_was_closed() -> None:
    connection = running()
    connection.receive(frame(b"C"))

    with pytest.raises(InitProtocolError):
        connection.receive(frame(b"O", b"x"))


def test_the_control_plane_goes_once_and_asks_nothing_of_the_dead() -> None:
    connection = running()
    with pytest.raises(IllegalTransitionError):
        connection.go()
    connection.receive(ENDED)
    with pytest.raises(IllegalTransitionError):
        connection.flush()
    assert connection.quit()


def test_every_state_has_its_row() -> None:
    assert set(TRANSITIONS) == set(State)


@given(st.binary(max_size=200))
def test_any_bytes_are_messages_or_an_error(data: bytes) -> None:
    connection = running()
    try:
        messages = connection.receive(data)
    except InitProtocolError:
        return
    assert sum(len(m.data) for m in messages if isinstance(m, Output)) <= len(data)
