"""Dead letters in the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from sandbox.events.model import DeadLetter
from sandbox.store.database import reading, writing
from sandbox.store.tables import dead_letters

if TYPE_CHECKING:
    from sqlalchemy import Engine


class SqlLetterRepository:
    """A ``LetterRepository``, see ``sandbox.events.ports``. Only ``SqlEventRepository`` writes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def find(
        self,
        namespace: str | None,
        function_name: str | None,
        dropped: bool | None,
        offset: int,
        limit: int,
    ) -> tuple[int, list[DeadLetter]]:
        c = dead_letters.c
        where = [
            column == value
            for column, value in (
                (c.namespace, namespace),
                (c.function_name, function_name),
                (c.dropped, dropped),
            )
            if value is not None
        ]
        page = (
            sa.select(dead_letters)
            .where(*where)
            .order_by(c.died_at.desc(), c.request_id.desc())
            .offset(offset)
            .limit(limit)
        )
        count = sa.select(sa.func.count()).select_from(dead_letters).where(*where)
        with reading(self._engine) as connection:
            return connection.scalar(count) or 0, [
                DeadLetter(*row) for row in connection.execute(page)
            ]

    def get(self, request_id: str) -> DeadLetter | None:
        query = sa.select(dead_letters).where(dead_letters.c.request_id == request_id)
        with reading(self._engine) as connection:
            row = connection.execute(query).first()
        return None if row is None else DeadLetter(*row)

    def delete(self, request_id: str) -> bool:
        statement = sa.delete(dead_letters).where(dead_letters.c.request_id == request_id)
        with writing(self._engine, durable=True) as connection:
            return connection.execute(statement).rowcount > 0
