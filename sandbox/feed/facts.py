"""The facts of the feed: the name and the fields of each.

docs/en/feed.md lists them, with the moment of each. Times are seconds since the epoch, durations
milliseconds. A fact holds no secret: no environment, no event, no result, and only the first
``SHOWN_ID`` characters of an instance's id.
"""

from __future__ import annotations

from sys import getsizeof
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from sandbox.records.record import InvocationRecord

#: The length of an instance's id that is shown. The whole id is the secret of its runtime address.
SHOWN_ID = 12
#: The memory of a fact in bytes, roughly: of one with few fields, of one with a record, and of one
#: line.
FACT_BYTES, RECORD_BYTES, LINE_BYTES = 400, 1200, 80


class FunctionChanged(NamedTuple):
    """``change`` is created, changed or deleted. ``status`` is that of ``version``. ``version`` is
    empty if the function as a whole changed (an alias, a retry policy)."""

    time: float
    namespace: str
    function: str
    version: str
    change: str
    status: str


class InstanceChanged(NamedTuple):
    """``state`` is one of ``sandbox.instance.lifecycle.State``. ``InvocationDispatched`` tells that
    an instance is busy, ``InvocationEnded`` that it is idle again. ``reason`` says why it
    failed."""

    time: float
    namespace: str
    function: str
    version: str
    instance_id: str
    state: str
    reason: str


class InvocationBegan(NamedTuple):
    """``invocation_type`` is RequestResponse or Event. ``retry_num`` is 0 for the first try."""

    time: float
    namespace: str
    function: str
    version: str
    request_id: str
    qualifier: str
    invocation_type: str
    retry_num: int


class InvocationDispatched(NamedTuple):
    """An instance works on the invocation: it initialises for it, or has its event."""

    time: float
    namespace: str
    function: str
    version: str
    request_id: str
    instance_id: str


class InvocationEnded(NamedTuple):
    """An invocation has ended. ``record`` is on disk. ``view`` leaves out its result."""

    record: InvocationRecord

    @property
    def time(self) -> float:
        """The time of the end."""
        return self.record.ended_at

    @property
    def namespace(self) -> str:
        """The namespace of the function."""
        return self.record.namespace

    @property
    def function(self) -> str:
        """The name of its function."""
        return self.record.function_name

    @property
    def request_id(self) -> str:
        """The request id of the invocation."""
        return self.record.request_id


class LinesWritten(NamedTuple):
    """``lines`` are (seconds since the epoch, text). ``request_id`` is empty for lines of no
    request. ``seq`` orders the lines of one instance."""

    time: float
    namespace: str
    function: str
    version: str
    request_id: str
    instance_id: str
    seq: int
    lines: list[tuple[float, str]]


class EventQueued(NamedTuple):
    """An asynchronous event is accepted and on disk. ``source`` is a value of ``InvokeType``."""

    time: float
    namespace: str
    function: str
    version: str
    request_id: str
    source: str


class EventRetried(NamedTuple):
    """A try failed with ``status``. The next try is at ``due_at``."""

    time: float
    namespace: str
    function: str
    version: str
    request_id: str
    status: int
    retry_num: int
    due_at: float


class EventGivenUp(NamedTuple):
    """An event ended without success. ``fate`` is dead_lettered, dropped or terminated. ``status``
    is that of the last try."""

    time: float
    namespace: str
    function: str
    version: str
    request_id: str
    status: int
    fate: str


class NodeUp(NamedTuple):
    """An engine answers. Instances can start on its node."""

    time: float
    node: str
    engine: str
    memory_mb: int


class NodeDown(NamedTuple):
    """No instance starts on the node any more."""

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

#: Every kind of fact, by its name outside the process.
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
    """The memory that the fact takes in the ring, bytes, roughly."""
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
