"""The bodies of queued events: in memory up to a limit, otherwise read when needed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from sandbox.errors import PlatformError
from sandbox.events.model import Phase

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sandbox.events.model import QueuedEvent
    from sandbox.events.ports import EventRepository

log = structlog.get_logger()

#: The most bytes of bodies in memory, of all waiting events together.
KEPT_BYTES = 64 * 1024 * 1024
#: The most that one read takes for one lane.
READ_EVENTS = 64
READ_BYTES = 8 * 1024 * 1024
#: The time between a read that failed and the next attempt, seconds.
READ_AGAIN_S = 1.0


class Bodies:
    """Fills and empties ``body`` of queued events: a full queue must not fill the memory."""

    def __init__(self, repository: EventRepository) -> None:
        self._repository = repository
        self._kept = 0

    def keep(self, event: QueuedEvent) -> None:
        """Count the body of a newly accepted event. Above the limit, drop it at once."""
        self._kept += event.size
        if self._kept > KEPT_BYTES:
            self.let_go(event)

    def let_go(self, event: QueuedEvent) -> None:
        """Drop a body from memory. The disk has it until the event is over."""
        if event.body is not None:
            self._kept -= event.size
            event.body = None

    async def read(self, events: Iterable[QueuedEvent]) -> list[QueuedEvent]:
        """Read the bodies of the first of ``events``, at least one. Errors lead to another attempt.

        Returns the events whose body is missing on the disk: they cannot run.
        """
        wanted: list[QueuedEvent] = []
        size = 0
        for event in events:
            size += event.size
            if len(wanted) == READ_EVENTS or (wanted and size > READ_BYTES):
                break
            if event.body is None and event.phase is Phase.WAITING:
                wanted.append(event)
        bodies = await self._read([event.seq for event in wanted])
        missing: list[QueuedEvent] = []
        for event in wanted:
            if event.body is not None or event.phase is not Phase.WAITING:
                continue
            if event.seq in bodies:
                event.body = bodies[event.seq]
                self._kept += event.size
            else:
                missing.append(event)
        return missing

    async def of(self, event: QueuedEvent) -> bytes:
        """One body, from memory or the disk. If it is missing: empty, and an error in the log."""
        if event.body is not None:
            return event.body
        body = (await self._read([event.seq])).get(event.seq)
        if body is None:
            log.error("event_body_missing", request_id=event.request_id)
        return body or b""

    async def _read(self, seqs: list[int]) -> dict[int, bytes]:
        while True:
            try:
                return await asyncio.to_thread(self._repository.bodies, seqs)
            except PlatformError as error:
                log.error("events_not_read", reason=error.message)
                await asyncio.sleep(READ_AGAIN_S)
