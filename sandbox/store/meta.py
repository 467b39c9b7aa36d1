"""Facts of the installation, by key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from sandbox.store.database import upsert, write_transaction
from sandbox.store.tables import meta

if TYPE_CHECKING:
    from sqlalchemy import Engine


class MetaRepository:
    """A small durable mapping of texts. Blocking."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._upsert = upsert(engine, meta)

    def get(self, key: str) -> str | None:
        with self._engine.connect() as connection:
            return connection.scalar(sa.select(meta.c.value).where(meta.c.key == key))

    def put(self, key: str, value: str) -> None:
        """Set ``key``; on disk when this returns."""
        with write_transaction(self._engine, durable=True) as connection:
            connection.execute(self._upsert, {"key": key, "value": value})
