"""Old records go by themselves."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sandbox.clock import SystemClock
from sandbox.records.record import InvocationRecord
from sandbox.store.database import migrate, open_database
from sandbox.store.records import RecordRepository
from sandbox.store.retention import DAY_S, Retention

if TYPE_CHECKING:
    from pathlib import Path


async def test_what_is_older_than_the_retention_goes_and_the_rest_stays(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'scf.db'}")
    migrate(database)
    records = RecordRepository(database)
    now = SystemClock().now()
    for request_id, started in (("old", now - 8 * DAY_S), ("new", now - 6 * DAY_S)):
        which = (request_id, "default", "f", "$LATEST", "$LATEST")
        record = InvocationRecord(*which, started_at=started)
        records.insert([record], [])
    retention = Retention(records, SystemClock(), days=7)
    retention.open()
    async with asyncio.timeout(10):
        while await asyncio.to_thread(records.get, "old") is not None:
            pass
    await retention.close()
    assert records.get("new") is not None
    database.dispose()
