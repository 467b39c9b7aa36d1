"""A deadline that is set anew for every event, and hardly ever reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

#: The event loop's timers count in milliseconds from a time that may be as old as one: so much is
#: added that nothing ends too early. Seconds.
GRAIN_S = 0.001


class Deadline:
    """Calls an action at a time, unless it is lifted before.

    Making and cancelling a timer of the event loop costs more than most events do otherwise. So
    its timer is left running when the deadline is lifted or put off: when it fires, it looks at
    what the deadline is by then, and is started again for the rest.
    """

    __slots__ = ("_action", "_at", "_loop", "_timer", "_timer_at")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._action: Callable[[], None] | None = None
        self._at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0

    def set(self, seconds: float, action: Callable[[], None]) -> None:
        """Call ``action`` in so many seconds, instead of what was to be called before."""
        self._action = action
        self._at = self._loop.time() + seconds + GRAIN_S
        if self._timer is not None:
            if self._timer_at <= self._at:
                return
            self._timer.cancel()
        self._start()

    def lift(self) -> None:
        """Nothing is called any more."""
        self._action = None

    def close(self) -> None:
        """The same for good: no timer is left running."""
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
