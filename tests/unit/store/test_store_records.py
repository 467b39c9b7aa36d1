"""Invocations and logs: stored, found, pruned."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from sandbox.events.model import Change, QueuedEvent
from sandbox.records.query import RecordQuery, ResultFilter
from sandbox.records.record import LogChunk
from sandbox.store.bulk import BulkUpsert
from sandbox.store.events import SqlEventRepository
from sandbox.store.records import SqlRecordRepository, StoreCounts
from sandbox.store.tables import invocations, log_chunks
from tests.support.waiting import DEADLINE_S
from tests.unit.store.store_kit import make_chunk, numbered_record

if TYPE_CHECKING:
    from sandbox.records.query import OrderBy


#: What they ask of the query planner is SQLite's.
SQLITE_ONLY = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def repository(engine: sa.Engine) -> SqlRecordRepository:
    return SqlRecordRepository(engine)


def ids(found: tuple[int, list[Any]]) -> list[int]:
    return [int(record.request_id.removeprefix("request-")) for record in found[1]]


def test_a_record_comes_back_as_it_was_stored(repository: SqlRecordRepository) -> None:
    record = numbered_record(1, ret_msg="你好 'quoted' \n")
    repository.insert([record], [])
    assert repository.get("request-1") == record
    assert repository.get("request-2") is None


def test_a_character_that_postgresql_cannot_hold_is_replaced_there(
    repository: SqlRecordRepository, engine: sa.Engine
) -> None:
    repository.insert([numbered_record(1, ret_msg="a\0b")], [])
    record = repository.get("request-1")
    assert record is not None
    assert record.ret_msg == ("a\0b" if engine.dialect.name == "sqlite" else "a\ufffdb")


def test_an_ended_record_replaces_the_running_one(repository: SqlRecordRepository) -> None:
    running = numbered_record(1, status_code=202, ended_at=0.0)
    repository.insert([running], [])
    repository.insert([numbered_record(1)], [])
    assert repository.counts().invocations == 1
    assert repository.get("request-1") == numbered_record(1)


def test_of_two_with_the_same_id_in_one_batch_the_last_one_stays(
    repository: SqlRecordRepository,
) -> None:
    repository.insert(
        [numbered_record(1, status_code=202), numbered_record(1, status_code=433)], []
    )
    record = repository.get("request-1")
    assert record is not None
    assert record.status_code == 433


def test_storing_again_changes_nothing(repository: SqlRecordRepository) -> None:
    records, chunks = [numbered_record(n) for n in range(250)], [make_chunk(n) for n in range(250)]
    repository.insert(records, chunks)
    repository.insert(records, chunks)
    assert repository.counts() == StoreCounts(250, 250)
    assert repository.log_lines("request-7") == [(1007.0, "a line")]


def test_storing_nothing_is_allowed(repository: SqlRecordRepository) -> None:
    repository.insert([], [])
    assert repository.counts() == StoreCounts(0, 0)


def test_a_batch_is_stored_whole_or_not_at_all(repository: SqlRecordRepository) -> None:
    broken = LogChunk("request-1", "i-1", 2**70, [])
    with pytest.raises((OverflowError, sa.exc.DataError)):
        repository.insert([numbered_record(1)], [make_chunk(1), broken])
    assert repository.counts() == StoreCounts(0, 0)


def test_lines_of_a_request_come_in_the_order_of_writing(repository: SqlRecordRepository) -> None:
    chunks = [
        LogChunk("r", "i-1", 10, [(3.0, "third"), (4.0, "")]),
        LogChunk("r", "i-1", 9, [(1.0, "first"), (2.0, "second\t你好")]),
        LogChunk("other", "i-1", 8, [(0.5, "not mine")]),
    ]
    repository.insert([], chunks)
    lines = [(1.0, "first"), (2.0, "second\t你好"), (3.0, "third"), (4.0, "")]
    assert repository.log_lines("r") == lines
    assert repository.log_lines_of(["none", "r"]) == {"none": [], "r": lines}


def test_lines_outside_requests_are_found_by_instance(repository: SqlRecordRepository) -> None:
    repository.insert([], [make_chunk(1, "one", request_id="", instance_id=i) for i in "ab"])
    assert repository.log_lines("", "a") == [(1001.0, "one")]


def test_lines_of_more_requests_than_one_query_takes(repository: SqlRecordRepository) -> None:
    repository.insert([], [make_chunk(n) for n in range(1200)])
    found = repository.log_lines_of([f"request-{n}" for n in range(1200)])
    assert sum(map(len, found.values())) == 1200


def test_a_function_s_invocations_are_found_latest_first(repository: SqlRecordRepository) -> None:
    others = [numbered_record(8, function_name="bye"), numbered_record(9, namespace="prod")]
    repository.insert([numbered_record(n) for n in (2, 1, 3)] + others, [])
    assert ids(repository.find(RecordQuery("default", "hello"))) == [3, 2, 1]
    assert ids(repository.find(RecordQuery("default", "hello", descending=False))) == [1, 2, 3]
    assert ids(repository.find(RecordQuery("default"))) == [8, 3, 2, 1]


def test_pages_count_all_that_match(repository: SqlRecordRepository) -> None:
    repository.insert([numbered_record(n) for n in range(10)], [])
    total, page = repository.find(RecordQuery("default", "hello", offset=3, limit=2))
    assert (total, ids((total, page))) == (10, [6, 5])
    assert repository.find(RecordQuery("default", "hello", offset=10)) == (10, [])


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"qualifier": "2"}, [4, 2]),
        ({"qualifier": "stable"}, [4]),
        ({"request_id": "request-3"}, [3]),
        ({"start": 1002.0}, [4, 3, 2]),
        ({"end": 1002.0}, [2, 1]),
        ({"start": 1002.0, "end": 1003.0, "qualifier": "2"}, [2]),
    ],
)
def test_filters_narrow_what_is_found(
    repository: SqlRecordRepository, filters: dict[str, Any], found: list[int]
) -> None:
    repository.insert(
        [
            numbered_record(1),
            numbered_record(2, version="2", qualifier="2"),
            numbered_record(3),
            numbered_record(4, version="2", qualifier="stable"),
        ],
        [],
    )
    assert ids(repository.find(RecordQuery("default", "hello", **filters))) == found


@pytest.mark.parametrize(
    ("result", "statuses"),
    [
        (ResultFilter.SUCCEEDED, {200}),
        (
            ResultFilter.FAILED,
            {400, 406, 407, 430, 432, 433, 434, 438, 439, 443, 449, 450, 499, 500},
        ),
        (ResultFilter.TIME_LIMIT_EXCEEDED, {433, 450}),
        (ResultFilter.RESOURCE_LIMIT_EXCEEDED, {432, 434, 449}),
        (ResultFilter.USER_CODE_EXCEPTION, {430, 439, 443}),
    ],
)
def test_results_are_filtered_by_kind(
    repository: SqlRecordRepository, result: ResultFilter, statuses: set[int]
) -> None:
    known = (200, 202, 400, 406, 407, 430, 432, 433, 434, 438, 439, 443, 449, 450, 499, 500)
    repository.insert([numbered_record(code, status_code=code) for code in known], [])
    assert set(ids(repository.find(RecordQuery("default", "hello", result=result)))) == statuses


@pytest.mark.parametrize(
    ("order_by", "found"),
    [
        ("start_time", [3, 2, 1]),
        ("duration", [1, 3, 2]),
        ("mem_usage", [2, 3, 1]),
        ("function_name", [3, 2, 1]),
    ],
)
def test_invocations_are_ordered_as_asked(
    repository: SqlRecordRepository, order_by: OrderBy, found: list[int]
) -> None:
    repository.insert(
        [
            numbered_record(1, duration_ms=9.0, mem_usage=1),
            numbered_record(2, duration_ms=1.0, mem_usage=9),
            numbered_record(3, duration_ms=1.0, mem_usage=1),
        ],
        [],
    )
    assert ids(repository.find(RecordQuery("default", "hello", order_by=order_by))) == found


def test_pruning_deletes_what_is_old_and_nothing_else(repository: SqlRecordRepository) -> None:
    repository.insert([numbered_record(n) for n in range(5)], [make_chunk(n) for n in range(5)])
    assert repository.prune(1003.0) == 6
    assert ids(repository.find(RecordQuery("default"))) == [4, 3]
    assert repository.log_lines("request-2") == []
    assert repository.log_lines("request-3") != []


def test_pruning_goes_on_after_its_first_portion(
    repository: SqlRecordRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.store.records._PRUNED_AT_ONCE", 10)
    repository.insert([numbered_record(n) for n in range(25)], [])
    assert repository.prune(5000.0) == 25
    assert repository.counts() == StoreCounts(0, 0)


def test_what_an_earlier_process_left_running_is_ended(repository: SqlRecordRepository) -> None:
    repository.insert(
        [numbered_record(n, status_code=202) for n in (1, 9)] + [numbered_record(2)], []
    )
    assert repository.end_interrupted(1005.0, "the sandbox was stopped") == 1
    record = repository.get("request-1")
    assert record is not None
    assert (record.status_code, record.ret_msg) == (500, "the sandbox was stopped")
    assert ids(repository.find(RecordQuery("default", result=ResultFilter.FAILED))) == [1]


def test_an_event_that_will_be_run_again_is_not_ended(
    repository: SqlRecordRepository, engine: sa.Engine
) -> None:
    repository.insert([numbered_record(1, status_code=202)], [])
    which = ("request-1", "default", "hello", "lam-1", "$LATEST", "$LATEST")
    event = QueuedEvent(1, *which, "Event", "API", "", 1001.0, traced=False, body=b"{}")
    SqlEventRepository(engine).apply([Change(accept=event)])
    assert repository.end_interrupted(1005.0, "the sandbox was stopped") == 0


def test_reading_goes_on_while_a_write_is_open(
    repository: SqlRecordRepository, engine: sa.Engine
) -> None:
    repository.insert([numbered_record(1)], [])
    with engine.connect() as connection, connection.begin():
        connection.execute(sa.update(invocations).values(status_code=500))
        found: list[int] = []
        reader = threading.Thread(
            target=lambda: found.extend(ids(repository.find(RecordQuery("default"))))
        )
        reader.start()
        reader.join(timeout=DEADLINE_S)
    assert found == [1]


def plans(engine: sa.Engine, ask: Any) -> list[str]:
    """The query plans of every SELECT or DELETE that ``ask`` makes, one text each."""
    statements: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        if statement.startswith(("SELECT", "DELETE")):
            statements.append((statement, parameters))

    sa.event.listen(engine, "before_cursor_execute", note)
    ask()
    sa.event.remove(engine, "before_cursor_execute", note)
    with engine.connect() as connection:
        return [
            " / ".join(
                row.detail
                for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", parameters)
            )
            for text, parameters in statements
        ]


@SQLITE_ONLY
def test_a_function_s_log_query_uses_the_index_and_does_not_sort(
    engine: sa.Engine, repository: SqlRecordRepository
) -> None:
    repository.insert([numbered_record(1)], [])
    count, page = plans(
        engine,
        lambda: repository.find(
            RecordQuery("default", "hello", start=1.0, end=5000.0, result=ResultFilter.SUCCEEDED)
        ),
    )
    assert "COVERING INDEX ix_invocations_function" in count
    assert "ix_invocations_function (namespace=? AND function_name=? AND started_at>?" in page
    assert "TEMP B-TREE" not in page


@SQLITE_ONLY
def test_the_latest_of_all_functions_are_found_without_sorting(
    engine: sa.Engine, repository: SqlRecordRepository
) -> None:
    repository.insert([numbered_record(1)], [])
    _, page = plans(engine, lambda: repository.find(RecordQuery("default")))
    assert "ix_invocations_started" in page
    assert "TEMP B-TREE" not in page


@SQLITE_ONLY
def test_no_frequent_query_reads_a_whole_table(
    engine: sa.Engine, repository: SqlRecordRepository
) -> None:
    repository.insert([numbered_record(1)], [make_chunk(1)])

    def ask() -> None:
        repository.get("request-1")
        repository.find(RecordQuery("default", "hello", order_by="duration"))
        repository.find(RecordQuery("default", "hello", request_id="request-1"))
        repository.find(RecordQuery("default", start=1.0))
        repository.log_lines("request-1")
        repository.log_lines("", "i-1")
        repository.log_lines_of(["request-1"])
        repository.prune(1.0)

    found = plans(engine, ask)
    assert len(found) == 12
    for plan in found:
        assert "SEARCH" in plan, plan
        assert "SCAN" not in plan, plan


@pytest.mark.parametrize("table", [invocations, log_chunks], ids=lambda table: table.name)
def test_other_databases_get_one_statement_for_all_rows(table: sa.Table) -> None:
    class Elsewhere:
        dialect = sa.make_url("postgresql://").get_dialect()()

    class Connection:
        def execute(self, statement: sa.Insert, rows: list[dict[str, Any]]) -> None:
            self.sql = str(statement.compile(dialect=Elsewhere.dialect))
            self.rows = rows

    connection: Any = Connection()
    engine: Any = Elsewhere()
    row = tuple(f"{column.name}\0" for column in table.columns)
    BulkUpsert(engine, table).run(connection, [row, row])
    assert "ON CONFLICT (request_id" in connection.sql
    assert "DO UPDATE SET" in connection.sql
    assert connection.rows[1]["request_id"] == "request_id�"
