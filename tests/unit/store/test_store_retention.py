"""Old records go by themselves."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, cast

from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from sandbox.clock import SystemClock
from sandbox.records.record import InvocationRecord
from sandbox.store.records import SqlRecordRepository
from sandbox.store.retention import DAY_S, Retention
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from sqlalchemy import Engine


async def test_what_is_older_than_the_retention_goes_and_the_rest_stays(engine: Engine) -> None:
    records = SqlRecordRepository(engine)
    now = SystemClock().now()
    for request_id, started in (("old", now - 8 * DAY_S), ("new", now - 6 * DAY_S)):
        which = (request_id, "default", "f", "$LATEST", "$LATEST")
        record = InvocationRecord(*which, started_at=started)
        records.insert([record], [])
    retention = Retention(records, SystemClock(), days=7)
    retention.open()
    await eventually(lambda: records.get("old") is None)
    await retention.close()
    assert records.get("new") is not None


class FailingRecords:
    """The first attempts fail, each with one of these."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.pruned = threading.Event()

    def prune(self, before: float) -> int:
        if self.errors:
            raise self.errors.pop(0)
        self.pruned.set()
        return 0


async def test_an_attempt_that_fails_is_logged_and_followed_by_another() -> None:
    records = FailingRecords(OSError("no space left"), OperationalError("", None, OSError()))
    with capture_logs() as logs:
        retention = Retention(cast("SqlRecordRepository", records), SystemClock(), 7, every_s=0)
        retention.open()
        assert await asyncio.to_thread(records.pruned.wait, 10)
        await retention.close()
    assert [entry["event"] for entry in logs] == ["records_not_pruned"] * 2
