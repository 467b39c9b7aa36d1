"""What the records ask of whoever stores them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox.records.query import RecordQuery
    from sandbox.records.record import InvocationRecord, LogChunk


class RecordRepository(Protocol):
    """Invocations and their logs on disk. All methods block: call them from a thread."""

    def find(self, query: RecordQuery, /) -> tuple[int, list[InvocationRecord]]:
        """How many invocations match, and the page of them that was asked for."""
        ...

    def get(self, request_id: str, /) -> InvocationRecord | None:
        """The record of one request, or None when there is none."""
        ...

    def log_lines(self, request_id: str, /) -> list[tuple[float, str]]:
        """The lines of a request in the order of writing: time (s since the epoch) and text."""
        ...

    def log_lines_of(self, request_ids: Sequence[str], /) -> dict[str, list[tuple[float, str]]]:
        """``log_lines`` of many requests at once; those without any have an empty list."""
        ...


class Flushing(Protocol):
    """Writes records behind the callers' backs."""

    async def flush(self) -> bool:
        """Wait until all that was given to it so far is stored; False when that takes too long."""
        ...


class RecordSink(Protocol):
    """Where records and lines are safe at once: the record writer."""

    def put(self, record: InvocationRecord, /) -> None:
        """Take a record. Neither waits nor fails."""
        ...

    def put_log(self, chunk: LogChunk, /) -> None:
        """Take some lines. Neither waits nor fails."""
        ...
