"""Where journalled items end: in the database, or refused by it one by one."""

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
    from sandbox.store.records import RecordRepository

log = structlog.get_logger(__name__)

#: Errors that lie in a row, and that trying again does not cure.
_ROW_ERRORS = (DataError, IntegrityError, ProgrammingError, ValueError, OverflowError)


class ItemSink:
    """Inserts items. One that the database refuses for what it is must not hold up the others."""

    def __init__(self, repository: RecordRepository) -> None:
        self._repository = repository

    def insert(self, items: Sequence[Item]) -> int:
        """Insert ``items``, in one transaction unless one of them is refused.

        Returns how many are in the database; each of the others has been logged. Raises
        SQLAlchemy's errors when the database fails: some of the items may be in it by then.
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
