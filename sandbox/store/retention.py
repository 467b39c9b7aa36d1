"""Old records and logs go: the platform keeps them for seven days (contract 2.3)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog
from sqlalchemy.exc import SQLAlchemyError

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
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                gone = await asyncio.to_thread(self._records.prune, self._clock.now() - self._age_s)
            except SQLAlchemyError as error:
                log.warning("records_not_pruned", error=str(error))
            else:
                if gone:
                    log.info("records_pruned", rows=gone)
            await asyncio.sleep(self._every_s)
