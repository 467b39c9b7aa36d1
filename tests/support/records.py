"""Makes records of invocations without running one, and keeps them."""

from __future__ import annotations

from typing import Any

from sandbox.functions.model import LATEST
from sandbox.records.record import InvocationRecord, LogChunk
from tests.support.clock import EPOCH


def make_record(
    request_id: str = "r1", started_at: float = EPOCH, **fields: Any
) -> InvocationRecord:
    """A successful invocation of ``hello`` of 0.1 s. ``fields`` replace values."""
    given: dict[str, Any] = {
        "namespace": "default",
        "function_name": "hello",
        "version": LATEST,
        "qualifier": LATEST,
        "started_at": started_at,
        "ended_at": started_at + 0.1,
        "status_code": 200,
        "ret_msg": "done",
        "instance_id": "0123456789abcdef0123456789abcdef",
        "timeline": {"received": started_at, "finished": started_at + 0.1},
    }
    return InvocationRecord(request_id=request_id, **{**given, **fields})


class Kept:
    """Keeps in lists what a recorder writes. ``running`` are the records of running invocations."""

    def __init__(self) -> None:
        self.records: list[InvocationRecord] = []
        self.running: list[InvocationRecord] = []
        self.chunks: list[LogChunk] = []

    def put(self, record: InvocationRecord) -> None:
        (self.running if record.status_code == 202 else self.records).append(record)

    def put_log(self, chunk: LogChunk) -> None:
        self.chunks.append(chunk)
