"""Tables of named records: layers, namespaces. The start loads all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

import sqlalchemy as sa
from pydantic import BaseModel

from sandbox.store.database import reading, upsert, writing
from sandbox.store.failures import parsed

if TYPE_CHECKING:
    from sqlalchemy import Engine, Table

M = TypeVar("M", bound=BaseModel)


class SqlCollectionRepository(Generic[M]):
    """A ``CollectionRepository``, see ``sandbox.functions.collection``: one table of one model.

    Errors of the database are ``PlatformError``.
    """

    def __init__(self, engine: Engine, table: Table, model: type[M]) -> None:
        self._engine = engine
        self._table = table
        self._model = model
        self._upsert = upsert(engine, table)

    def load_all(self) -> dict[str, M]:
        query = sa.select(self._table.c.name, self._table.c.data)
        with reading(self._engine) as connection:
            kind = self._model.__name__.lower()
            return {
                name: parsed(self._model, data, f'{kind} "{name}"', self._engine)
                for name, data in connection.execute(query)
            }

    def save(self, name: str, record: M) -> None:
        with writing(self._engine, durable=True) as connection:
            connection.execute(self._upsert, {"name": name, "data": record.model_dump_json()})

    def delete(self, name: str) -> None:
        with writing(self._engine, durable=True) as connection:
            connection.execute(sa.delete(self._table).where(self._table.c.name == name))
