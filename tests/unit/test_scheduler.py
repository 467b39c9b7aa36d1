"""Jobs at the times that a cron expression names, also when the clock is set."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from sandbox.clock import SystemClock
from sandbox.cron import Cron
from sandbox.scheduler import Scheduler
from tests.support.clock import EPOCH, LoopTime
from tests.support.waiting import eventually, turns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

#: EPOCH is 22:13:20.
EVERY_10_S = Cron("*/10 * * * * * *")
EVERY_HOUR = Cron("0 0 * * * * *")
DAILY = Cron("0 14 22 * * * *")


class Stage:
    """A scheduler in a time of its own; what was done, by key and the wall clock's time."""

    def __init__(self) -> None:
        self.time = LoopTime()
        self.scheduler = Scheduler(self.time)
        self.done: list[tuple[str, str]] = []

    def set(self, key: str, cron: Cron) -> None:
        async def act() -> None:
            at = datetime.fromtimestamp(self.time.now(), UTC)
            self.done.append((key, f"{at:%H:%M:%S}"))

        self.scheduler.set(key, cron, act)

    async def pass_time(self, seconds: int, step_s: float = 1.0) -> None:
        """So much time passes, in steps."""
        for _ in range(round(seconds / step_s)):
            await self.time.advance(step_s)

    @property
    def times(self) -> list[str]:
        return [at for _, at in self.done]


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage()
    yield stage
    await stage.scheduler.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_job_is_done_at_each_of_its_times(stage: Stage) -> None:
    stage.set("job", EVERY_10_S)
    await stage.pass_time(35)
    assert len(stage.times) == 3
    assert [at[:7] for at in stage.times] == ["22:13:3", "22:13:4", "22:13:5"]


async def test_jobs_that_come_up_together_are_begun_in_the_order_of_their_times(
    stage: Stage,
) -> None:
    stage.set("later", Cron("40 13 22 * * * *"))
    stage.set("sooner", Cron("30 13 22 * * * *"))
    await stage.time.advance(30)
    assert [key for key, _ in stage.done] == ["sooner", "later"]


async def test_what_fell_due_before_a_job_was_set_is_not_made_up_for(stage: Stage) -> None:
    await stage.time.advance(3600)
    stage.set("job", EVERY_HOUR)
    await stage.pass_time(60)
    assert stage.done == []


async def test_a_job_whose_times_are_over_is_never_done(stage: Stage) -> None:
    stage.set("job", Cron("0 0 0 1 1 * 2020"))
    await stage.pass_time(60)
    assert stage.done == []
    assert stage.scheduler._timer is None


async def test_a_removed_job_is_not_done_and_leaves_no_timer(stage: Stage) -> None:
    stage.set("job", EVERY_10_S)
    stage.scheduler.remove("job")
    stage.scheduler.remove("job")
    await stage.pass_time(30)
    assert stage.done == []
    assert stage.scheduler._timer is None


async def test_a_job_that_is_set_again_takes_the_place_of_the_old_one(stage: Stage) -> None:
    stage.set("job", EVERY_10_S)
    stage.set("job", DAILY)
    await stage.pass_time(60)
    assert [at[:5] for at in stage.times] == ["22:14"]


async def test_with_the_same_times_only_what_is_done_changes(stage: Stage) -> None:
    stage.set("job", EVERY_10_S)
    await stage.pass_time(8)

    async def other() -> None:
        stage.done.append(("other", ""))

    stage.scheduler.set("job", EVERY_10_S, other)
    await stage.pass_time(4)
    assert stage.done == [("other", "")]


# ---------------------------------------------------------------- the clock is set


async def test_what_a_clock_set_forward_skips_is_done_once_and_at_once(stage: Stage) -> None:
    stage.set("often", EVERY_10_S)
    stage.set("daily", DAILY)
    stage.time.set(3600)
    await stage.pass_time(2)
    assert sorted(key for key, _ in stage.done) == ["daily", "often"]
    await stage.pass_time(20)
    assert [key for key, _ in stage.done].count("often") == 3
    assert [key for key, _ in stage.done].count("daily") == 1


@pytest.mark.parametrize("back_s", [2, 60, 1800, 7200])
async def test_a_daily_job_is_not_done_again_when_the_clock_is_set_back(
    stage: Stage, back_s: int
) -> None:
    stage.set("daily", DAILY)
    await stage.pass_time(42)
    assert len(stage.done) == 1
    stage.time.set(-back_s)
    await stage.pass_time(back_s + 120, 1.0 if back_s < 100 else 10.0)
    assert len(stage.done) == 1
    await stage.pass_time(24 * 3600, 600.0)
    assert len(stage.done) == 2


@pytest.mark.parametrize("back_s", [3, 60, 3600])
async def test_a_job_of_every_ten_seconds_goes_on_when_the_clock_is_set_back(
    stage: Stage, back_s: int
) -> None:
    stage.set("often", EVERY_10_S)
    await stage.pass_time(12)
    assert len(stage.done) == 1
    stage.time.set(-back_s)
    await stage.pass_time(60)
    assert 6 <= len(stage.done) <= 7


async def test_a_job_that_was_not_done_yet_keeps_its_time_when_the_clock_is_set_back(
    stage: Stage,
) -> None:
    stage.set("daily", DAILY)
    stage.time.set(-30)
    await stage.pass_time(60)
    assert stage.done == []
    await stage.pass_time(12)
    assert [at[:5] for at in stage.times] == ["22:14"]


async def test_a_clock_set_forward_and_back_again_does_nothing_twice(stage: Stage) -> None:
    stage.set("hourly", EVERY_HOUR)
    stage.time.set(3600)
    await stage.pass_time(5)
    stage.time.set(-3600)
    await stage.pass_time(2900, 10.0)
    assert len(stage.done) == 1


# ---------------------------------------------------------------- jobs that fail, or hang


async def test_a_job_that_fails_is_logged_and_done_again(stage: Stage) -> None:
    tries = 0

    async def fail() -> None:
        nonlocal tries
        tries += 1
        raise ValueError("broken")

    stage.scheduler.set("job", EVERY_10_S, fail)
    with capture_logs() as logs:
        await stage.pass_time(25)
    assert tries == 2
    assert [entry["event"] for entry in logs] == ["job_failed"] * 2


async def test_a_job_is_not_begun_again_while_it_is_at_work(stage: Stage) -> None:
    gate, begun = asyncio.Event(), 0

    async def hang() -> None:
        nonlocal begun
        begun += 1
        await gate.wait()

    stage.scheduler.set("job", EVERY_10_S, hang)
    stage.set("other", EVERY_10_S)
    with capture_logs() as logs:
        await stage.pass_time(35)
    assert (begun, len(stage.done)) == (1, 3)
    assert {entry["event"] for entry in logs} == {"job_left_out"}
    gate.set()
    await turns()
    await stage.pass_time(10)
    assert begun == 2


async def test_closing_ends_jobs_at_work_and_does_nothing_any_more(stage: Stage) -> None:
    begun = asyncio.Event()

    async def hang() -> None:
        begun.set()
        await asyncio.Event().wait()

    stage.scheduler.set("job", EVERY_10_S, hang)
    await stage.pass_time(12)
    assert begun.is_set()
    await stage.scheduler.close()
    stage.set("late", EVERY_10_S)
    await stage.pass_time(12)
    assert stage.done == []


async def test_a_job_is_due_by_real_time_too() -> None:
    class Soon:
        def next_after(self, moment: float) -> float | None:
            return moment + 0.02

    done: list[float] = []
    scheduler = Scheduler(SystemClock())

    async def act() -> None:
        done.append(EPOCH)

    scheduler.set("job", Soon(), act)
    await eventually(lambda: len(done) >= 3)
    await scheduler.close()
