"""A deadline that is set for every event and seldom reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

#: The event loop's timers count whole milliseconds, from a time that may be one millisecond old.
#: Adding one millisecond keeps every deadline from firing early. Seconds.
GRAIN_S = 0.001


class Deadline:
    """Calls an action at a set time, unless it is lifted before.

    Making and cancelling a timer of the event loop takes longer than the rest of most events. So
    the timer keeps running when the deadline is lifted or put off. When it fires, it compares the
    time with the present deadline, and starts again for what is left.
    """

    __slots__ = ("_action", "_at", "_loop", "_timer", "_timer_at")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._action: Callable[[], None] | None = None
        self._at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0

    def set(self, seconds: float, action: Callable[[], None]) -> None:
        """Call ``action`` after ``seconds``. This replaces an action that was set before."""
        self._action = action
        self._at = self._loop.time() + seconds + GRAIN_S
        if self._timer is not None:
            if self._timer_at <= self._at:
                return
            self._timer.cancel()
        self._start()

    def lift(self) -> None:
        """Call nothing; the timer may go on."""
        self._action = None

    def close(self) -> None:
        """Call nothing, and stop the timer."""
        self._action = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start(self) -> None:
        self._timer_at = self._at
        self._timer = self._loop.call_at(self._at, self._fired)

    def _fired(self) -> None:
        self._timer = None
        action = self._action
        if action is None:
            return
        if self._loop.time() < self._at:
            self._start()
            return
        self._action = None
        action()
