"""What can be asked of the records of invocations."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

OrderBy = Literal["function_name", "duration", "mem_usage", "start_time"]


class ResultFilter(StrEnum):
    """The values of ``Filter.RetCode`` of the log query (contract 4.3).

    Which status codes (contract 4.1) each of the three named kinds covers is not documented; the
    store has ours. ``not0`` is documented as "only logs of errors", so a running invocation is in
    none of them.
    """

    SUCCEEDED = "is0"
    FAILED = "not0"
    TIME_LIMIT = "TimeLimitExceeded"
    RESOURCE_LIMIT = "ResourceLimitExceeded"
    USER_CODE = "UserCodeException"


@dataclass(frozen=True, slots=True)
class RecordQuery:
    """Which invocations are asked for, in what order, and which page of them.

    Without a ``function_name``: those of all functions. ``qualifier`` is a version, or the alias
    an invocation was made with. ``start`` and ``end`` bound the time of the start, seconds since
    the epoch, both included. Equal ones are ordered by start and request id.
    """

    namespace: str
    function_name: str | None = None
    qualifier: str | None = None
    request_id: str | None = None
    result: ResultFilter | None = None
    start: float | None = None
    end: float | None = None
    order_by: OrderBy = "start_time"
    descending: bool = True
    offset: int = 0
    limit: int = 20
