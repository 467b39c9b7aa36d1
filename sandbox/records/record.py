"""The record of an invocation, and chunks of its log."""

from __future__ import annotations

from typing import NamedTuple


class InvocationRecord(NamedTuple):
    """One ended or running invocation, as the store keeps it and the log queries return it.

    It is a tuple in the order of its columns, so that storing it rearranges nothing. Times are
    seconds since the epoch (float), durations milliseconds (float). ``mem_usage`` is bytes.
    ``status_code`` is the platform's function status code (contract 4.1); 202 while running.
    ``timeline`` maps a stage (``received``, ``prepared``, ``started``, ``released``, ``ready``,
    ``dispatched``, ``fetched``, ``finished``) to its time.
    """

    request_id: str
    namespace: str
    function_name: str
    version: str
    qualifier: str
    invocation_type: str = "RequestResponse"
    started_at: float = 0.0
    ended_at: float = 0.0
    status_code: int = 202
    ret_msg: str = ""
    duration_ms: float = 0.0
    bill_ms: int = 0
    memory_mb: int = 0
    mem_usage: int = 0
    cold_start: bool = False
    init_ms: float = 0.0
    retry_num: int = 0
    instance_id: str = ""
    timeline: dict[str, float] = {}  # noqa: RUF012 - nothing changes it


class LogChunk(NamedTuple):
    """Consecutive log lines of one request. An empty ``request_id``: lines outside any request.

    ``seq`` orders the chunks of one instance. ``lines`` are pairs of a time (s since the epoch) and
    a text without its line end.
    """

    request_id: str
    instance_id: str
    seq: int
    lines: list[tuple[float, str]]
