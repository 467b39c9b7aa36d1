"""The order in which waiting events are served. Pure, and only in memory."""

from __future__ import annotations

import heapq
from collections import deque
from typing import TYPE_CHECKING

from sandbox.events.model import Phase

if TYPE_CHECKING:
    from sandbox.events.model import QueuedEvent


class Lane:
    """The events of one function and qualifier that are due, first come first.

    ``loading`` is True while bodies of its events are being read from the disk.
    """

    __slots__ = ("events", "key", "loading")

    def __init__(self, key: tuple[str, str, str]) -> None:
        self.key = key
        self.events: deque[QueuedEvent] = deque()
        self.loading = False


class FairQueue:
    """All waiting events. FairQueue take turns, so that a long one does not hold up the others."""

    def __init__(self) -> None:
        self._lanes: dict[tuple[str, str, str], Lane] = {}
        self._turns: deque[Lane] = deque()
        self._delayed: list[tuple[float, int, QueuedEvent]] = []

    def __len__(self) -> int:
        """How many lanes have events that are due."""
        return len(self._turns)

    @property
    def next_due(self) -> float | None:
        """When the next delayed event is due, seconds since the epoch."""
        return self._delayed[0][0] if self._delayed else None

    def add(self, event: QueuedEvent, now: float) -> None:
        """An event begins to wait: at the end of its lane, or until it is due."""
        if event.due_at > now:
            heapq.heappush(self._delayed, (event.due_at, event.seq, event))
            return
        lane = self._lanes.get(event.lane)
        if lane is None:
            lane = self._lanes[event.lane] = Lane(event.lane)
            self._turns.append(lane)
        lane.events.append(event)

    def release(self, now: float) -> None:
        """What has become due joins its lane."""
        while self._delayed and self._delayed[0][0] <= now:
            self.add(heapq.heappop(self._delayed)[2], now)

    def turn(self) -> Lane:
        """The lane whose turn it is; the next call gives the next one."""
        lane = self._turns[0]
        self._turns.rotate(-1)
        return lane

    def head(self, lane: Lane) -> QueuedEvent | None:
        """The first event of a lane; None, and the lane is gone, when there is none any more.

        Events that have been ended while they waited are left out.
        """
        while lane.events:
            if lane.events[0].phase is Phase.WAITING:
                return lane.events[0]
            lane.events.popleft()
        self._turns.remove(lane)
        del self._lanes[lane.key]
        return None
