"""Functions in the database. The start loads all of them, and each change is saved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from sandbox.functions.model import Function
from sandbox.store.database import reading, upsert, writing
from sandbox.store.failures import parsed
from sandbox.store.tables import functions

if TYPE_CHECKING:
    from sqlalchemy import Engine


class SqlFunctionRepository:
    """A ``FunctionRepository``, see ``sandbox.functions.registry``.

    Errors of the database are ``PlatformError``. Functions are ordered by namespace and name.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._upsert = upsert(engine, functions)

    def load_all(self) -> list[Function]:
        c = functions.c
        query = sa.select(c.namespace, c.name, c.data).order_by(c.namespace, c.name)
        with reading(self._engine) as connection:
            return [
                parsed(Function, data, f'function "{namespace}/{name}"', self._engine)
                for namespace, name, data in connection.execute(query)
            ]

    def save(self, function: Function) -> None:
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
        statement = sa.delete(functions).where(
            functions.c.namespace == namespace, functions.c.name == name
        )
        with writing(self._engine, durable=True) as connection:
            connection.execute(statement)
