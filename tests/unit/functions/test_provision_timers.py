"""Timed changes of provisioned concurrency."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from sandbox.errors import ConflictError
from sandbox.functions.model import Function, TimedProvision
from sandbox.functions.timers import ProvisionTimers
from sandbox.scheduler import Scheduler
from tests.support.clock import LoopTime
from tests.support.functions import function
from tests.support.waiting import eventually, turns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sandbox.functions.registry import Key


class Stage:
    """The registry and the service, and what they were told."""

    def __init__(self) -> None:
        self.time = LoopTime()
        self.functions: dict[str, Function] = {}
        self.fired: list[tuple[str, str, int]] = []
        self.error: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self._event = asyncio.Event()
        self.scheduler = Scheduler(self.time)
        self.timers = ProvisionTimers(self, self, self.scheduler)  # type: ignore[arg-type]

    def all(self) -> list[Function]:
        return list(self.functions.values())

    async def changed(self) -> None:
        await self._event.wait()

    async def provision_timed(self, key: Key, version: str, count: int) -> None:
        self.fired.append((key[1], version, count))
        await self.gate.wait()
        if self.error is not None:
            raise self.error

    def put(self, name: str, *timers: tuple[str, int]) -> None:
        """A function whose version 1 has these timers: (cron, count)."""
        timed = [TimedProvision(name=f"t{n}", cron=c, count=k) for n, (c, k) in enumerate(timers)]
        self.functions[name] = function(name).with_provisioned("1", 0, tuple(timed))
        self._event.set()
        self._event = asyncio.Event()

    async def pass_time(self, seconds: float) -> None:
        for _ in range(int(seconds)):
            await self.time.advance(1.0)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage()
    stage.timers.open()
    await turns()
    yield stage
    await stage.timers.close()
    await stage.scheduler.close()


async def test_a_timer_fires_whenever_its_time_comes(stage: Stage) -> None:
    stage.put("f", ("*/10 * * * * * *", 3))
    await stage.pass_time(35)
    await eventually(lambda: len(stage.fired) >= 3)
    assert set(stage.fired) == {("f", "1", 3)}
    assert len(stage.fired) <= 4


async def test_those_that_come_up_together_fire_in_the_order_of_their_times(stage: Stage) -> None:
    # EPOCH is 22:13:20.
    stage.put("f", ("40 13 22 * * * *", 1), ("30 13 22 * * * *", 5))
    await turns()
    await stage.time.advance(30)
    await eventually(lambda: len(stage.fired) == 2)
    assert stage.fired == [("f", "1", 5), ("f", "1", 1)]


async def test_one_that_cannot_be_done_does_not_stop_the_others(stage: Stage) -> None:
    stage.error = ConflictError("too many", "FailedOperation.ProvisionedExceedAvailable")
    stage.put("f", ("*/10 * * * * * *", 3))
    await stage.pass_time(11)
    await eventually(lambda: len(stage.fired) == 1)
    await stage.pass_time(10)
    await eventually(lambda: len(stage.fired) == 2)


async def test_one_that_is_set_while_another_one_fires_is_not_overlooked(stage: Stage) -> None:
    stage.gate.clear()
    stage.put("f", ("30 13 22 * * * *", 3))  # ten seconds after EPOCH
    await stage.pass_time(11)
    await eventually(lambda: stage.fired == [("f", "1", 3)])
    stage.put("f")
    stage.put("g", ("* * * * * * *", 4))
    stage.gate.set()
    await turns()
    await stage.pass_time(3)
    await eventually(lambda: ("g", "1", 4) in stage.fired)


async def test_one_that_is_taken_away_does_not_fire(stage: Stage) -> None:
    stage.put("f", ("*/10 * * * * * *", 3))
    await turns()
    stage.put("f")
    await stage.pass_time(25)
    assert stage.fired == []


async def test_a_change_that_cannot_be_saved_does_not_stop_the_timers(stage: Stage) -> None:
    stage.error = OSError("the disk is full")
    stage.put("f", ("30 13 22 * * * *", 5), ("40 13 22 * * * *", 1))
    await stage.pass_time(10)
    await eventually(lambda: len(stage.fired) == 1)
    stage.error = None
    await stage.pass_time(10)
    await eventually(lambda: len(stage.fired) == 2)
    assert stage.fired == [("f", "1", 5), ("f", "1", 1)]
