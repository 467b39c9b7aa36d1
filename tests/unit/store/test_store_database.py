"""Opening and migrating the database, and what is saved of functions."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.schema import CreateTable

import sandbox.store.migrations
from sandbox.errors import PlatformError
from sandbox.store.database import HEAD, _upgrade, migrate, open_database, write_transaction
from sandbox.store.functions import SqlFunctionRepository
from sandbox.store.tables import metadata
from tests.unit.store.store_kit import make_function

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'made' / 'on demand' / 'scf.db'}"


@pytest.fixture
def engine(url: str) -> Iterator[sa.Engine]:
    engine = open_database(url)
    migrate(engine)
    yield engine
    engine.dispose()


def test_opening_makes_the_directory_and_sets_sqlite_up(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert settings == {
        "journal_mode": "wal",
        "synchronous": 1,
        "foreign_keys": 1,
        "busy_timeout": 5000,
    }


@pytest.fixture(params=["at once", "step by step"])
def made(request: pytest.FixtureRequest, url: str) -> Iterator[sa.Engine]:
    """A new database, and one that has come through all migrations."""
    engine = open_database(url)
    if request.param == "at once":
        migrate(engine)
    else:
        _upgrade(engine)
    yield engine
    engine.dispose()


def test_the_tables_are_exactly_those_that_the_code_uses(made: sa.Engine) -> None:
    with made.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        inspector = sa.inspect(connection)
        assert set(inspector.get_table_names()) == {*metadata.tables, "alembic_version"}
        for name, table in metadata.tables.items():
            found = {index["name"]: index["column_names"] for index in inspector.get_indexes(name)}
            assert found == {i.name: [c.name for c in i.columns] for i in table.indexes}, name
        revision = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    assert revision == HEAD
    migrate(made)


def test_the_known_head_is_the_newest_migration() -> None:
    directory = ScriptDirectory(sandbox.store.migrations.__path__[0])
    assert directory.get_heads() == [HEAD]


@pytest.mark.parametrize("existing", [True, False])
def test_a_new_or_up_to_date_database_is_opened_without_alembic(
    tmp_path: Path, existing: bool
) -> None:
    url = f"sqlite:///{tmp_path / 'scf.db'}"
    if existing:
        engine = open_database(url)
        migrate(engine)
        engine.dispose()
    code = (
        "import sys; from sandbox.store.database import migrate, open_database;"
        f"migrate(open_database({url!r})); sys.exit('alembic' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_database_of_a_newer_version_is_refused(engine: sa.Engine) -> None:
    with write_transaction(engine) as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(PlatformError, match="another version of scf-sandbox"):
        migrate(engine)


def test_a_file_that_is_no_database_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "scf.db"
    path.write_bytes(b"this is not a database" * 100)
    engine = open_database(f"sqlite:///{path}")
    with pytest.raises(PlatformError, match="SCF_DATABASE_URL"):
        migrate(engine)
    engine.dispose()


def test_a_directory_that_cannot_be_made_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PlatformError, match="SCF_DATA_DIR"):
        open_database(f"sqlite:///{tmp_path / 'file' / 'scf.db'}")


def test_an_interrupted_migration_leaves_nothing_behind(url: str) -> None:
    engine = open_database(url)
    with write_transaction(engine) as connection:
        connection.execute(sa.text("CREATE TABLE meta (key TEXT)"))  # in the migration's way
    with pytest.raises(PlatformError):
        migrate(engine)
    with engine.connect() as connection:
        assert sa.inspect(connection).get_table_names() == ["meta"]
    engine.dispose()


def test_a_transaction_that_fails_is_undone(engine: sa.Engine) -> None:
    def fail() -> None:
        with write_transaction(engine, durable=True) as connection:
            connection.execute(sa.text("INSERT INTO meta VALUES ('key', 'value')"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT * FROM meta")).all() == []


def test_a_durable_transaction_syncs_to_disk_and_the_next_one_does_not(engine: sa.Engine) -> None:
    def synchronous(connection: sa.Connection) -> object:
        return connection.exec_driver_sql("PRAGMA synchronous").scalar()

    with write_transaction(engine, durable=True) as connection:
        assert synchronous(connection) == 2
    with write_transaction(engine) as connection:
        assert synchronous(connection) == 1


@pytest.mark.parametrize("table", metadata.tables.values(), ids=lambda table: table.name)
def test_every_table_can_be_made_in_postgresql(table: sa.Table) -> None:
    assert "CREATE TABLE" in str(
        CreateTable(table).compile(dialect=sa.make_url("postgresql://").get_dialect()())
    )


def test_functions_come_back_as_they_were_saved(engine: sa.Engine) -> None:
    repository = SqlFunctionRepository(engine)
    first, other = make_function("hello"), make_function("bye", namespace="prod")
    repository.save(first)
    repository.save(other)
    assert SqlFunctionRepository(engine).load_all() == [first, other]


def test_saving_again_replaces_and_deleting_forgets(engine: sa.Engine) -> None:
    repository = SqlFunctionRepository(engine)
    repository.save(make_function(epoch=1))
    repository.save(make_function(epoch=2))
    repository.save(make_function(namespace="prod"))
    repository.delete("prod", "hello")
    repository.delete("prod", "never there")
    assert [function.epoch for function in repository.load_all()] == [2]
