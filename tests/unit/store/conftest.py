"""What the tests of the store run on: each kind of database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandbox.store.database import migrate, open_database
from tests.support.postgresql import postgresql

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import sqlalchemy as sa

    from tests.support.postgresql import PostgreSQL

BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]


@pytest.fixture(scope="session")
def server() -> Iterator[PostgreSQL]:
    with postgresql() as server:
        yield server


@pytest.fixture(params=BOTH)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a new database, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'scf.db'}"
    server: PostgreSQL = request.getfixturevalue("server")
    return server.database()


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    """A new database with its tables."""
    engine = open_database(database_url)
    migrate(engine)
    yield engine
    engine.dispose()
