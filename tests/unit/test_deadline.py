"""A deadline that is set anew for every event."""

from __future__ import annotations

import asyncio

import pytest

from sandbox.deadline import Deadline
from tests.support.clock import LoopTime


class Watch:
    def __init__(self) -> None:
        self.time = LoopTime()
        self.calls: list[str] = []
        self.deadline = Deadline(asyncio.get_running_loop())

    def set(self, seconds: float, name: str = "late") -> None:
        self.deadline.set(seconds, lambda: self.calls.append(name))


@pytest.fixture
async def watch() -> Watch:
    return Watch()


async def test_it_calls_once_when_the_time_has_come_and_not_before(watch: Watch) -> None:
    watch.set(3)
    await watch.time.advance(2.99)
    assert watch.calls == []
    await watch.time.advance(0.02)
    assert watch.calls == ["late"]
    await watch.time.advance(10)
    assert watch.calls == ["late"]


async def test_what_is_lifted_is_not_called(watch: Watch) -> None:
    watch.set(3)
    watch.deadline.lift()
    await watch.time.advance(4)
    assert watch.calls == []


async def test_one_that_is_put_off_counts_from_then_on(watch: Watch) -> None:
    watch.set(3)
    await watch.time.advance(2)
    watch.deadline.lift()
    watch.set(3, "second")
    await watch.time.advance(2)
    assert watch.calls == []
    await watch.time.advance(1.1)
    assert watch.calls == ["second"]


async def test_one_that_is_put_forward_is_called_in_time(watch: Watch) -> None:
    watch.set(60)
    watch.set(1, "sooner")
    await watch.time.advance(1.1)
    assert watch.calls == ["sooner"]
    await watch.time.advance(60)
    assert watch.calls == ["sooner"]


async def test_it_can_be_set_again_after_it_was_reached(watch: Watch) -> None:
    watch.set(1, "first")
    await watch.time.advance(1.1)
    watch.set(1, "second")
    await watch.time.advance(1.1)
    assert watch.calls == ["first", "second"]


async def test_one_that_is_closed_leaves_no_timer(watch: Watch) -> None:
    watch.set(1)
    watch.deadline.close()
    watch.deadline.close()
    await watch.time.advance(2)
    assert watch.calls == []
    watch.set(1, "again")
    await watch.time.advance(1.1)
    assert watch.calls == ["again"]
    watch.deadline.close()
