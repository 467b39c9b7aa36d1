"""The control plane's end of an init's connection: what it tells the sink, whatever comes."""

from __future__ import annotations

import signal
import struct
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from sandbox.engine.init_link import InitLink
from sandbox.engine.init_links import InitLinks
from sandbox.errors import EngineError
from tests.engine.engine_kit import Watcher


def frame(kind: bytes, body: bytes = b"") -> bytes:
    return kind + len(body).to_bytes(3) + body


def border(kind: bytes, number: int, peak: int = 7, kills: int = 0) -> bytes:
    return frame(kind, struct.pack("!IQI", number, peak, kills))


class Transport:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.written = b""
        self.aborted = False

    def write(self, data: bytes) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True


class Line:
    """A link whose init is the test."""

    def __init__(self) -> None:
        self.sink = Watcher()
        self.heard = 0
        self.link = InitLink(self.sink, self._hear)
        self.transport = Transport()
        self.passed: list[str] = []

    def _hear(self) -> None:
        self.heard += 1

    def connected(self) -> Line:
        self.link.connection_made(cast("Any", self.transport))
        return self

    def standing_by(self) -> Line:
        self.connected().say(border(b"N", 1))
        return self

    def running(self) -> Line:
        self.standing_by().link.release()
        self.say(frame(b"S"))
        self.transport.written = b""
        return self

    def say(self, data: bytes) -> None:
        self.link.data_received(data)

    def flush(self, name: str) -> None:
        self.link.flush(lambda: self.passed.append(name))


@pytest.fixture
async def line() -> Line:
    return Line()


async def test_it_stands_by_when_init_has_answered(line: Line) -> None:
    line.connected()
    assert not line.link.stands_by.done()
    assert line.transport.written == b"F\0\0\4\0\0\0\1"
    line.say(border(b"N", 1))
    assert line.link.stands_by.done()
    line.link.release()
    assert line.transport.written.endswith(b"G\0\0\4\0\0\0\0")
    assert line.heard == 1


@pytest.mark.parametrize("how", ["lost", "hung up on"])
async def test_what_never_stood_by_is_the_launchs_error_and_no_end(line: Line, how: str) -> None:
    line.connected()
    if how == "lost":
        line.link.connection_lost(None)
    else:
        line.link.hang_up()
    with pytest.raises(EngineError, match="ended before it was released"):
        await line.link.stands_by
    assert line.sink.exits == []


async def test_what_init_says_reaches_the_sink(line: Line) -> None:
    line.running().say(
        frame(b"O", b"hello")
        + frame(b"D", (9).to_bytes(8))
        + frame(b"M", struct.pack("!QI", 99, 1))
    )
    assert (line.sink.data, line.sink.left_out) == (b"hello", 9)
    assert (line.sink.peak, line.sink.oom_kills) == (99, 1)


async def test_a_border_is_passed_behind_what_came_before_it(line: Line) -> None:
    line.running()
    line.link.flush(lambda: line.passed.append(line.sink.data.decode()))
    line.say(frame(b"O", b"before") + border(b"N", 2) + frame(b"O", b"after"))
    assert line.passed == ["before"]


async def test_a_newer_flush_answers_the_older_ones_in_order(line: Line) -> None:
    line.running()
    for name in ("one", "two", "three"):
        line.flush(name)
    line.say(border(b"N", 3))
    assert line.passed == ["one", "two"]
    line.say(border(b"N", 4))
    assert line.passed == ["one", "two", "three"]


async def test_the_end_answers_every_border_and_is_answered_at_once(line: Line) -> None:
    line.running()
    line.link.flush(lambda: line.passed.append(f"with {len(line.sink.exits)} ends"))
    line.transport.written = b""
    line.say(frame(b"O", b"last") + border(b"E", 7 << 8))
    assert line.transport.written == b"Q\0\0\4\0\0\0\0"
    assert line.passed == ["with 0 ends"]
    assert (line.sink.data, line.sink.exits[0].code) == (b"last", 7)
    line.flush("after the end")
    assert line.passed == ["with 0 ends", "after the end"]
    line.link.connection_lost(None)
    assert len(line.sink.exits) == 1


async def test_a_kill_for_memory_is_the_end_and_no_news_before_it(line: Line) -> None:
    line.running().say(border(b"E", signal.SIGKILL, 64, 1))
    assert line.sink.exits[0].oom_killed
    assert line.sink.exits[0].code == 137
    assert (line.sink.peak, line.sink.oom_kills) == (64, 0)


async def test_what_the_kernel_refused_is_in_the_end(line: Line) -> None:
    line.standing_by().link.release()
    line.say(frame(b"X", struct.pack("!II", 2, 3)) + border(b"E", 127 << 8, 0))
    end = line.sink.exits[0]
    assert (end.code, end.errno, end.stage) == (127, 2, "exec")
    assert str(end) == "before it ran: No such file or directory (at exec)"


@pytest.mark.parametrize(
    ("state", "words"), [("standing_by", "before it was released"), ("running", "with its init")]
)
async def test_a_lost_connection_is_the_end(line: Line, state: str, words: str) -> None:
    getattr(line, state)()
    line.flush("open")
    line.link.connection_lost(None)
    assert line.passed == ["open"]
    assert line.sink.exits[0].code is None
    assert words in str(line.sink.exits[0])


async def test_who_is_told_to_quit_was_killed(line: Line) -> None:
    line.running().link.quit()
    assert line.transport.written == b"Q\0\0\4\0\0\0\0"
    line.link.hang_up()
    assert line.sink.exits[0].code == 137
    assert line.transport.aborted


async def test_one_that_is_to_quit_before_it_came_is_hung_up_on(line: Line) -> None:
    line.link.quit()
    line.connected()
    assert line.transport.aborted
    assert line.sink.exits == []


async def test_what_is_no_frame_is_hung_up_on(line: Line) -> None:
    line.running()
    with capture_logs() as logs:
        line.say(b"HTTP/1.1 200 OK\r\n")
    assert [entry["event"] for entry in logs] == ["init_not_understood"]
    assert line.transport.aborted
    assert len(line.sink.exits) == 1


async def test_only_a_running_bootstrap_can_be_signalled(line: Line) -> None:
    line.standing_by()
    with pytest.raises(EngineError, match="no bootstrap left"):
        line.link.send_signal(signal.SIGTERM)
    line.link.release()
    line.say(frame(b"S") + frame(b"C"))
    line.link.send_signal(signal.SIGTERM)
    assert line.transport.written.endswith(b"K\0\0\4\0\0\0\x0f")
    line.say(border(b"E", 0))
    with pytest.raises(EngineError, match="no bootstrap left"):
        line.link.send_signal(signal.SIGTERM)


async def test_memory_is_watched_as_wished(line: Line) -> None:
    line.running().link.watch(closely=False)
    line.link.watch(closely=True)
    assert line.transport.written == b"W\0\0\4\0\0\0\0" + b"W\0\0\4\0\0\0\x32"


# ---------------------------------------------------------------- whose it is


async def test_a_secret_is_good_once_and_for_one_name() -> None:
    links, one, two = InitLinks(), Line().link, Line().link
    first, second = links.expect("one.scf", one), links.expect("two.scf", two)
    assert first != second
    assert links.admit("one.scf", second) is None
    assert links.admit("one.scf", "") is None
    assert links.admit("none.scf", first) is None
    assert links.admit("one.scf", "\xe4") is None
    assert links.admit("one.scf", first) is one
    assert links.admit("one.scf", first) is None
    links.forget("two.scf")
    links.forget("two.scf")
    assert links.admit("two.scf", second) is None
