"""Brings items of the journal into the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from sqlalchemy.exc import DataError, IntegrityError, ProgrammingError

from sandbox.store.failures import reason_of
from sandbox.store.journal import CHUNK, RECORD
from sandbox.store.rows import record_row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox.store.journal import Item
    from sandbox.store.records import SqlRecordRepository

log = structlog.get_logger(__name__)

#: Errors of a row. Another attempt fails as well.
_ROW_ERRORS = (DataError, IntegrityError, ProgrammingError, ValueError, OverflowError)


class ItemSink:
    """Inserts items. One item that the database refuses does not hold up the others."""

    def __init__(self, repository: SqlRecordRepository) -> None:
        self._repository = repository

    def insert(self, items: Sequence[Item]) -> int:
        """Insert ``items`` in one transaction, or in several if one of them is refused.

        Returns how many are in the database; each refused one is logged. If the database fails it
        raises SQLAlchemy's errors, and some of the items may be in the database.
        """
        records = [record_row(item.row) for item in items if item.kind == RECORD]
        chunks = [item.row for item in items if item.kind == CHUNK]
        try:
            self._repository.insert_rows(records, chunks)
        except _ROW_ERRORS as error:
            if len(items) == 1:
                log.error("record_refused", key=items[0].row[:3], error=reason_of(error))
                return 0
            middle = len(items) // 2
            return self.insert(items[:middle]) + self.insert(items[middle:])
        return len(items)
