"""What a gauge shows, and who may post one. Pages and pipes are real ones."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import struct
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from sandbox.engine.gauge import SEALS, Gauge, GaugeBox, receive_gauge
from sandbox.engine.init_link import FRESH_S, InitLink
from sandbox.engine.init_links import InitLinks
from tests.engine.engine_kit import Watcher
from tests.support.waiting import eventually
from tests.unit.engine.test_init_link import Line, border, frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Source:
    """What an init has: a pipe's two ends, and its page."""

    def __init__(self, seals: int = SEALS, size: int = 16) -> None:
        self.reader, self.writer = os.pipe()
        self.page = os.memfd_create("test", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
        os.ftruncate(self.page, size)
        if seals:
            fcntl.fcntl(self.page, fcntl.F_ADD_SEALS, seals)
        if size:
            self.count(0, 0)

    def count(self, turn: int, taken: int) -> None:
        os.pwrite(self.page, struct.pack("=QQ", turn, taken)[:16], 0)

    def gauge(self) -> Gauge:
        return Gauge(os.dup(self.reader), os.dup(self.page))

    def post(self, directory: Path, box: GaugeBox, letter: str) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.connect(str(directory / box.name))
            socket.send_fds(sender, [letter.encode()], [self.reader, self.page])

    def close(self) -> None:
        for descriptor in (self.reader, self.writer, self.page):
            os.close(descriptor)


@pytest.fixture
def source() -> Iterator[Source]:
    opened = Source()
    yield opened
    opened.close()


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_it_is_settled_when_all_that_was_written_has_arrived(source: Source) -> None:
    gauge = source.gauge()
    assert gauge.settled(0)
    os.write(source.writer, b"hello")
    assert not gauge.settled(0), "nobody has read it"
    source.count(1, 0)
    assert os.read(source.reader, 5) == b"hello"
    assert not gauge.settled(0), "init is reading"
    source.count(2, 5)
    assert not gauge.settled(0), "it is under way"
    assert gauge.settled(5)
    gauge.close()


def test_a_page_that_could_shrink_is_refused_and_nothing_is_left_open() -> None:
    before = descriptors()
    for source in (Source(seals=0), Source(size=0)):
        with pytest.raises((OSError, ValueError)):
            source.gauge()
        source.close()
    assert descriptors() == before


def test_a_letter_without_a_gauge_leaves_nothing_open(source: Source) -> None:
    before = descriptors()
    ours, theirs = socket.socketpair(type=socket.SOCK_DGRAM)
    with ours, theirs:
        assert receive_gauge(ours) is None
        theirs.send(b"words")
        socket.send_fds(theirs, [b"one"], [source.page])
        socket.send_fds(theirs, [b"pipe twice"], [source.reader, source.writer])
        socket.send_fds(theirs, [b"three"], [source.reader, source.page, source.page])
        letters = [receive_gauge(ours) for _ in range(4)]
        assert [letter and letter[0] for letter in letters] == [
            *("words", "one", "pipe twice", "three"),
        ]
        assert [letter and letter[1] is None for letter in letters[:3]] == [True] * 3
        for letter in letters:
            if letter is not None and letter[1] is not None:
                letter[1].close()
    assert descriptors() == before


# ---------------------------------------------------------------- the box


@pytest.fixture
def box(tmp_path: Path) -> Path:
    directory = tmp_path / ("deep" * 40) / "run"
    directory.mkdir(parents=True)
    # As instances have it: at a short path.
    (tmp_path / "run").symlink_to(directory)
    return tmp_path / "run"


async def test_a_gauge_comes_to_its_link_before_the_link_is_admitted(
    box: Path, source: Source
) -> None:
    links = InitLinks()
    links.box = GaugeBox(box)
    line = Line()
    secret = links.expect("one.scf", line.link)
    source.post(box, links.box, f"one.scf {secret}")
    assert links.admit("one.scf", secret) is line.link
    line.running()
    line.flush("first")
    line.say(border(b"N", 2))
    assert line.link.settled()
    links.box.close()
    line.link.hang_up()


async def test_a_strangers_letters_are_thrown_away(box: Path, source: Source) -> None:
    links = InitLinks()
    links.box = GaugeBox(box)
    line = Line()
    secret = links.expect("one.scf", line.link)
    before = descriptors()
    for letter in ("", "one.scf", "one.scf ", f"two.scf {secret}", f"one.scf {secret[:-1]}"):
        source.post(box, links.box, letter)
    assert links.admit("none.scf", "") is None
    assert descriptors() == before
    assert links.admit("one.scf", secret) is line.link
    line.running().flush("first")
    line.say(border(b"N", 2))
    assert not line.link.settled()
    links.box.close()


def test_a_box_of_an_earlier_run_is_replaced(box: Path) -> None:
    killed = GaugeBox(box)
    again = GaugeBox(box)
    assert again.name != killed.name
    assert [left.name for left in box.iterdir()] == [again.name]
    assert list(again.letters()) == []
    again.close()
    killed.close()
    assert list(box.iterdir()) == []


def test_nobody_may_list_a_box_or_read_its_name_elsewhere(box: Path) -> None:
    opened = GaugeBox(box)
    assert opened.name not in Path("/proc/net/unix").read_text()
    assert stat.S_IMODE(box.stat().st_mode) == 0o111
    opened.close()


# ---------------------------------------------------------------- the link


class Clock:
    """The loop's, which the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def time(self) -> float:
        return self.now

    def run_in_executor(self, _executor: None, work: Callable[[], None]) -> None:
        work()


@pytest.fixture
async def line(source: Source, monkeypatch: pytest.MonkeyPatch) -> Line:
    """Running, with a gauge, just flushed."""
    made = Line()
    monkeypatch.setattr(made.link, "_loop", Clock())
    made.link.measure(source.gauge())
    made.running().flush("first")
    made.say(border(b"N", 2))
    return made


async def test_a_link_without_a_gauge_is_never_settled() -> None:
    made = Line()
    made.running().flush("first")
    made.say(border(b"N", 2))
    assert not made.link.settled()


async def test_a_link_is_settled_until_something_is_written(line: Line, source: Source) -> None:
    assert line.link.settled()
    os.write(source.writer, b"hello")
    assert not line.link.settled()
    os.read(source.reader, 5)
    source.count(2, 5)
    assert not line.link.settled()
    line.link.hang_up()


@pytest.mark.parametrize("said", [frame(b"O", b"hello"), frame(b"D", (5).to_bytes(8))])
async def test_after_output_there_is_a_flush(line: Line, source: Source, said: bytes) -> None:
    source.count(2, 5)
    line.say(said)
    assert not line.link.settled(), "init counts its limits anew at a flush"
    line.flush("second")
    line.say(border(b"N", 3))
    assert line.link.settled()
    line.link.hang_up()


async def test_a_link_is_not_settled_while_a_border_is_waited_for(line: Line) -> None:
    line.flush("second")
    assert not line.link.settled()
    line.say(border(b"N", 3))
    assert line.link.settled()
    line.link.hang_up()


async def test_init_is_asked_again_after_a_while(line: Line) -> None:
    clock = cast("Clock", line.link._loop)
    clock.now += 2 * FRESH_S
    assert not line.link.settled(), "its memory was not looked at for so long"
    line.flush("second")
    line.say(border(b"N", 3))
    assert line.link.settled()
    line.link.hang_up()


async def test_an_end_closes_the_gauge(source: Source) -> None:
    before = descriptors()
    link = InitLink(Watcher(), lambda: None)
    link.measure(source.gauge())
    link.measure(source.gauge())  # the first one counts
    link.hang_up()
    assert not link.settled()
    link.measure(source.gauge())
    await eventually(lambda: descriptors() <= before)
