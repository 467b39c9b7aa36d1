"""Jobs that are done at the times that a cron expression names.

Times are the wall clock's, which can be set. The scheduler looks at it every second at least:

* Set forward: what fell due in between is done once, at the next look.
* Set back: a time that was met is not met again, unless the job's whole period has passed since. So
  a daily job is not done twice a day, and one of every ten seconds does not wait for an hour.

What falls due before a job is set, or while the sandbox is stopped, is not made up for.
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

#: However far away the next time is, the clock is looked at so often, seconds.
LOOK_EVERY_S = 1.0
#: Timers of the event loop count in milliseconds: an earlier look would find nothing due.
GRAIN_S = 0.001
#: So much of its period passes before a job is done again at a time that was met already.
WHOLE = 0.9


class Schedule(Protocol):
    """When a job is due: ``sandbox.cron.Cron`` is one."""

    def next_after(self, moment: float) -> float | None:
        """The first time after ``moment``, or None when there is none any more. Both are seconds
        since the epoch."""
        ...


@dataclass(slots=True, eq=False)
class _Job:
    schedule: Schedule
    action: Callable[[], Awaitable[None]]
    due_at: float | None
    #: The time that was met last; when, by the steady clock; how far from it the next one is.
    met_at: float | None = None
    met_steady: float = 0.0
    period_s: float = 0.0
    running: bool = False

    def meet(self, now: float, steady: float) -> None:
        """It is due, and is done now; look for the next time."""
        assert self.due_at is not None
        self.met_at, self.met_steady = self.due_at, steady
        following = self.schedule.next_after(self.due_at)
        self.period_s = 0.0 if following is None else following - self.due_at
        self.due_at = self.schedule.next_after(now)

    def set_back(self, now: float, steady: float) -> None:
        """The wall clock went back to ``now``."""
        due_at = self.schedule.next_after(now)
        while due_at is not None and self.met_at is not None and due_at <= self.met_at:
            passed_s = steady + (due_at - now) - self.met_steady
            if self.period_s and passed_s >= WHOLE * self.period_s:
                break
            due_at = self.schedule.next_after(due_at)
        self.due_at = due_at


class Scheduler:
    """Owns jobs and the one timer for all of them. Lives on one event loop, without being opened.

    A job is named by a key. It is not begun again while it is at work: a time that comes up then is
    left out, with a warning. A job that fails is logged, and done again at its next time.
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
        """Do ``action`` whenever ``schedule`` says, from now on, instead of what ``key`` named.

        With the schedule that it has already, a job keeps its place in it.
        """
        job = self._jobs.get(key)
        if job is not None and job.schedule is schedule:
            job.action = action
            return
        self._jobs[key] = _Job(schedule, action, schedule.next_after(self._clock.now()))
        self._arm()

    def remove(self, key: Hashable) -> None:
        """Forget a job, if there is one of that name. If it is at work, it comes to its end."""
        self._jobs.pop(key, None)
        self._arm()

    async def close(self) -> None:
        """Do nothing any more. Jobs at work are cancelled."""
        self._closed = True
        self._jobs.clear()
        self._arm()
        await self._tasks.cancel()

    def _arm(self) -> None:
        """Look at the clock when the next job is due, if that is soon."""
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
        except Exception:  # a task's boundary: it is done again at its next time
            log.exception("job_failed", job=str(key))
        finally:
            job.running = False
