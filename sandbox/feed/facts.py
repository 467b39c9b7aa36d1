"""The facts that the feed tells: what each is called, and what it holds.

The table of them with the moment of each is docs/en/feed.md. Times are seconds since the epoch,
durations milliseconds. A fact holds no secret: no environment, no event, no result,
no more of an instance's id than is shown anywhere (``SHOWN_ID`` characters).
"""

from __future__ import annotations

from sys import getsizeof
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from sandbox.records.record import InvocationRecord

#: So much of an instance's id is shown: all of it is the secret of its runtime address.
SHOWN_ID = 12
#: About what a fact takes in memory, bytes: one of few ids and numbers, one with its record, one
#: line.
FACT_BYTES, RECORD_BYTES, LINE_BYTES = 400, 1200, 80


class FunctionChanged(NamedTuple):
    """``change``: created, changed or deleted. ``version`` is empty where the function as a whole
    changed (an alias, a retry policy); else ``status`` is that version's."""

    time: float
    namespace: str
    function: str
    version: str
    change: str
    status: str


class InstanceChanged(NamedTuple):
    """``state`` is one of ``sandbox.instance.lifecycle.State``. Busy is told by
    ``InvocationDispatched``, idle again by ``InvocationEnded``. ``reason``: why it failed."""

    time: float
    namespace: str
    function: str
    version: str
    instance_id: str
    state: str
    reason: str


class InvocationBegan(NamedTuple):
    """``invocation_type`` is RequestResponse or Event; ``retry_num`` is 0 for the first try."""

    time: float
    namespace: str
    function: str
    version: str
    request_id: str
    qualifier: str
    invocation_type: str
    retry_num: int


class InvocationDispatched(NamedTuple):
    """An instance works on it: from now on it initialises for it, or has the event."""

    time: float
    namespace: str
    function: str
    version: str
    request_id: str
    instance_id: str


class InvocationEnded(NamedTuple):
    """Its record, which is safe by now. Its result is no part of ``view``."""

    record: InvocationRecord

    @property
    def time(self) -> float:
        """When it ended."""
        return self.record.ended_at

    @property
    def namespace(self) -> str:
        """Of its function."""
        return self.record.namespace

    @property
    def function(self) -> str:
        """The name of its function."""
        return self.record.function_name

    @property
    def request_id(self) -> str:
        """Whose end it is."""
        return self.record.request_id


class LinesWritten(NamedTuple):
    """``lines`` are (seconds since the epoch, text); ``request_id`` is empty outside any request.
    ``seq`` orders the lines of one instance."""

    time: float
    namespace: str
    function: str
    version: str
    request_id: str
    instance_id: str
    seq: int
    lines: list[tuple[float, str]]


class EventQueued(NamedTuple):
    """An asynchronous event is accepted: it is on disk. ``source`` as ``InvokeType`` names it."""

    time: float
    namespace: str
    function: str
    version: str
    request_id: str
    source: str


class EventRetried(NamedTuple):
    """A try failed with ``status``; the event is tried again at ``due_at``."""

    time: float
    namespace: str
    function: str
    version: str
    request_id: str
    status: int
    retry_num: int
    due_at: float


class EventGivenUp(NamedTuple):
    """``fate``: dead_lettered, dropped or terminated. ``status`` is that of the last try."""

    time: float
    namespace: str
    function: str
    version: str
    request_id: str
    status: int
    fate: str


class NodeUp(NamedTuple):
    """An engine answers and instances can start there."""

    time: float
    node: str
    engine: str
    memory_mb: int


class NodeDown(NamedTuple):
    """No instance starts there any more."""

    time: float
    node: str
    reason: str


Fact: TypeAlias = (
    FunctionChanged
    | InstanceChanged
    | InvocationBegan
    | InvocationDispatched
    | InvocationEnded
    | LinesWritten
    | EventQueued
    | EventRetried
    | EventGivenUp
    | NodeUp
    | NodeDown
)

#: Every fact there is, by the name that listeners outside the process know it by.
FACTS: dict[str, type[Fact]] = {
    "function_changed": FunctionChanged,
    "instance_changed": InstanceChanged,
    "invocation_began": InvocationBegan,
    "invocation_dispatched": InvocationDispatched,
    "invocation_ended": InvocationEnded,
    "lines_written": LinesWritten,
    "event_queued": EventQueued,
    "event_retried": EventRetried,
    "event_given_up": EventGivenUp,
    "node_up": NodeUp,
    "node_down": NodeDown,
}
NAMES: dict[type[Fact], str] = {kind: name for name, kind in FACTS.items()}


def weight(fact: Fact) -> int:
    """About how many bytes the ring keeps alive with it."""
    if isinstance(fact, InvocationEnded):
        return RECORD_BYTES + getsizeof(fact.record.ret_msg)
    if isinstance(fact, LinesWritten):
        return FACT_BYTES + sum(LINE_BYTES + getsizeof(text) for _, text in fact.lines)
    return FACT_BYTES


def view(fact: Fact) -> dict[str, Any]:
    """A fact as plain data: its name as ``type``, then its fields."""
    name = NAMES[type(fact)]
    match fact:
        case InvocationEnded(record):
            return {"type": name, **_ended(record)}
        case LinesWritten():
            lines = [{"time": at, "text": text} for at, text in fact.lines]
            return {"type": name, **fact._asdict(), "lines": lines}
        case _:
            return {"type": name, **fact._asdict()}


def _ended(record: InvocationRecord) -> dict[str, Any]:
    return {
        "time": record.ended_at,
        "namespace": record.namespace,
        "function": record.function_name,
        "version": record.version,
        "request_id": record.request_id,
        "instance_id": record.instance_id[:SHOWN_ID],
        "qualifier": record.qualifier,
        "invocation_type": record.invocation_type,
        "retry_num": record.retry_num,
        "status": record.status_code,
        "started_at": record.started_at,
        "duration_ms": record.duration_ms,
        "bill_duration_ms": record.bill_ms,
        "memory_mb": record.memory_mb,
        "memory_usage": record.mem_usage,
        "cold_start": record.cold_start,
        "init_ms": record.init_ms,
    }
