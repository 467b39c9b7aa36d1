"""Many small changes, each durable before its caller goes on, in few transactions."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from sandbox.errors import PlatformError, SandboxError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sandbox.events.model import Change

#: Changes in one transaction, at most: it holds the database's write lock, and bodies are large.
BATCH = 500


class GroupCommit:
    """Writes what has gathered while the last transaction was under way, in one thread.

    ``write`` makes all changes of a batch durable, or none of them, and then raises.
    """

    def __init__(self, write: Callable[[Sequence[Change]], None]) -> None:
        self._write = write
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="event-commit")
        self._pending: list[tuple[Change, asyncio.Future[None]]] = []
        self._draining: asyncio.Task[None] | None = None

    async def commit(self, change: Change) -> None:
        """Wait until the change is on disk. Raises what the write raises (``PlatformError``)."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._pending.append((change, future))
        if self._draining is None:
            self._draining = loop.create_task(self._drain())
        await future

    async def close(self) -> None:
        """Wait for what was given to it."""
        if self._draining is not None:
            await self._draining
        self._thread.shutdown()

    async def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        while self._pending:
            batch, self._pending = self._pending[:BATCH], self._pending[BATCH:]
            error: SandboxError | None = None
            try:
                changes = [change for change, _ in batch]
                await loop.run_in_executor(self._thread, self._write, changes)
            except SandboxError as refused:
                error = refused
            except Exception as broken:  # a task's boundary: those who wait must be told
                error = PlatformError(f"events could not be stored: {broken!r}")
            for _, future in batch:
                if future.done():
                    continue
                if error is None:
                    future.set_result(None)
                else:
                    future.set_exception(error)
        self._draining = None
