"""Writes many rows into one table without holding up the event loop."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from sandbox.errors import PlatformError
from sandbox.store.database import upsert

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Engine, Table

    from sandbox.store.rows import Row

#: Rows per statement. 20 columns times this stay below SQLite's 32,766 parameters.
_STATEMENT_ROWS = 1000


class BulkUpsert:
    """Inserts or replaces rows of one table, by primary key. Rows are in the table's column order.

    SQLite's driver releases the interpreter lock at each execution and has to take it back. Behind
    a busy event loop that takes a switch interval (5 ms). One execution per row, as in
    ``executemany``, would write 200 rows a second, so one statement carries many rows.
    """

    def __init__(self, engine: Engine, table: Table) -> None:
        """``PlatformError`` if SQLAlchemy's statement cannot be repeated for many rows."""
        self._statement = upsert(engine, table)
        self._names = [column.name for column in table.columns]
        self._repeated: tuple[str, str, str] | None = None
        if engine.dialect.name == "sqlite":
            sql = str(self._statement.compile(dialect=engine.dialect))
            self._repeated = split_at_values(sql, len(self._names))

    def run(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Write ``rows`` in their order: of two with the same key the last one stays."""
        if not rows:
            return
        if self._repeated:
            before, values, after = self._repeated
            for start in range(0, len(rows), _STATEMENT_ROWS):
                part = rows[start : start + _STATEMENT_ROWS]
                sql = before + ", ".join([values] * len(part)) + after
                connection.exec_driver_sql(sql, tuple(chain.from_iterable(part)))
        else:
            mappings = [dict(zip(self._names, map(_storable, row), strict=True)) for row in rows]
            connection.execute(self._statement, mappings)


def split_at_values(sql: str, columns: int) -> tuple[str, str, str]:
    """An INSERT as the text before its row of parameters, that row, and the text behind it.

    ``sql`` is SQLAlchemy's text for one row, whose form is not documented. So it must hold exactly
    one row of that many parameters, and no other parameter; else ``PlatformError``.
    """
    values = f"({', '.join('?' * columns)})"
    before, found, after = sql.partition(values)
    if not found or "?" in before or "?" in after:
        raise PlatformError(
            f"SQLAlchemy's INSERT does not have exactly one row of {columns} parameters: install"
            f" the version that requirements.txt pins ({sql})"
        )
    return before, values, after


def _storable(value: object) -> object:
    # PostgreSQL's text holds any character but this one.
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}") if isinstance(value, str) else value
