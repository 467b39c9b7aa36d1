"""The store, as the records need it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox.records.query import RecordQuery
    from sandbox.records.record import InvocationRecord, LogChunk


class RecordRepository(Protocol):
    """Invocations and their logs on disk. All methods block: call them from a thread.

    Errors of the database are ``PlatformError``.
    """

    def find(self, query: RecordQuery, /) -> tuple[int, list[InvocationRecord]]:
        """How many invocations match, and the page of them that ``query`` asks for."""
        ...

    def get(self, request_id: str, /) -> InvocationRecord | None:
        """The record of one request, or None if there is none."""
        ...

    def log_lines(self, request_id: str, /) -> list[tuple[float, str]]:
        """The lines of a request in the order of writing: time (s since the epoch) and text."""
        ...

    def log_lines_of(self, request_ids: Sequence[str], /) -> dict[str, list[tuple[float, str]]]:
        """``log_lines`` of many requests at once. A request without lines has an empty list."""
        ...


class Flushing(Protocol):
    """A writer of records that stores them later: the record writer."""

    async def flush(self) -> bool:
        """Wait until every record put so far is stored. False if that takes too long."""
        ...


class RecordSink(Protocol):
    """Takes records and log lines, which are safe at once: the record writer."""

    def put(self, record: InvocationRecord, /) -> None:
        """Take a record. Neither waits nor fails."""
        ...

    def put_log(self, chunk: LogChunk, /) -> None:
        """Take a chunk of log lines. Neither waits nor fails."""
        ...
