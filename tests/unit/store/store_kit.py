"""What the store's tests share: records, chunks, a repository that fails on demand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.functions.model import LATEST, Function, FunctionConfig, FunctionVersion
from sandbox.records.record import InvocationRecord, LogChunk
from sandbox.store.records import SqlRecordRepository
from tests.support.records import make_record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

    from sandbox.store.rows import Row


def numbered_record(number: int, **fields: Any) -> InvocationRecord:
    """Half a second of ``hello``, started ``number`` seconds after second 1000."""
    values: dict[str, Any] = {
        "started_at": 1000.0 + number,
        "ended_at": 1000.5 + number,
        "ret_msg": '{"ok":true}',
        "duration_ms": 12.345,
        "bill_ms": 13,
        "memory_mb": 128,
        "mem_usage": 3_000_000_000,
        "cold_start": True,
        "init_ms": 1.5,
        "instance_id": "i-1",
        "timeline": {"received": 1000.0 + number, "finished": 1000.5 + number},
    }
    return make_record(f"request-{number}", **(values | fields))


def make_chunk(number: int, *texts: str, **fields: Any) -> LogChunk:
    """A chunk of the request with the same number, of one line unless told otherwise."""
    lines = [(1000.0 + number, text) for text in texts or ("a line",)]
    values: dict[str, Any] = {
        "request_id": f"request-{number}",
        "instance_id": "i-1",
        "seq": number,
    }
    return LogChunk(**(values | {"lines": lines} | fields))


def make_function(name: str = "hello", **fields: Any) -> Function:
    version = FunctionVersion(
        config=FunctionConfig(environment={"GREETING": "你好"}), created_at=1.0, modified_at=2.0
    )
    values: dict[str, Any] = {
        "name": name,
        "function_id": f"lam-{name}",
        "created_at": 1.0,
        "versions": {LATEST: version},
    }
    return Function(**(values | fields))


class FailingRepository(SqlRecordRepository):
    """Fails each insertion with ``error`` while it is set. ``attempts`` counts insertions."""

    def __init__(self, engine: Engine, error: Exception | None = None) -> None:
        super().__init__(engine)
        self.error = error
        self.attempts = 0

    def insert_rows(self, record_rows: Sequence[Row], chunk_rows: Sequence[Row]) -> None:
        self.attempts += 1
        if self.error:
            raise self.error
        super().insert_rows(record_rows, chunk_rows)
