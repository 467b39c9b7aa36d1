"""Time that a test moves: a Clock, and the time of the running loop."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, cast

from tests.support.waiting import DEADLINE_S, turns

if TYPE_CHECKING:
    from collections.abc import Callable

#: 2023-11-14T22:13:20Z, seconds.
EPOCH = 1_700_000_000.0


class FakeClock:
    """A Clock that stands at ``at`` until a test moves it. Each ``now`` moves it by ``step_s``.

    A ``running`` clock shows the machine's time. ``ahead_s`` is how far the test has moved it.
    """

    def __init__(self, at: float = EPOCH, *, running: bool = False, step_s: float = 0.0) -> None:
        self.ahead_s = 0.0
        self._at = at
        self._running = running
        self._step_s = step_s

    def now(self) -> float:
        self.ahead_s += self._step_s
        return (time.time() if self._running else self._at) + self.ahead_s

    def monotonic(self) -> float:
        return (time.monotonic() if self._running else self._at) + self.ahead_s

    def tick(self, seconds: float) -> None:
        """Move the clock by ``seconds``."""
        self.ahead_s += seconds


class LoopTime:
    """Moves the time of the running loop. It is also a Clock of the same time."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self._ahead = 0.0
        self._set = 0.0
        self._real = loop.time
        self._start = loop.time()
        cast("Any", loop).time = self.monotonic

    def monotonic(self) -> float:
        return self._real() + self._ahead

    def now(self) -> float:
        return EPOCH + self.monotonic() - self._start + self._set

    def set(self, seconds: float) -> None:
        """Set the wall clock forward, or back if ``seconds`` is below 0. The loop's timers do not
        change."""
        self._set += seconds

    async def advance(self, seconds: float) -> None:
        """Move the time at once. Every timer that is due runs."""
        self._ahead += seconds
        await turns()

    async def advance_until(self, condition: Callable[[], bool], step_s: float) -> None:
        """Move the time by ``step_s`` again and again until ``condition`` holds.

        The deadline is in real time, because asyncio's timeouts use the loop's time.
        """
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline, f"did not come true within {DEADLINE_S} s"
            await self.advance(step_s)
