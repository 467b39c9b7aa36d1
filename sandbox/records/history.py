"""Past and running invocations, for whoever asks from the event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sandbox.records.report import render_log
from sandbox.store.records import OrderBy, ResultFilter

if TYPE_CHECKING:
    from sandbox.records.record import InvocationRecord
    from sandbox.store.records import RecordRepository
    from sandbox.store.writer import RecordWriter

__all__ = ["History", "OrderBy", "ResultFilter"]


class History:
    """Asks the records without blocking the loop, and never misses what was just written.

    Used by the APIs. Every query first waits until the writer has stored what it was given.
    """

    def __init__(self, records: RecordRepository, writer: RecordWriter) -> None:
        self._records = records
        self._writer = writer

    async def find(
        self,
        namespace: str,
        function_name: str | None = None,
        *,
        qualifier: str | None = None,
        request_id: str | None = None,
        result: ResultFilter | None = None,
        start: float | None = None,
        end: float | None = None,
        order_by: OrderBy = "start_time",
        descending: bool = True,
        offset: int = 0,
        limit: int = 20,
    ) -> tuple[int, list[InvocationRecord]]:
        """How many invocations match, and one page of them.

        ``start`` and ``end`` bound the time of the start, seconds since the epoch, both included.
        """
        await self._writer.flush()
        return await asyncio.to_thread(
            self._records.find,
            namespace,
            function_name,
            qualifier=qualifier,
            request_id=request_id,
            result=result,
            start=start,
            end=end,
            order_by=order_by,
            descending=descending,
            offset=offset,
            limit=limit,
        )

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
