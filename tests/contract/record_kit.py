"""Records of past invocations, as the tests of the log queries need them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.records.record import InvocationRecord, LogChunk
from tests.support.records import make_record

if TYPE_CHECKING:
    from tests.contract.cloud_kit import LocalCloud

#: 2026-01-02 11:04:05 in Beijing.
MOMENT = 1_767_323_045.0
MIB = 1024 * 1024


def record(request_id: str, status: int = 200, **changes: Any) -> InvocationRecord:
    """A record of ``echo``, a second long."""
    given: dict[str, Any] = {
        "function_name": "echo",
        "ended_at": MOMENT + 1,
        "status_code": status,
        "ret_msg": f"result of {request_id}",
        "duration_ms": 12.5,
        "bill_ms": 13,
        "memory_mb": 128,
        "mem_usage": 3 * MIB,
        "instance_id": "i-1",
        "timeline": {},
    }
    return make_record(request_id, **{"started_at": MOMENT, **given, **changes})


def keep(cloud: LocalCloud, *records: InvocationRecord) -> None:
    """Put the records where the API finds them, with a log of one line each."""
    for number, item in enumerate(records):
        line = (item.started_at, f"line of {item.request_id}")
        cloud.plane.writer.put(item)
        cloud.plane.writer.put_log(LogChunk(item.request_id, "i-1", number, [line]))
