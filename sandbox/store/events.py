"""Asynchronous events in the database, and the states of traced ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from sandbox.events.model import QueuedEvent, TracedEvent
from sandbox.store.bulk import BulkUpsert
from sandbox.store.database import reading, writing
from sandbox.store.tables import dead_letters, event_states, events

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox.events.model import Change, Deferral, TraceQuery
    from sandbox.store.rows import Row

_PER_STATEMENT = 500
_HEAD = [column.name for column in events.columns if column.name != "body"]


class SqlEventRepository:
    """An ``EventRepository``, see ``sandbox.events.ports``."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._events = BulkUpsert(engine, events)
        self._states = BulkUpsert(engine, event_states)
        self._letters = BulkUpsert(engine, dead_letters)

    def apply(self, changes: Sequence[Change]) -> None:
        accepted = [_event_row(change.accept) for change in changes if change.accept]
        deferred = [_deferral(change.defer) for change in changes if change.defer]
        settled = [change.settle for change in changes if change.settle is not None]
        with writing(self._engine, durable=bool(accepted)) as connection:
            self._events.run(connection, accepted)
            self._states.run(connection, [tuple(c.trace) for c in changes if c.trace])
            self._letters.run(connection, [tuple(c.letter) for c in changes if c.letter])
            if deferred:
                connection.execute(_DEFER, deferred)
            for start in range(0, len(settled), _PER_STATEMENT):
                part = settled[start : start + _PER_STATEMENT]
                connection.execute(sa.delete(events).where(events.c.seq.in_(part)))

    def load(self) -> list[QueuedEvent]:
        query = sa.select(*(events.c[name] for name in _HEAD)).order_by(events.c.seq)
        with reading(self._engine) as connection:
            return [QueuedEvent(**row._mapping) for row in connection.execute(query)]

    def bodies(self, seqs: Sequence[int]) -> dict[int, bytes]:
        query = sa.select(events.c.seq, events.c.body).where(events.c.seq.in_(seqs))
        with reading(self._engine) as connection:
            return {seq: bytes(body) for seq, body in connection.execute(query)}

    def prune(self, ended_before: float) -> int:
        c, d = event_states.c, dead_letters.c
        old = sa.delete(event_states).where(c.ended_at > 0, c.ended_at < ended_before)
        dropped = sa.delete(dead_letters).where(d.dropped, d.died_at < ended_before)
        with writing(self._engine) as connection:
            return connection.execute(old).rowcount + connection.execute(dropped).rowcount

    def state(self, request_id: str) -> TracedEvent | None:
        query = sa.select(event_states).where(event_states.c.request_id == request_id)
        with reading(self._engine) as connection:
            row = connection.execute(query).first()
        return None if row is None else TracedEvent(*row)

    def states(
        self, namespace: str, function_name: str, query: TraceQuery, ended_since: float
    ) -> tuple[int, list[TracedEvent]]:
        c = event_states.c
        where = [
            c.namespace == namespace,
            c.function_name == function_name,
            sa.or_(c.ended_at == 0, c.ended_at >= ended_since),
            *_conditions(query),
        ]
        order = [c.ended_at if query.by_end else c.started_at, c.request_id]
        page = (
            sa.select(event_states)
            .where(*where)
            .order_by(*(column.desc() if query.descending else column.asc() for column in order))
            .offset(query.offset)
            .limit(query.limit)
        )
        count = sa.select(sa.func.count()).select_from(event_states).where(*where)
        with reading(self._engine) as connection:
            return connection.scalar(count) or 0, [
                TracedEvent(*row) for row in connection.execute(page)
            ]


def _conditions(query: TraceQuery) -> list[sa.ColumnElement[bool]]:
    c = event_states.c
    where: list[sa.ColumnElement[bool]] = []
    if query.version is not None:
        where.append(c.version == query.version)
    if query.request_id is not None:
        where.append(c.request_id == query.request_id)
    if query.invoke_types:
        where.append(c.invoke_type.in_(query.invoke_types))
    if query.statuses:
        where.append(c.status.in_(query.statuses))
    if query.started is not None:
        where += [c.started_at >= query.started[0], c.started_at < query.started[1]]
    if query.ended is not None:
        where += [c.ended_at > 0, c.ended_at >= query.ended[0], c.ended_at < query.ended[1]]
    return where


#: Sets the columns that the parameters name. ``key`` is the event's ``seq``.
_DEFER = sa.update(events).where(events.c.seq == sa.bindparam("key"))


def _deferral(deferral: Deferral) -> dict[str, Any]:
    changed = deferral._asdict()
    return {"key": changed.pop("seq"), **changed}


def _event_row(event: QueuedEvent) -> Row:
    return tuple(getattr(event, column.name) for column in events.columns)
