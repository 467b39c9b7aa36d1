"""Opens the database, brings its tables up to date, and runs its transactions."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from sandbox.errors import PlatformError
from sandbox.store.failures import FAILURES, database_error
from sandbox.store.tables import metadata

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

#: The newest revision in ``migrations/versions``. With it here, opening an up-to-date database does
#: not import Alembic, which would take longer than the rest of the opening.
HEAD = "0003"

BUSY_TIMEOUT_MS = 5_000

#: More pages in memory (KiB by connection) and fewer checkpoints (after so many 4 KiB pages) take
#: a third less time than SQLite's defaults, measured at 60,000 invocations.
_CACHE_KIB = 8_000
_CHECKPOINT_PAGES = 8_000
_WAL_KEPT_BYTES = 64 * 1024 * 1024


#: An open database. The control plane hands it to the repositories.
Database: TypeAlias = sa.Engine


def open_database(url: str) -> sa.Engine:
    """The database at an SQLAlchemy ``url``. Makes the directory of a SQLite file.

    It reads and writes nothing yet. ``PlatformError`` if the directory cannot be made, the URL is
    not valid, or its driver is not installed.
    """
    try:
        parsed = sa.make_url(url)
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")  # the one that comes along
        if parsed.get_backend_name() != "sqlite":
            return sa.create_engine(parsed, pool_pre_ping=True)
    except (sa.exc.ArgumentError, ImportError) as error:  # neither message holds a password
        raise PlatformError(f"SCF_DATABASE_URL cannot be used: {error}") from error
    if parsed.database:
        directory = Path(parsed.database).parent
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PlatformError(
                f"the data directory {directory} cannot be made ({error.strerror}): "
                "set SCF_DATA_DIR to one that is writable"
            ) from error
    engine = sa.create_engine(parsed)
    sa.event.listen(engine, "connect", _prepare_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    # Transactions that the driver opens by itself leave out DDL and reads.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
    cursor.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
    cursor.execute(f"PRAGMA journal_size_limit={_WAL_KEPT_BYTES}")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("scf_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def write_transaction(engine: sa.Engine, *, durable: bool = False) -> Iterator[sa.Connection]:
    """A transaction that writes. The end of the block commits it, an exception undoes it.

    It takes SQLite's write lock at once. Otherwise a transaction that reads first would fail at its
    first write if another writer came between. Committed data survives the death of the process.
    With ``durable`` it also survives the loss of power, which takes a few milliseconds more. Errors
    are SQLAlchemy's own; see ``writing``.
    """
    with engine.connect() as connection:
        fsync = durable and engine.dialect.name == "sqlite"
        if fsync:
            _pragma(connection, "PRAGMA synchronous=FULL")
        try:
            with connection.execution_options(scf_writes=True).begin():
                yield connection
        finally:
            if fsync:
                _pragma(connection, "PRAGMA synchronous=NORMAL")


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection for queries. Errors of the database are ``PlatformError``."""
    with _translated(engine), engine.connect() as connection:
        yield connection


@contextmanager
def writing(engine: sa.Engine, *, durable: bool = False) -> Iterator[sa.Connection]:
    """A ``write_transaction``. Errors of the database are ``PlatformError``."""
    with _translated(engine), write_transaction(engine, durable=durable) as connection:
        yield connection


@contextmanager
def _translated(engine: sa.Engine) -> Iterator[None]:
    try:
        yield
    except FAILURES as error:
        raise database_error(engine.url, error) from error


def _pragma(connection: sa.Connection, statement: str) -> None:
    # On the driver's connection: SQLAlchemy would open a transaction, where a PRAGMA has no effect.
    cursor = connection.connection.cursor()
    cursor.execute(statement)
    cursor.close()


def upsert(engine: sa.Engine, table: sa.Table) -> sa.Insert:
    """An INSERT into ``table`` that replaces the row with the same primary key."""
    keys = [column.name for column in table.primary_key]
    others = [column.name for column in table.columns if not column.primary_key]
    if engine.dialect.name == "postgresql":
        from sqlalchemy.dialects import (
            postgresql,
        )  # imported lazily: 2 MB that SQLite does not need

        pg = postgresql.insert(table)
        return pg.on_conflict_do_update(
            index_elements=keys, set_={name: pg.excluded[name] for name in others}
        )
    lite = sqlite.insert(table)
    return lite.on_conflict_do_update(
        index_elements=keys, set_={name: lite.excluded[name] for name in others}
    )


def migrate(engine: sa.Engine) -> None:
    """Bring the tables to ``HEAD`` in one transaction. Takes a millisecond if they are there.

    ``PlatformError`` if the database cannot be used, or a newer version made it.
    """
    try:
        with engine.connect() as connection:
            revision = _revision(connection)
        if revision is None and _empty(engine):
            _create(engine)
        elif revision != HEAD:
            _upgrade(engine)
    except FAILURES as error:
        raise database_error(engine.url, error) from error


def _revision(connection: sa.Connection) -> str | None:
    try:
        found: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    except (sa.exc.OperationalError, sa.exc.ProgrammingError):  # the table does not exist
        return None
    return found


def _empty(engine: sa.Engine) -> bool:
    if engine.dialect.name != "sqlite":
        return not sa.inspect(engine).get_table_names()
    with engine.connect() as connection:  # an inspector takes half a megabyte
        return not connection.scalar(sa.text("SELECT count(*) FROM sqlite_master"))


def _create(engine: sa.Engine) -> None:
    """Make the newest tables at once, without the 11 MB and 0.2 s of Alembic."""
    number = sa.Column("version_num", sa.String(32), primary_key=True)
    version = sa.Table("alembic_version", sa.MetaData(), number)
    with write_transaction(engine) as connection:
        metadata.create_all(connection, checkfirst=False)
        version.create(connection)
        connection.execute(version.insert().values(version_num=HEAD))


def _upgrade(engine: sa.Engine) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util.exc import CommandError

    config = Config()
    scripts = Path(__file__).parent / "migrations"
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    with write_transaction(engine) as connection:
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise PlatformError(
                f"the database {engine.url.render_as_string()} was made by another version "
                f"of scf-sandbox ({error}): use that one, or another database"
            ) from error
