"""A database that fails: every repository says so as ``PlatformError``, with what to do."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from sandbox.errors import PlatformError
from sandbox.events.model import Change, TraceQuery
from sandbox.functions.layers import Layer
from sandbox.functions.namespaces import Namespace
from sandbox.records.query import RecordQuery
from sandbox.store.collections import SqlCollectionRepository
from sandbox.store.database import migrate, open_database, reading, writing
from sandbox.store.dead_letters import SqlLetterRepository
from sandbox.store.events import SqlEventRepository
from sandbox.store.failures import database_error
from sandbox.store.functions import SqlFunctionRepository
from sandbox.store.records import SqlRecordRepository
from sandbox.store.tables import functions, layers, metadata, namespaces
from tests.unit.store.store_kit import make_function

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    engine = open_database(f"sqlite:///{tmp_path / 'scf.db'}")
    migrate(engine)
    yield engine
    engine.dispose()


CALLS: dict[str, Callable[[sa.Engine], object]] = {
    "functions: load": lambda e: SqlFunctionRepository(e).load_all(),
    "functions: save": lambda e: SqlFunctionRepository(e).save(make_function()),
    "functions: delete": lambda e: SqlFunctionRepository(e).delete("default", "hello"),
    "namespaces: load": lambda e: SqlCollectionRepository(e, namespaces, Namespace).load_all(),
    "namespaces: save": lambda e: SqlCollectionRepository(e, namespaces, Namespace).save(
        "prod", Namespace(name="prod", created_at=0.0, modified_at=0.0)
    ),
    "namespaces: delete": lambda e: SqlCollectionRepository(e, namespaces, Namespace).delete(
        "prod"
    ),
    "letters: find": lambda e: SqlLetterRepository(e).find(None, None, None, 0, 1),
    "letters: get": lambda e: SqlLetterRepository(e).get("id"),
    "letters: delete": lambda e: SqlLetterRepository(e).delete("id"),
    "events: apply": lambda e: SqlEventRepository(e).apply([Change(settle=1)]),
    "events: load": lambda e: SqlEventRepository(e).load(),
    "events: bodies": lambda e: SqlEventRepository(e).bodies([1]),
    "events: prune": lambda e: SqlEventRepository(e).prune(0.0),
    "events: state": lambda e: SqlEventRepository(e).state("id"),
    "events: states": lambda e: SqlEventRepository(e).states("default", "hello", TraceQuery(), 0.0),
    "records: get": lambda e: SqlRecordRepository(e).get("id"),
    "records: find": lambda e: SqlRecordRepository(e).find(RecordQuery("default")),
    "records: log lines": lambda e: SqlRecordRepository(e).log_lines("id"),
    "records: log lines of many": lambda e: SqlRecordRepository(e).log_lines_of(["id"]),
    "records: prune": lambda e: SqlRecordRepository(e).prune(0.0),
    "records: end interrupted": lambda e: SqlRecordRepository(e).end_interrupted(0.0, "stopped"),
    "records: counts": lambda e: SqlRecordRepository(e).counts(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_every_call_fails_with_what_to_do(
    engine: sa.Engine, call: Callable[[sa.Engine], object]
) -> None:
    metadata.drop_all(engine)
    with pytest.raises(PlatformError, match=r"scf\.db cannot be used \(no such table") as caught:
        call(engine)
    assert "SCF_DATABASE_URL" in caught.value.message
    assert "SELECT" not in caught.value.message


def test_a_database_that_another_holds_is_said_to_be_locked(
    engine: sa.Engine, tmp_path: Path
) -> None:
    with sqlite3.connect(tmp_path / "scf.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA busy_timeout=1")
        with pytest.raises(PlatformError, match="has it locked; end that one"):
            SqlFunctionRepository(engine).save(make_function())
    other.close()


def test_a_database_that_is_read_only_is_said_to_be(engine: sa.Engine) -> None:
    def close_to_writes(connection: sqlite3.Connection, *_: object) -> None:
        connection.execute("PRAGMA query_only=ON")

    engine.dispose()
    sa.event.listen(engine, "connect", close_to_writes)
    with pytest.raises(PlatformError, match="make the file and its directory writable"):
        SqlFunctionRepository(engine).save(make_function())


def test_a_full_disk_is_said_to_be_full(engine: sa.Engine) -> None:
    def leave_no_room(connection: sqlite3.Connection, *_: object) -> None:
        [[pages]] = connection.execute("PRAGMA page_count").fetchall()
        connection.execute(f"PRAGMA max_page_count={pages}")

    engine.dispose()
    sa.event.listen(engine, "connect", leave_no_room)
    large = make_function(name="x" * 1_000_000)
    with pytest.raises(PlatformError, match=r"disk is full\): free some space"):
        SqlFunctionRepository(engine).save(large)


def test_a_damaged_database_is_said_to_be(engine: sa.Engine, tmp_path: Path) -> None:
    engine.dispose()
    (tmp_path / "scf.db").write_bytes(b"this is not a database" * 100)
    with pytest.raises(PlatformError, match="is damaged; stop the sandbox and bring back a copy"):
        SqlFunctionRepository(engine).load_all()


def test_a_database_whose_directory_is_gone_is_said_to_be_unreachable(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'gone' / 'scf.db'}")
    (tmp_path / "gone").rmdir()
    with pytest.raises(PlatformError, match="make its directory"):
        SqlFunctionRepository(engine).load_all()


class ServerError(Exception):
    """An error of a database server's driver."""

    def __init__(self, sqlstate: str | None) -> None:
        super().__init__("told by the server")
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("sqlstate", "advice"),
    [
        ("53100", "free some space on the server's disk"),
        ("55P03", "another process has it locked"),
        ("40P01", "another process has it locked"),
        ("25006", "is read-only;"),
        ("28P01", "a user and a password"),
        ("08006", "see that its server runs"),
        ("57P03", "see that its server runs"),
        (None, "see that its server runs"),
        ("42P01", "see that it is writable"),
    ],
)
def test_a_servers_error_says_what_to_do_by_its_sqlstate(
    engine: sa.Engine, sqlstate: str | None, advice: str
) -> None:
    url = sa.make_url("postgresql://scf:secret@db.example/scf")
    error = sa.exc.OperationalError("SELECT 1", {"environment": "secret"}, ServerError(sqlstate))
    message = database_error(url, error).message
    assert advice in message
    assert "secret" not in message


def test_an_error_of_another_kind_passes_as_it_is(engine: sa.Engine) -> None:
    with pytest.raises(ZeroDivisionError), reading(engine):
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), writing(engine):
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("{", "Invalid JSON"),
        ("{}", "Field required"),
        ('{"name": {"secret": "secret-value"}}', "name: Input should be a valid string"),
    ],
    ids=["no JSON", "nothing in it", "a field of another type"],
)
@pytest.mark.parametrize("kind", ["function", "layer", "namespace"])
def test_a_stored_record_that_cannot_be_read_is_named_with_what_to_do(
    engine: sa.Engine, kind: str, data: str, reason: str
) -> None:
    load, table, name = {
        "function": (SqlFunctionRepository(engine).load_all, functions, "default/hello"),
        "layer": (SqlCollectionRepository(engine, layers, Layer).load_all, layers, "hello"),
        "namespace": (
            SqlCollectionRepository(engine, namespaces, Namespace).load_all,
            namespaces,
            "hello",
        ),
    }[kind]
    row: dict[str, object] = {"name": "hello", "data": data}
    if kind == "function":
        row |= {"namespace": "default", "function_id": "id", "modified_at": 0.0}
    with writing(engine) as connection:
        connection.execute(sa.insert(table).values(row))
    with pytest.raises(PlatformError) as caught:
        load()
    message = caught.value.message
    assert message.startswith(f'the {kind} "{name}" in the database sqlite:///')
    assert reason in message
    assert "bring back a copy of the database" in message
    assert "secret" not in message
    assert caught.value.__suppress_context__
