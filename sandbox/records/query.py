"""A query for records of invocations."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

OrderBy = Literal["function_name", "duration", "mem_usage", "start_time"]


class ResultFilter(StrEnum):
    """The values of ``Filter.RetCode`` of the log query (contract 4.3).

    The platform does not document which status codes (contract 4.1) the three named kinds cover.
    ``sandbox.store.records`` has our choice. ``not0`` is documented as "only logs of errors", so no
    kind has running invocations.
    """

    SUCCEEDED = "is0"
    FAILED = "not0"
    TIME_LIMIT_EXCEEDED = "TimeLimitExceeded"
    RESOURCE_LIMIT_EXCEEDED = "ResourceLimitExceeded"
    USER_CODE_EXCEPTION = "UserCodeException"


@dataclass(frozen=True, slots=True)
class RecordQuery:
    """Which invocations to find, in what order, and which page of them.

    None matches all. ``qualifier`` is a version, or the alias that the caller named. ``start`` and
    ``end`` bound the start of the invocation, both included, in seconds since the epoch. Equal
    invocations are ordered by start and request id.
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
