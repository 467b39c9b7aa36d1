"""Many rows into one table, without holding up the event loop."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from sandbox.store.database import upsert

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Engine, Table

    from sandbox.store.rows import Row

#: Rows per statement. 20 columns times this stay below SQLite's 32,766 parameters.
_STATEMENT_ROWS = 1000


class BulkUpsert:
    """Inserts or replaces rows of one table, by primary key. Rows are in the table's column order.

    SQLite's driver lets go of the interpreter lock and takes it back at each execution. Behind a
    busy event loop taking it back costs a switch interval (5 ms), so one execution per row, as in
    ``executemany``, makes 200 rows a second: there a statement carries many rows.
    """

    def __init__(self, engine: Engine, table: Table) -> None:
        self._statement = upsert(engine, table)
        self._names = [column.name for column in table.columns]
        self._single = ""
        if engine.dialect.name == "sqlite":
            self._single = str(self._statement.compile(dialect=engine.dialect))
            self._values = f"({', '.join('?' * len(self._names))})"

    def run(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Write ``rows`` in their order: of two with the same key the last one stays."""
        if not rows:
            return
        if self._single:
            for start in range(0, len(rows), _STATEMENT_ROWS):
                part = rows[start : start + _STATEMENT_ROWS]
                sql = self._single.replace(self._values, ", ".join([self._values] * len(part)), 1)
                connection.exec_driver_sql(sql, tuple(chain.from_iterable(part)))
        else:
            mappings = [dict(zip(self._names, map(_storable, row), strict=True)) for row in rows]
            connection.execute(self._statement, mappings)


def _storable(value: object) -> object:
    # PostgreSQL's text holds any character but this one.
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}") if isinstance(value, str) else value
