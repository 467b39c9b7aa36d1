"""History: queries that see what was just written."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from sandbox.records.history import History
from sandbox.records.query import RecordQuery
from sandbox.records.record import InvocationRecord, LogChunk
from sandbox.store.database import migrate, open_database
from sandbox.store.records import SqlRecordRepository
from sandbox.store.writer import RecordWriter
from tests.support.records import make_record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def record(request_id: str) -> InvocationRecord:
    return make_record(request_id, function_name="echo")


@contextmanager
def history_of(directory: Path) -> Iterator[tuple[History, RecordWriter]]:
    database = open_database(f"sqlite:///{directory / 'scf.db'}")
    migrate(database)
    records = SqlRecordRepository(database)
    # A writer that would by itself write nothing within the time of a test.
    writer = RecordWriter(records, directory / "journal", interval_s=600)
    yield History(records, writer), writer
    writer.close()
    database.dispose()


async def test_a_query_finds_what_was_put_just_before_it(tmp_path: Path) -> None:
    with history_of(tmp_path) as (history, writer):
        writer.put(record("r1"))
        total, found = await history.find(RecordQuery("default", "echo"))
        writer.put(record("r2"))
        assert await history.get("r2") is not None
    assert (total, [item.request_id for item in found]) == (1, ["r1"])


async def test_a_log_is_the_platforms_lines_around_the_functions_own(tmp_path: Path) -> None:
    with history_of(tmp_path) as (history, writer):
        writer.put(record("r1"))
        writer.put_log(LogChunk("r1", "i-1", 0, [(1.0, "one"), (2.0, "two")]))
        log = await history.log("r1")
        lines = await history.lines("r1")
    assert log.startswith("START RequestId:r1\none\ntwo\n")
    assert lines == [(1.0, "one"), (2.0, "two")]


async def test_a_request_that_never_was_has_no_record_and_no_log(tmp_path: Path) -> None:
    with history_of(tmp_path) as (history, _):
        assert await history.get("r1") is None
        assert await history.log("r1") == ""
        assert await history.find(RecordQuery("default")) == (0, [])


async def test_the_logs_of_many_requests_are_asked_for_at_once(tmp_path: Path) -> None:
    statements: list[str] = []
    with history_of(tmp_path) as (history, writer):
        for number in range(50):
            writer.put(record(f"r{number}"))
            writer.put_log(LogChunk(f"r{number}", "i-1", 0, [(1.0, f"line of {number}")]))
        writer.put(record("silent"))
        _, found = await history.find(RecordQuery("default", limit=100))

        def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            statements.append(statement)

        sa.event.listen(sa.Engine, "before_cursor_execute", note)
        logs = dict(
            zip((item.request_id for item in found), await history.logs(found), strict=True)
        )
        assert await history.logs([]) == []
        sa.event.remove(sa.Engine, "before_cursor_execute", note)
    assert sum(statement.startswith("SELECT") for statement in statements) == 1
    for number in range(50):
        assert logs[f"r{number}"].startswith(f"START RequestId:r{number}\nline of {number}\n")
    assert logs["silent"].startswith("START RequestId:silent\n")
