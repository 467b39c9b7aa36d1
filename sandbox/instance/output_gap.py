"""Delays an event while output of the event before may still arrive."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.clock import Clock

#: A runtime that polls this soon after its result may have lines under way that it wrote before.
#: A runtime that takes longer (it starts a new process for the request) has none. Seconds.
SOON_S = 0.001
#: The lines have arrived when the output has been quiet for the first figure. The second figure is
#: the longest wait, because something may write on and on. Seconds.
QUIET_S = 0.005
QUIET_MAX_S = 0.05


class OutputGap:
    """Output and results arrive on different connections. Output that arrives late would be logged
    under the next event, so the next event is delayed briefly::

        event n    ....push
                       |--------- late lines of n ----->|
        moments     finished     asked           heard, the last time
                       |           |               |
                       |<-SOON_S-->|               |<-QUIET_S->| event n + 1 is handed out
                       |<---------------- at most QUIET_MAX_S -------------->|

    If it asks later than SOON_S after ``finished``, there is no delay. An instance that has
    written nothing since its first event is never delayed.
    """

    __slots__ = ("_asked_at", "_clock", "_finished_at", "_heard_at")

    def __init__(self, clock: Clock) -> None:
        """Nothing was heard yet, so nothing is delayed."""
        self._clock = clock
        self._finished_at = 0.0
        self._asked_at = 0.0
        self._heard_at = 0.0

    def heard(self) -> None:
        """It wrote something."""
        self._heard_at = self._clock.monotonic()

    def finished(self) -> None:
        """An event has ended."""
        self._finished_at = self._clock.monotonic()
        self._asked_at = 0.0

    def asked(self) -> None:
        """Its runtime polls. Only the first poll after an event counts."""
        if not self._asked_at:
            self._asked_at = self._clock.monotonic()

    def remaining(self) -> float | None:
        """For how many seconds the next event must still wait. None: until the runtime polls."""
        if not self._heard_at:
            return 0.0
        now = self._clock.monotonic()
        if not self._asked_at:
            return None if now - self._finished_at < SOON_S else 0.0
        if self._asked_at - self._finished_at >= SOON_S:
            return 0.0
        quiet_at = max(self._finished_at, self._heard_at) + QUIET_S
        return max(0.0, min(quiet_at, self._finished_at + QUIET_MAX_S) - now)
