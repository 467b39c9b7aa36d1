"""Group commit: many small changes in few transactions, each durable for its caller."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import structlog

from sandbox.errors import PlatformError, SandboxError
from sandbox.tasks import TaskOwner

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sandbox.events.model import Change

log = structlog.get_logger()

#: The most changes in one transaction, which holds the database's write lock. Bodies are large.
BATCH = 500


class GroupCommit:
    """Writes the changes that gather while a transaction is under way in the next one.

    One thread writes. ``write`` makes all changes of a batch durable, or raises and makes none.
    """

    def __init__(self, write: Callable[[Sequence[Change]], None]) -> None:
        self._write = write
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="event-commit")
        self._pending: list[tuple[Change, asyncio.Future[None]]] = []
        self._tasks = TaskOwner()
        self._draining = False

    async def commit(self, change: Change) -> None:
        """Wait until ``change`` is on disk. ``PlatformError`` if it cannot be written."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append((change, future))
        if not self._draining:
            self._draining = True
            self._tasks.start(self._drain())
        await future

    async def close(self) -> None:
        """Wait until every change is written, then end the thread."""
        await self._tasks.drain()
        self._thread.shutdown()

    async def _drain(self) -> None:
        try:
            while self._pending:
                batch, self._pending = self._pending[:BATCH], self._pending[BATCH:]
                error = await self._try(batch)
                for _, future in batch:
                    if future.done():
                        continue
                    if error is None:
                        future.set_result(None)
                    else:
                        future.set_exception(error)
        finally:
            self._draining = False

    async def _try(self, batch: list[tuple[Change, asyncio.Future[None]]]) -> SandboxError | None:
        """Write a batch. Returns the error, if any."""
        changes = [change for change, _ in batch]
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._thread, self._write, changes)
        except SandboxError as refused:
            return refused
        except Exception as broken:  # the task's boundary: the callers must not wait for ever
            log.exception("events_not_stored", changes=len(changes))
            return PlatformError(f"events could not be stored: {broken!r}")
        return None
