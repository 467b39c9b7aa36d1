"""Old records and logs go: the platform keeps them for seven days (contract 2.3)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from sandbox.tasks import TaskOwner

if TYPE_CHECKING:
    from sandbox.clock import Clock
    from sandbox.store.records import RecordRepository

log = structlog.get_logger()

#: How often old records are looked for, seconds.
EVERY_S = 3600.0
DAY_S = 86_400


class Retention:
    """Drops what is older than ``days``, at start and then now and then."""

    def __init__(
        self, records: RecordRepository, clock: Clock, days: float, every_s: float = EVERY_S
    ) -> None:
        self._records = records
        self._clock = clock
        self._age_s = days * DAY_S
        self._every_s = every_s
        self._tasks = TaskOwner()

    def open(self) -> None:
        """Begin, on the running loop."""
        self._tasks.start(self._run())

    async def close(self) -> None:
        """Look no more. An attempt under way is waited for by its thread only."""
        await self._tasks.cancel()

    async def _run(self) -> None:
        while True:
            try:
                gone = await asyncio.to_thread(self._records.prune, self._clock.now() - self._age_s)
            except Exception as error:  # a task's boundary: the next attempt may succeed
                log.warning("records_not_pruned", error=str(error))
            else:
                if gone:
                    log.info("records_pruned", rows=gone)
            await asyncio.sleep(self._every_s)
