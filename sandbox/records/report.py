"""The platform's own log lines, and a request's log as text (contract 2.3).

The platform has two dialects. The log query writes ``RequestId:<id>``. The test panel, and the tail
that Invoke returns, write ``RequestId: <id>`` with a blank.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sandbox import limits
from sandbox.clock import new_request_id

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sandbox.records.record import InvocationRecord

MB = 1024 * 1024


def _milliseconds(value: float) -> str:
    return f"{value:.0f}ms"


class ColdStart(NamedTuple):
    """How long a cold start pulled code, started the container, initialised. Milliseconds."""

    pull: float
    start: float
    init: float

    @classmethod
    def of(cls, began: float, prepared: float, started: float, init_ms: float) -> ColdStart:
        """From times in seconds. A step that was done before ``began`` took no time."""
        pull = max(0.0, prepared - began)
        start = max(0.0, started - max(prepared, began))
        return cls(pull * 1000, start * 1000, init_ms)

    def __str__(self) -> str:
        return (
            f"Coldstart: {_milliseconds(sum(self))} (PullCode: {_milliseconds(self.pull)}"
            f" InitRuntime: {_milliseconds(self.start)} InitFunction: {_milliseconds(self.init)})"
        )


def init_report(record: InvocationRecord, blank: str = " ") -> str:
    """The line of a cold start."""
    times = record.timeline
    received = times.get("received", record.started_at)
    prepared = times.get("prepared", received)
    released = times.get("released", prepared)
    phases = ColdStart.of(received, prepared, released, record.init_ms)
    return (
        f"Init Report RequestId:{blank}{record.request_id} {phases}"
        f" Memory: {record.memory_mb}MB MemUsage: {record.mem_usage / MB:.2f}MB"
    )


def provisioned_report(phases: ColdStart, memory_mb: int, mem_usage: int) -> str:
    """The line of an initialisation ahead of any event. Its request id is new: no event has it."""
    return (
        f"Provisioned Report RequestId: {new_request_id()} {phases}"
        f" Memory: {memory_mb}MB MemUsage: {mem_usage / MB:.2f}MB"
    )


def report(record: InvocationRecord, blank: str = "") -> str:
    """The closing line of every request."""
    digits = 4 if blank else 6
    return (
        f"Report RequestId:{blank}{record.request_id} Duration:{_milliseconds(record.duration_ms)}"
        f" Memory:{record.memory_mb}MB MemUsage:{record.mem_usage / MB:.{digits}f}MB"
    )


def render_log(record: InvocationRecord, lines: Iterable[tuple[float, str]]) -> str:
    """A request's whole log as the log query returns it. Each line ends with a line feed.

    ``lines`` are the function's own, with their times. A request that never reached an instance
    (a bootstrap that is not executable) has no lines of that kind.
    """
    return "".join(f"{line}\n" for line in _log_lines(record, lines, ""))


def render_tail(record: InvocationRecord, lines: Iterable[tuple[float, str]]) -> str:
    """The last 4,096 bytes of a request's log in the test panel's dialect; no half characters."""
    data = "".join(f"{line}\n" for line in _log_lines(record, lines, " ")).encode()
    # What is not valid at the beginning is the rest of a character.
    return data[-limits.LOG_TAIL_BYTES :].decode("utf-8", "ignore")


def _log_lines(
    record: InvocationRecord, lines: Iterable[tuple[float, str]], blank: str
) -> Iterable[str]:
    if not record.instance_id:
        yield from (line for _, line in lines)
        return
    panel = bool(blank)
    yield f"START RequestId:{blank}{record.request_id}"
    if panel:
        yield f"Event RequestId:{blank}{record.request_id}"
    ready = record.timeline.get("ready")
    reported = not record.cold_start or ready is None
    for moment, line in lines:
        if not reported and ready is not None and moment > ready:
            reported = True
            yield init_report(record)
        yield line
    if not reported:
        yield init_report(record)
    yield from _end_lines(record, blank)


def opening(request_id: str) -> str:
    """The first line of a log in the log query's dialect."""
    return f"START RequestId:{request_id}"


def closing(record: InvocationRecord) -> Iterable[str]:
    """The last lines of a log in that dialect, with the report of a cold start if there was one.

    A request that reached no instance has none.
    """
    if not record.instance_id:
        return
    if record.cold_start and "ready" in record.timeline:
        yield init_report(record)
    yield from _end_lines(record, "")


def _end_lines(record: InvocationRecord, blank: str) -> Iterable[str]:
    panel = bool(blank)
    if not panel and record.status_code not in (200, 202):
        yield f"ERROR RequestId:{blank}{record.request_id} Result:{record.ret_msg}"
    elif not panel and record.status_code == 200:
        yield f'Response RequestId:{blank}{record.request_id} RetMsg:"{record.ret_msg}"'
    if record.status_code != 202:
        yield f"END RequestId:{blank}{record.request_id}"
        yield report(record, blank)
