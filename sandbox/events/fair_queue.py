"""The order in which waiting events run. Pure; in memory only."""

from __future__ import annotations

import heapq
from collections import deque
from typing import TYPE_CHECKING

from sandbox.events.model import Phase

if TYPE_CHECKING:
    from sandbox.events.model import QueuedEvent


class Lane:
    """The due events of one function and qualifier, in the order of arrival.

    ``loading`` is True while the bodies of its events are being read from the disk.
    """

    __slots__ = ("events", "key", "loading")

    def __init__(self, key: tuple[str, str, str]) -> None:
        self.key = key
        self.events: deque[QueuedEvent] = deque()
        self.loading = False


class FairQueue:
    """All waiting events. Lanes take turns, so that a long lane does not hold up the others."""

    def __init__(self) -> None:
        self._lanes: dict[tuple[str, str, str], Lane] = {}
        self._turns: deque[Lane] = deque()
        self._delayed: list[tuple[float, int, QueuedEvent]] = []

    def __len__(self) -> int:
        """The number of lanes with due events."""
        return len(self._turns)

    @property
    def next_due(self) -> float | None:
        """When the next delayed event is due (s since the epoch), or None if there is none."""
        return self._delayed[0][0] if self._delayed else None

    def add(self, event: QueuedEvent, now: float) -> None:
        """Put an event at the end of its lane, or aside until it is due."""
        if event.due_at > now:
            heapq.heappush(self._delayed, (event.due_at, event.seq, event))
            return
        lane = self._lanes.get(event.lane)
        if lane is None:
            lane = self._lanes[event.lane] = Lane(event.lane)
            self._turns.append(lane)
        lane.events.append(event)

    def release(self, now: float) -> None:
        """Move delayed events that are due to their lanes."""
        while self._delayed and self._delayed[0][0] <= now:
            self.add(heapq.heappop(self._delayed)[2], now)

    def turn(self) -> Lane:
        """The lane whose turn it is. The next call returns the next lane."""
        lane = self._turns[0]
        self._turns.rotate(-1)
        return lane

    def head(self, lane: Lane) -> QueuedEvent | None:
        """The first waiting event of a lane. If there is none: None, and the lane is removed.

        Events that ended while they waited are skipped.
        """
        while lane.events:
            if lane.events[0].phase is Phase.WAITING:
                return lane.events[0]
            lane.events.popleft()
        self._turns.remove(lane)
        del self._lanes[lane.key]
        return None
