"""A stop: asked by a signal, at once by a second one, never later than a limit."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from api.process.stop import SIGNALS, Stop
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator


class Process:
    """What a stop does to it."""

    def __init__(self, limit_s: float = 60.0) -> None:
        self.codes: list[int] = []
        self.begun = 0
        self.stop = Stop(limit_s, self.codes.append)
        self.stop.hear()

    def begin(self) -> None:
        self.begun += 1


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_begins_the_stop_and_the_second_ends_the_process(
    number: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    process = Process()
    process.stop.begin_with(process.begin)
    signal.raise_signal(number)
    assert (process.begun, process.codes) == (1, [])
    signal.raise_signal(number)
    assert (process.begun, process.codes) == (1, [128 + number])
    assert "a second signal: ended at once" in capfd.readouterr().err


def test_a_signal_that_came_before_anything_was_there_is_not_forgotten() -> None:
    process = Process()
    signal.raise_signal(signal.SIGTERM)
    assert process.begun == 0
    process.stop.begin_with(process.begin)
    assert process.begun == 1


def test_a_stop_that_takes_too_long_is_an_end_with_a_reason(
    capfd: pytest.CaptureFixture[str],
) -> None:
    process = Process(limit_s=0.01)
    process.stop.begin_with(process.begin)
    signal.raise_signal(signal.SIGINT)
    wait_until(lambda: bool(process.codes))
    assert process.codes == [1]
    assert "the stop took longer" in capfd.readouterr().err
