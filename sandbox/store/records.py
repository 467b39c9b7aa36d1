"""Invocations and their logs in the database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from sandbox.records.query import ResultFilter
from sandbox.status import StatusCode
from sandbox.store.bulk import BulkUpsert
from sandbox.store.database import reading, write_transaction, writing
from sandbox.store.rows import chunk_row, lines_of, record_of, record_row
from sandbox.store.tables import events, invocations, log_chunks

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sandbox.records.query import RecordQuery
    from sandbox.records.record import InvocationRecord, LogChunk
    from sandbox.store.rows import Row

_ORDER_COLUMNS = {
    "function_name": (invocations.c.function_name, invocations.c.started_at),
    "duration": (invocations.c.duration_ms, invocations.c.started_at),
    "mem_usage": (invocations.c.mem_usage, invocations.c.started_at),
    "start_time": (invocations.c.started_at,),
}

_PRUNED_AT_ONCE = 5_000
_ASKED_AT_ONCE = 500


#: The status codes of three kinds. Time: the run or the initialisation took too long. Resource: the
#: memory, the concurrency or the machine ran out. User code: it threw, ended its process or cannot
#: start. Only ``not0`` finds the others: event or response too large, cancelled, our own failures.
_STATUSES: dict[ResultFilter, tuple[int, ...]] = {
    ResultFilter.TIME_LIMIT_EXCEEDED: (StatusCode.TIMEOUT, StatusCode.INIT_TIMEOUT),
    ResultFilter.RESOURCE_LIMIT_EXCEEDED: (
        StatusCode.RESOURCE_LIMIT_REACHED,
        StatusCode.OUT_OF_MEMORY,
        StatusCode.INSUFFICIENT_RESOURCES,
    ),
    ResultFilter.USER_CODE_EXCEPTION: (
        StatusCode.USER_CODE_EXCEPTION,
        StatusCode.PROCESS_EXIT,
        StatusCode.USER_CODE_ERROR,
    ),
}


@dataclass(frozen=True, slots=True)
class StoreCounts:
    """The number of rows of each table."""

    invocations: int
    log_chunks: int


class SqlRecordRepository:
    """A ``RecordRepository``, see ``sandbox.records.ports``, that can also write.

    All methods block: call them from a thread. Errors of the database are ``PlatformError``.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._invocations = BulkUpsert(engine, invocations)
        self._log_chunks = BulkUpsert(engine, log_chunks)

    def insert(self, records: Iterable[InvocationRecord], chunks: Iterable[LogChunk]) -> None:
        """Insert or replace in one transaction. Doing it again changes nothing.

        A record replaces the one with its ``request_id``, as an ended one replaces the running one.
        A chunk replaces the one with its ``request_id``, ``instance_id`` and ``seq``. Errors are
        SQLAlchemy's own.
        """
        self.insert_rows([record_row(item) for item in records], [chunk_row(c) for c in chunks])

    def insert_rows(self, record_rows: Sequence[Row], chunk_rows: Sequence[Row]) -> None:
        """``insert`` for rows. Errors are SQLAlchemy's own: the writer tells bad rows by them."""
        with write_transaction(self._engine) as connection:
            self._invocations.run(connection, record_rows)
            self._log_chunks.run(connection, chunk_rows)

    def get(self, request_id: str) -> InvocationRecord | None:
        """The record of one request, or None when there is none."""
        query = sa.select(invocations).where(invocations.c.request_id == request_id)
        with reading(self._engine) as connection:
            row = connection.execute(query).first()
        return None if row is None else record_of(row)

    def find(self, query: RecordQuery) -> tuple[int, list[InvocationRecord]]:
        """How many invocations match, and the page of them that ``query`` asks for."""
        where = _conditions(query)
        order = [*_ORDER_COLUMNS[query.order_by], invocations.c.request_id]
        page = (
            sa.select(invocations)
            .where(*where)
            .order_by(*(column.desc() if query.descending else column.asc() for column in order))
            .offset(query.offset)
            .limit(query.limit)
        )
        count = sa.select(sa.func.count()).select_from(invocations).where(*where)
        with reading(self._engine) as connection:
            total = connection.scalar(count) or 0
            rows = connection.execute(page).all() if total > query.offset else []
        return total, [record_of(row) for row in rows]

    def log_lines(self, request_id: str, instance_id: str | None = None) -> list[tuple[float, str]]:
        """The lines of a request in the order of writing: time (s since the epoch) and text.

        With ``instance_id`` only the lines of that instance. An empty ``request_id`` then finds the
        lines outside any request.
        """
        c = log_chunks.c
        query = sa.select(c.lines).where(c.request_id == request_id)
        if instance_id is not None:
            query = query.where(c.instance_id == instance_id).order_by(c.seq)
        else:
            query = query.order_by(c.first_ts, c.instance_id, c.seq)
        with reading(self._engine) as connection:
            chunks = connection.scalars(query).all()
        return [line for chunk in chunks for line in lines_of(chunk)]

    def log_lines_of(self, request_ids: Sequence[str]) -> dict[str, list[tuple[float, str]]]:
        """``log_lines`` of many requests at once. A request without lines has an empty list."""
        c = log_chunks.c
        found: dict[str, list[tuple[float, str]]] = {key: [] for key in request_ids}
        keys = list(found)
        with reading(self._engine) as connection:
            for start in range(0, len(keys), _ASKED_AT_ONCE):
                query = (
                    sa.select(c.request_id, c.lines)
                    .where(c.request_id.in_(keys[start : start + _ASKED_AT_ONCE]))
                    .order_by(c.request_id, c.first_ts, c.instance_id, c.seq)
                )
                for request_id, lines in connection.execute(query):
                    found[request_id] += lines_of(lines)
        return found

    def prune(self, before: float) -> int:
        """Delete records and lines older than ``before`` (s since the epoch); how many rows.

        Many short transactions let other writers in between.
        """
        return sum(
            self._delete_before(column, before)
            for column in (invocations.c.started_at, log_chunks.c.first_ts)
        )

    def _delete_before(self, column: sa.Column[float], before: float) -> int:
        keys = list(column.table.primary_key)
        old = sa.select(*keys).where(column < before).order_by(column).limit(_PRUNED_AT_ONCE)
        statement = sa.delete(column.table).where(sa.tuple_(*keys).in_(old))
        deleted = 0
        while True:
            with writing(self._engine) as connection:
                part = connection.execute(statement).rowcount
            deleted += part
            if part < _PRUNED_AT_ONCE:
                return deleted

    def end_interrupted(self, started_before: float, message: str) -> int:
        """Mark invocations that an earlier process left running as failed by us; how many.

        ``started_before`` (s since the epoch) is when this process started. Invocations of queued
        events are left alone: the queue runs them again.
        """
        c = invocations.c
        statement = (
            sa.update(invocations)
            .where(c.status_code == StatusCode.RUNNING, c.started_at < started_before)
            .where(c.request_id.not_in(sa.select(events.c.request_id)))
            .values(status_code=StatusCode.INTERNAL_ERROR, ret_msg=message, ended_at=c.started_at)
        )
        with writing(self._engine) as connection:
            return connection.execute(statement).rowcount

    def counts(self) -> StoreCounts:
        """The number of invocations and log chunks."""
        with reading(self._engine) as connection:
            return StoreCounts(
                *(
                    connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0
                    for table in (invocations, log_chunks)
                )
            )


def _conditions(query: RecordQuery) -> list[sa.ColumnElement[bool]]:
    c = invocations.c
    where: list[sa.ColumnElement[bool]] = []
    if query.function_name is not None:
        where = [c.namespace == query.namespace, c.function_name == query.function_name]
    else:
        # An expression keeps SQLite from the index by namespace, which it would have to sort. It
        # walks the index by time.
        where = [c.namespace + "" == query.namespace]
    if query.qualifier is not None:
        where.append(sa.or_(c.version == query.qualifier, c.qualifier == query.qualifier))
    if query.request_id is not None:
        where.append(c.request_id == query.request_id)
    if query.result is not None:
        where.append(_result_clause(query.result))
    if query.start is not None:
        where.append(c.started_at >= query.start)
    if query.end is not None:
        where.append(c.started_at <= query.end)
    return where


def _result_clause(result: ResultFilter) -> sa.ColumnElement[bool]:
    status = invocations.c.status_code
    if result is ResultFilter.SUCCEEDED:
        return status == StatusCode.SUCCESS
    if result is ResultFilter.FAILED:
        return status.not_in((StatusCode.SUCCESS, StatusCode.RUNNING))
    return status.in_(_STATUSES[result])
