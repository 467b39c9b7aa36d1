"""When an instance's output may be taken for the next event's."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.clock import Clock

#: A runtime that asks for its next event so soon after a result may have lines under way that it
#: wrote before. One that takes longer (it starts a new process for the request) has not. Seconds.
SOON_S = 0.001
#: The lines have come when it has been quiet for so long, or at the latest after the second figure
#: (something may write on and on). Seconds.
QUIET_S = 0.005
QUIET_MAX_S = 0.05


class OutputGap:
    """What a function wrote comes by another way than its results, and may come later: then it
    would be taken for the next event's. So that one is held back for a moment.

    An instance that has written nothing since its first event is never held up.
    """

    __slots__ = ("_asked_at", "_clock", "_finished_at", "_heard_at")

    def __init__(self, clock: Clock) -> None:
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
        """Its runtime asks for an event."""
        if not self._asked_at:
            self._asked_at = self._clock.monotonic()

    def remaining(self) -> float | None:
        """Seconds for which the next event is to be held back; None: until the runtime asks."""
        if not self._heard_at:
            return 0.0
        now = self._clock.monotonic()
        if not self._asked_at:
            return None if now - self._finished_at < SOON_S else 0.0
        if self._asked_at - self._finished_at >= SOON_S:
            return 0.0
        quiet_at = max(self._finished_at, self._heard_at) + QUIET_S
        return max(0.0, min(quiet_at, self._finished_at + QUIET_MAX_S) - now)
