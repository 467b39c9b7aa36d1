"""The events themselves: in memory as long as they are few and small, else read when needed."""

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

#: Bodies of waiting events that stay in memory, bytes together.
KEPT_BYTES = 64 * 1024 * 1024
#: What is read at once for one lane, at most.
READ_EVENTS = 64
READ_BYTES = 8 * 1024 * 1024
#: How long to wait after a read that failed, seconds.
READ_AGAIN_S = 1.0


class Bodies:
    """Sees to ``body`` of all queued events, so that a full queue does not fill the memory."""

    def __init__(self, repository: EventRepository) -> None:
        self._repository = repository
        self._kept = 0

    def keep(self, event: QueuedEvent) -> None:
        """Count the body that a newly accepted event has; over the limit it is let go at once."""
        self._kept += event.size
        if self._kept > KEPT_BYTES:
            self.let_go(event)

    def let_go(self, event: QueuedEvent) -> None:
        """Drop a body from memory; the disk still has it until the event is over."""
        if event.body is not None:
            self._kept -= event.size
            event.body = None

    async def read(self, events: Iterable[QueuedEvent]) -> list[QueuedEvent]:
        """Read the bodies of the first of some events, one at least. Errors are tried again.

        Returns the events whose body is not on disk any more: they cannot be run.
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
        """One body, from wherever it is; empty, and the log says so, when it is nowhere."""
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
