"""Many rows in one statement: the statement that SQLAlchemy compiles for one row, repeated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandbox.errors import PlatformError
from sandbox.store.bulk import split_at_values
from sandbox.store.database import open_database, upsert
from sandbox.store.tables import metadata

if TYPE_CHECKING:
    import sqlalchemy as sa


@pytest.mark.parametrize("table", metadata.tables.values(), ids=lambda table: table.name)
def test_every_tables_statement_has_one_row_to_repeat(table: sa.Table) -> None:
    engine = open_database("sqlite://")
    sql = str(upsert(engine, table).compile(dialect=engine.dialect))
    before, values, after = split_at_values(sql, len(table.columns))
    assert before + values + after == sql
    assert values.count("?") == len(table.columns)
    assert before.startswith("INSERT INTO")


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO t (a, b) VALUES (:a, :b)",
        "INSERT INTO t (a, b) VALUES (?,?)",
        "INSERT INTO t (a, b) VALUES (?, ?), (?, ?)",
        "INSERT INTO t (a, b) VALUES (?, ?) ON CONFLICT (a) DO UPDATE SET b = ?",
        "INSERT INTO t (a, b) SELECT ?, b FROM u WHERE a IN (?, ?)",
    ],
)
def test_a_statement_of_another_form_is_refused(sql: str) -> None:
    with pytest.raises(PlatformError, match=r"requirements\.txt"):
        split_at_values(sql, 2)
