"""An accepted event while it is not over, and what is kept of it after."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from sandbox.errors import IllegalTransitionError

if TYPE_CHECKING:
    from sandbox.invocation import Invocation


class EventStatus(StrEnum):
    """The states of an event as the platform shows them (contract 5)."""

    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    ABORTED = "ABORTED"
    FAILED = "FAILED"


class Phase(StrEnum):
    """Where an event is in this process.

    ``WAITING`` for its turn or its due time; ``RUNNING`` from the pool's taking it until the
    outcome of the try is on disk; ``ENDING`` without a try, its end not on disk yet; ``OVER``.
    """

    WAITING = "waiting"
    RUNNING = "running"
    ENDING = "ending"
    OVER = "over"


class Step(StrEnum):
    """What happens to an event: what moves it from one phase to the next."""

    BEGUN = "begun"
    #: It ends while it waits: it is terminated, too old, or its function is gone.
    ENDED = "ended"
    #: It is to be tried again, and that is on disk.
    DEFERRED = "deferred"
    #: Its end is on disk.
    SETTLED = "settled"


#: Every phase change there is. An event that is to end unrun may be deferred after all: its
#: function's MsgTTL was raised at the last moment.
TRANSITIONS: dict[tuple[Phase, Step], Phase] = {
    (Phase.WAITING, Step.BEGUN): Phase.RUNNING,
    (Phase.WAITING, Step.ENDED): Phase.ENDING,
    (Phase.RUNNING, Step.DEFERRED): Phase.WAITING,
    (Phase.ENDING, Step.DEFERRED): Phase.WAITING,
    (Phase.RUNNING, Step.SETTLED): Phase.OVER,
    (Phase.ENDING, Step.SETTLED): Phase.OVER,
}


@dataclass(slots=True, eq=False)
class QueuedEvent:
    """One event that is not over. The fields up to ``size`` are on disk under the same names.

    Times are seconds since the epoch. ``seq`` is the order of acceptance. ``version`` is what
    ``qualifier`` led to then; each try looks again. ``retry_num`` is the number of the next or
    present try, ``delays`` counts the tries that the sandbox itself failed, ``error`` is the last
    try's error object. ``body`` is the event, or None while only the disk has it.
    """

    seq: int
    request_id: str
    namespace: str
    function_name: str
    function_id: str
    qualifier: str
    version: str
    invocation_type: str
    source: str
    routing_key: str
    accepted_at: float
    traced: bool
    retry_num: int = 0
    delays: int = 0
    due_at: float = 0.0
    error: bytes = b""
    size: int = 0
    body: bytes | None = None
    phase: Phase = Phase.WAITING
    #: Its termination was asked for: a try that fails is its end.
    terminated: bool = False
    invocation: Invocation | None = field(default=None, repr=False)

    def step(self, step: Step) -> None:
        """Change the phase, the only way there is; ``IllegalTransitionError`` off the table."""
        try:
            self.phase = TRANSITIONS[self.phase, step]
        except KeyError:
            raise IllegalTransitionError(self.phase, step) from None

    @property
    def lane(self) -> tuple[str, str, str]:
        """Events of one function and qualifier are served in their order."""
        return (self.namespace, self.function_name, self.qualifier)


class TracedEvent(NamedTuple):
    """The state of an event of a function with ``TraceEnable``; ``ended_at`` is 0 until it ends."""

    request_id: str
    namespace: str
    function_name: str
    version: str
    invoke_type: str
    status: str
    status_code: int
    started_at: float
    ended_at: float


@dataclass(frozen=True, slots=True)
class TraceQuery:
    """Which events of one function are asked for. Times are half-open, in seconds."""

    version: str | None = None
    request_id: str | None = None
    invoke_types: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    started: tuple[float, float] | None = None
    ended: tuple[float, float] | None = None
    by_end: bool = False
    descending: bool = True
    offset: int = 0
    limit: int = 20


class DeadLetter(NamedTuple):
    """An event that was given up.

    ``dropped`` ones belong to functions without a dead letter queue: of these the event itself is
    not kept. ``message`` is the JSON that the queue would be sent (contract 5).
    """

    request_id: str
    namespace: str
    function_name: str
    died_at: float
    queue_type: str
    queue_name: str
    dropped: bool
    status_code: int
    error_message: str
    message: str


class Deferral(NamedTuple):
    """What changes on disk when an event is to be tried again."""

    seq: int
    retry_num: int
    delays: int
    due_at: float
    error: bytes


class Change(NamedTuple):
    """One step of one event, to be made as a whole or not at all.

    ``settle`` is the ``seq`` of an event that is over.
    """

    accept: QueuedEvent | None = None
    defer: Deferral | None = None
    settle: int | None = None
    trace: TracedEvent | None = None
    letter: DeadLetter | None = None


def trace_of(
    event: QueuedEvent, status: EventStatus, code: int, ended_at: float = 0.0
) -> TracedEvent | None:
    """The event's state, if it is to be kept at all."""
    if not event.traced:
        return None
    return TracedEvent(
        event.request_id,
        event.namespace,
        event.function_name,
        event.version,
        event.source,
        status.value,
        int(code),
        event.accepted_at,
        ended_at,
    )
