"""Past and running invocations, for whoever asks from the event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sandbox.records.report import render_log

if TYPE_CHECKING:
    from sandbox.records.ports import Flushing, RecordRepository
    from sandbox.records.query import RecordQuery
    from sandbox.records.record import InvocationRecord


class History:
    """Asks the records without blocking the loop, and never misses what was just written.

    Used by the APIs. Every query first waits until the writer has stored what it was given.
    """

    def __init__(self, records: RecordRepository, writer: Flushing) -> None:
        self._records = records
        self._writer = writer

    async def find(self, query: RecordQuery) -> tuple[int, list[InvocationRecord]]:
        """How many invocations match, and the page of them that was asked for."""
        await self._writer.flush()
        return await asyncio.to_thread(self._records.find, query)

    async def get(self, request_id: str) -> InvocationRecord | None:
        """The record of one request, or None when there is none (any more)."""
        await self._writer.flush()
        return await asyncio.to_thread(self._records.get, request_id)

    async def lines(self, request_id: str) -> list[tuple[float, str]]:
        """What the function itself wrote during a request: times (s since the epoch) and texts."""
        await self._writer.flush()
        return await asyncio.to_thread(self._records.log_lines, request_id)

    async def log(self, request_id: str) -> str:
        """A request's whole log in the log query's dialect; empty when there is no such request."""
        record = await self.get(request_id)
        return "" if record is None else (await self.logs([record]))[0]

    async def logs(self, records: list[InvocationRecord]) -> list[str]:
        """The logs of several requests, in the same order, asked for together."""
        if not records:
            return []
        return await asyncio.to_thread(self._render, records)

    def _render(self, records: list[InvocationRecord]) -> list[str]:
        lines = self._records.log_lines_of([record.request_id for record in records])
        return [render_log(record, lines[record.request_id]) for record in records]
