"""Deletes old records and logs. The platform keeps them for seven days (contract 2.3)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from sandbox.tasks import TaskOwner

if TYPE_CHECKING:
    from sandbox.clock import Clock
    from sandbox.store.records import SqlRecordRepository

log = structlog.get_logger()

#: The time between two deletions, seconds.
EVERY_S = 3600.0
DAY_S = 86_400


class Retention:
    """Deletes records and logs that are older than ``days``: at the start, then every hour."""

    def __init__(
        self, records: SqlRecordRepository, clock: Clock, days: float, every_s: float = EVERY_S
    ) -> None:
        self._records = records
        self._clock = clock
        self._age_s = days * DAY_S
        self._every_s = every_s
        self._tasks = TaskOwner()

    def open(self) -> None:
        """Start on the running loop."""
        self._tasks.start(self._run())

    async def close(self) -> None:
        """Stop. A deletion under way goes on in its thread."""
        await self._tasks.cancel()

    async def _run(self) -> None:
        while True:
            try:
                gone = await asyncio.to_thread(self._records.prune, self._clock.now() - self._age_s)
            except Exception as error:  # the task's boundary: the next attempt may succeed
                log.warning("records_not_pruned", error=str(error))
            else:
                if gone:
                    log.info("records_pruned", rows=gone)
            await asyncio.sleep(self._every_s)
