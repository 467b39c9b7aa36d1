"""The meeting of one event with one runtime: polls, deliveries and pushes.

There is no request id in the runtime API's paths, so everything about which push answers which
event is decided here (contract sections 1.3 and 10).
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


class Event(NamedTuple):
    """What answers a poll. ``time_limit_ms`` is the function's Timeout."""

    request_id: str
    memory_limit_mb: int
    time_limit_ms: int
    body: bytes


class Push(Enum):
    """What became of a push."""

    ACCEPTED = "accepted"
    IGNORED_LATE = "ignored: the event has its result already"
    IGNORED_ORPHAN = "ignored: there is no event outstanding"


class Rendezvous:
    """One instance's polls, and the event it works on. Single-threaded; does no I/O.

    A poller is a callable that is given the event once. An event that was handed out k times may
    be answered k times. After its end the next event waits until the surplus pushes have come, or
    until ``settle_s`` seconds have passed. So none of them ends the next event.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, settle_s: float = 0.1) -> None:
        """``loop`` runs the one timer, for ``settle_s`` seconds."""
        self._loop = loop
        self._settle_s = settle_s
        self._parked: list[Callable[[Event], None]] = []
        self._event: Event | None = None
        #: How many times the present event was handed out. For others to read.
        self.delivered = 0
        self._surplus = 0
        self._held: Callable[[], None] | None = None
        self._settle_timer: asyncio.TimerHandle | None = None

    def poll(self, poller: Callable[[Event], None]) -> None:
        """A runtime asks for an event. It gets the present one at once, else it is parked."""
        if self._event is not None:
            self.delivered += 1
            poller(self._event)
        else:
            self._parked.append(poller)

    def unpark(self, poller: Callable[[Event], None]) -> None:
        """The poll's connection is gone."""
        if poller in self._parked:
            self._parked.remove(poller)

    def when_settled(self, action: Callable[[], None]) -> None:
        """Run ``action`` now, or as soon as no surplus push can be mistaken for a new event's."""
        if self._settle_timer is None:
            action()
        else:
            self._held = action

    def offer(self, event: Event) -> None:
        """A new event. Every parked poll gets it, and every poll until its end."""
        self._event = event
        self.delivered = len(self._parked)
        if self._parked:
            parked, self._parked = self._parked, []
            for poller in parked:
                poller(event)

    def push(self) -> Push:
        """A result or an error arrives. If it is accepted, the caller ends the event."""
        if self._event is not None and self.delivered:
            return Push.ACCEPTED
        if self._surplus:
            self._surplus -= 1
            if not self._surplus:
                self._settled()
            return Push.IGNORED_LATE
        return Push.IGNORED_ORPHAN

    def finish(self) -> None:
        """The present event has its terminal state."""
        surplus, self._surplus = self.delivered - 1, 0
        self._event = None
        self.delivered = 0
        if surplus > 0:
            self._surplus = surplus
            self._settle_timer = self._loop.call_later(self._settle_s, self._settled)

    def close(self) -> None:
        """Forget everything. Nothing that was held runs any more."""
        self._parked.clear()
        self._event = None
        self._held = None
        if self._settle_timer is not None:
            self._settle_timer.cancel()
            self._settle_timer = None

    def _settled(self) -> None:
        if self._settle_timer is not None:
            self._settle_timer.cancel()
            self._settle_timer = None
        self._surplus = 0
        held, self._held = self._held, None
        if held is not None:
            held()
