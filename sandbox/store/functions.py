"""Functions on disk. They are few and small: all are loaded at start, and each change is saved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from sandbox.functions.model import Function
from sandbox.store.database import reading, upsert, writing
from sandbox.store.tables import functions

if TYPE_CHECKING:
    from sqlalchemy import Engine


class FunctionRepository:
    """Saves and loads whole ``Function`` records. Owned by the function registry; blocking."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._upsert = upsert(engine, functions)

    def load_all(self) -> list[Function]:
        """All functions, ordered by namespace and name."""
        query = sa.select(functions.c.data).order_by(functions.c.namespace, functions.c.name)
        with reading(self._engine) as connection:
            return [Function.model_validate_json(data) for data in connection.scalars(query)]

    def save(self, function: Function) -> None:
        """Insert or replace ``function``; it is on disk when this returns."""
        row = {
            "namespace": function.namespace,
            "name": function.name,
            "function_id": function.function_id,
            "modified_at": function.latest.modified_at,
            "data": function.model_dump_json(),
        }
        with writing(self._engine, durable=True) as connection:
            connection.execute(self._upsert, row)

    def delete(self, namespace: str, name: str) -> None:
        """Forget a function; its invocations stay. Nothing happens if there is none."""
        statement = sa.delete(functions).where(
            functions.c.namespace == namespace, functions.c.name == name
        )
        with writing(self._engine, durable=True) as connection:
            connection.execute(statement)
