"""Fills a data directory with functions, records and log lines. The store itself writes them."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING

from sandbox.functions.model import LATEST, Function, FunctionConfig, FunctionVersion
from sandbox.packages.package import PackageStore
from sandbox.records.record import InvocationRecord, LogChunk
from sandbox.store.database import migrate, open_database
from sandbox.store.functions import SqlFunctionRepository
from sandbox.store.records import SqlRecordRepository

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BATCH = 5_000
#: The records are spread over this time. It is shorter than the retention.
PAST_S = 24 * 3600


def fill(directory: Path, *, functions: int, records: int, lines_each: int, code: bytes) -> None:
    """Write active functions, and ended invocations with log lines."""
    directory.mkdir(parents=True)
    reference = PackageStore(directory / "packages").save(code)
    database = open_database(f"sqlite:///{directory / 'scf.db'}")
    migrate(database)
    now = time.time()
    repository = SqlFunctionRepository(database)
    for number in range(functions):
        version = FunctionVersion(
            config=FunctionConfig(), code=reference, created_at=now, modified_at=now
        )
        repository.save(
            Function(
                name=_name(number),
                function_id=f"lam-{number:08d}",
                created_at=now,
                versions={LATEST: version},
            )
        )
    past = SqlRecordRepository(database)
    for first in range(0, records, BATCH):
        numbers = range(first, min(first + BATCH, records))
        pairs = list(_invocations(numbers, functions, now - PAST_S, PAST_S / records, lines_each))
        past.insert([record for record, _ in pairs], [chunk for _, chunk in pairs])
    counts = past.counts()
    if counts.invocations != records or counts.log_chunks != records:
        raise RuntimeError(f"the store holds {counts}")
    database.dispose()


def _name(number: int) -> str:
    return f"filled-{number:05d}"


def _invocations(
    numbers: range, functions: int, since: float, apart: float, lines_each: int
) -> Iterator[tuple[InvocationRecord, LogChunk]]:
    for number in numbers:
        request_id, began = str(uuid.uuid4()), since + number * apart
        instance = f"{number % 500:032x}"
        record = InvocationRecord(
            request_id=request_id,
            namespace="default",
            function_name=_name(number % functions),
            version=LATEST,
            qualifier=LATEST,
            started_at=began,
            ended_at=began + 0.001,
            status_code=200,
            ret_msg='{"key1": "test value 1"}',
            duration_ms=1.0,
            bill_ms=1,
            memory_mb=128,
            mem_usage=2_000_000,
            instance_id=instance,
            timeline={"received": began, "dispatched": began, "finished": began + 0.001},
        )
        lines = [(began, f"line {line} of the log of {request_id}") for line in range(lines_each)]
        yield record, LogChunk(request_id, instance, number, lines)
