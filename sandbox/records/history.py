"""Queries for past and running invocations, from the event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sandbox.records.report import render_log

if TYPE_CHECKING:
    from sandbox.records.ports import Flushing, RecordRepository
    from sandbox.records.query import RecordQuery
    from sandbox.records.record import InvocationRecord


class History:
    """Queries the records without blocking the loop. The APIs use it.

    Each query first waits until the writer has stored what it has, so that no new record is missed.
    Errors of the database are ``PlatformError``.
    """

    def __init__(self, records: RecordRepository, writer: Flushing) -> None:
        self._records = records
        self._writer = writer

    async def find(self, query: RecordQuery) -> tuple[int, list[InvocationRecord]]:
        """How many invocations match, and the page of them that ``query`` asks for."""
        await self._writer.flush()
        return await asyncio.to_thread(self._records.find, query)

    async def get(self, request_id: str) -> InvocationRecord | None:
        """The record of one request, or None if there is none (any more)."""
        await self._writer.flush()
        return await asyncio.to_thread(self._records.get, request_id)

    async def lines(self, request_id: str) -> list[tuple[float, str]]:
        """The function's own lines during a request: time (s since the epoch) and text."""
        await self._writer.flush()
        return await asyncio.to_thread(self._records.log_lines, request_id)

    async def log(self, request_id: str) -> str:
        """A request's whole log in the log query's dialect. Empty if there is no such request."""
        record = await self.get(request_id)
        return "" if record is None else (await self.logs([record]))[0]

    async def logs(self, records: list[InvocationRecord]) -> list[str]:
        """The logs of several requests, in the order of ``records``, from one query."""
        if not records:
            return []
        return await asyncio.to_thread(self._render, records)

    async def lines_of(self, records: list[InvocationRecord]) -> dict[str, list[tuple[float, str]]]:
        """The function's own lines of several requests, by request id, from one query."""
        return await asyncio.to_thread(self._lines_of, records)

    def _lines_of(self, records: list[InvocationRecord]) -> dict[str, list[tuple[float, str]]]:
        return self._records.log_lines_of([record.request_id for record in records])

    def _render(self, records: list[InvocationRecord]) -> list[str]:
        lines = self._lines_of(records)
        return [render_log(record, lines[record.request_id]) for record in records]
