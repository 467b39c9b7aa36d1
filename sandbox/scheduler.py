"""Runs jobs at the times of their cron expressions.

Times are of the wall clock, which can be set. The scheduler looks at it at least once a second.

* Set forward: a job that was due in between runs once, at the next look.
* Set back: a job does not run again for the same time, unless its period has passed since. So a
  daily job does not run twice a day, and a job of every ten seconds does not wait an hour.

Times before a job is set, or while the sandbox is stopped, are skipped.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import structlog

from sandbox.tasks import TaskOwner

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

    from sandbox.clock import Clock

log = structlog.get_logger()

#: The scheduler looks at the clock this often, even if the next time is far away. Seconds.
LOOK_EVERY_S = 1.0
#: The event loop's timers count milliseconds, so an earlier look would find nothing due.
GRAIN_S = 0.001
#: After the clock was set back, this share of its period must pass before a job runs again.
WHOLE = 0.9


class Schedule(Protocol):
    """Says when a job is due. ``sandbox.cron.Cron`` is one."""

    def next_after(self, moment: float) -> float | None:
        """The first time after ``moment``, or None if no more follows. Both are seconds since the
        epoch."""
        ...


@dataclass(slots=True, eq=False)
class _Job:
    schedule: Schedule
    action: Callable[[], Awaitable[None]]
    due_at: float | None
    #: The last time for which the job ran, the steady clock then, and the seconds to the next time.
    met_at: float | None = None
    met_steady: float = 0.0
    period_s: float = 0.0
    running: bool = False

    def meet(self, now: float, steady: float) -> None:
        """The job runs now. Find its next time."""
        assert self.due_at is not None
        self.met_at, self.met_steady = self.due_at, steady
        following = self.schedule.next_after(self.due_at)
        self.period_s = 0.0 if following is None else following - self.due_at
        self.due_at = self.schedule.next_after(now)

    def set_back(self, now: float, steady: float) -> None:
        """The wall clock was set back to ``now``."""
        due_at = self.schedule.next_after(now)
        while due_at is not None and self.met_at is not None and due_at <= self.met_at:
            passed_s = steady + (due_at - now) - self.met_steady
            if self.period_s and passed_s >= WHOLE * self.period_s:
                break
            due_at = self.schedule.next_after(due_at)
        self.due_at = due_at


class Scheduler:
    """Owns the jobs, and one timer for all of them. It works on one event loop and needs no
    opening.

    A key names a job. A job that still runs is not started again: its time is skipped, with a
    warning. A job that fails is logged, and runs again at its next time.
    """

    def __init__(self, clock: Clock) -> None:
        """``clock`` says what time it is. Nothing runs before the first job is set."""
        self._clock = clock
        self._jobs: dict[Hashable, _Job] = {}
        self._tasks = TaskOwner()
        self._timer: asyncio.TimerHandle | None = None
        self._seen = clock.now()
        self._closed = False

    def set(self, key: Hashable, schedule: Schedule, action: Callable[[], Awaitable[None]]) -> None:
        """Run ``action`` at the times of ``schedule``, and replace the job that ``key`` named.

        A job whose schedule does not change keeps its next time.
        """
        job = self._jobs.get(key)
        if job is not None and job.schedule is schedule:
            job.action = action
            return
        self._jobs[key] = _Job(schedule, action, schedule.next_after(self._clock.now()))
        self._arm()

    def remove(self, key: Hashable) -> None:
        """Forget the job of this name, if there is one. If it runs, it runs to its end."""
        self._jobs.pop(key, None)
        self._arm()

    async def close(self) -> None:
        """Stop. Running jobs are cancelled."""
        self._closed = True
        self._jobs.clear()
        self._arm()
        await self._tasks.cancel()

    def _arm(self) -> None:
        """Set the timer for the next job, or for the next look at the clock if that is earlier."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        coming = [job.due_at for job in self._jobs.values() if job.due_at is not None]
        if coming and not self._closed:
            wait_s = max(min(coming) - self._clock.now(), GRAIN_S)
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(min(wait_s, LOOK_EVERY_S), self._look)

    def _look(self) -> None:
        now, steady = self._clock.now(), self._clock.monotonic()
        if now < self._seen:
            for job in self._jobs.values():
                job.set_back(now, steady)
        self._seen = now
        due = [
            (job.due_at, key, job)
            for key, job in self._jobs.items()
            if job.due_at is not None and job.due_at <= now
        ]
        for _, key, job in sorted(due, key=lambda item: item[0]):
            job.meet(now, steady)
            if job.running:
                log.warning("job_left_out", job=str(key), reason="it is still at work")
            else:
                job.running = True
                self._tasks.start(self._do(key, job))
        self._arm()

    async def _do(self, key: Hashable, job: _Job) -> None:
        try:
            await job.action()
        except Exception:  # a task's boundary: the job runs again at its next time
            log.exception("job_failed", job=str(key))
        finally:
            job.running = False
