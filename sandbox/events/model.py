"""An accepted event until it is over, and what the disk keeps of it afterwards."""

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

    ``WAITING``: until its turn or its due time. ``RUNNING``: from the hand-over to the pool until
    the outcome of the try is on disk. ``ENDING``: it ends without a try, which is not on disk yet.
    ``OVER``: its end is on disk.
    """

    WAITING = "waiting"
    RUNNING = "running"
    ENDING = "ending"
    OVER = "over"


class EventStep(StrEnum):
    """What moves an event from one phase to the next."""

    BEGUN = "begun"
    #: It ends while it waits: it is terminated, too old, or without a function.
    ENDED = "ended"
    #: The disk says that it is to be tried again.
    DEFERRED = "deferred"
    #: The disk says that it has ended.
    SETTLED = "settled"


#: All phase changes. An event that ends unrun may be deferred after all, if its function's MsgTTL
#: is raised meanwhile.
TRANSITIONS: dict[tuple[Phase, EventStep], Phase] = {
    (Phase.WAITING, EventStep.BEGUN): Phase.RUNNING,
    (Phase.WAITING, EventStep.ENDED): Phase.ENDING,
    (Phase.RUNNING, EventStep.DEFERRED): Phase.WAITING,
    (Phase.ENDING, EventStep.DEFERRED): Phase.WAITING,
    (Phase.RUNNING, EventStep.SETTLED): Phase.OVER,
    (Phase.ENDING, EventStep.SETTLED): Phase.OVER,
}


@dataclass(slots=True, eq=False)
class QueuedEvent:
    """One event that is not over. The fields up to ``body`` are on disk under the same names.

    Times are seconds since the epoch. ``seq`` is the order of acceptance. ``version`` is what
    ``qualifier`` resolved to at acceptance; each try resolves it anew. ``retry_num`` is the number
    of the present or next try. ``delays`` counts the tries that failed by our own fault. ``error``
    is the error object of the last try. ``size`` is the length of the body in bytes. ``body`` is
    None while only the disk has it.
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
    #: A caller terminated it: if the present try fails, there is no other.
    terminated: bool = False
    invocation: Invocation | None = field(default=None, repr=False)

    def step(self, step: EventStep) -> None:
        """Change the phase. ``IllegalTransitionError`` if the table has no such change."""
        try:
            self.phase = TRANSITIONS[self.phase, step]
        except KeyError:
            raise IllegalTransitionError(self.phase, step) from None

    @property
    def lane(self) -> tuple[str, str, str]:
        """Namespace, function, qualifier. Events of one lane run in their order."""
        return (self.namespace, self.function_name, self.qualifier)


class TracedEvent(NamedTuple):
    """The state of an event of a function with ``TraceEnable``.

    Times are seconds since the epoch. ``ended_at`` is 0 until the event ends.
    """

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
    """Which traced events of one function to find.

    ``started`` and ``ended`` are half-open ranges of times (s since the epoch).
    """

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

    ``dropped``: its function has no dead letter queue, so the letter has no body. ``message`` is
    the JSON that the platform would send to the queue (contract 5).
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
    """What the disk learns of an event that is to be tried again. Fields as in ``QueuedEvent``."""

    seq: int
    retry_num: int
    delays: int
    due_at: float
    error: bytes


class Change(NamedTuple):
    """One step of one event: made on disk as a whole or not at all.

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
    """The state of an event, or None if its function has no ``TraceEnable``."""
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
