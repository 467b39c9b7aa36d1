"""What the queue asks of whoever runs events, and of whoever stores them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox.events.model import Change, DeadLetter, QueuedEvent, TracedEvent, TraceQuery
    from sandbox.functions.model import Function, FunctionVersion
    from sandbox.invocation import Cause, Invocation, InvokeOptions, Outcome
    from sandbox.records.record import InvocationRecord


class EventRecorder(Protocol):
    """Who writes down what becomes of events. Nothing of it waits or fails."""

    def event_queued(self, event: QueuedEvent) -> None:
        """It is accepted, and on disk."""
        ...

    def event_retried(self, event: QueuedEvent, status: int, retry_num: int, due_at: float) -> None:
        """A try failed with ``status``; try ``retry_num`` is due at ``due_at``."""
        ...

    def event_given_up(self, event: QueuedEvent, status: int, fate: str) -> None:
        """It ended without success: ``fate`` is dead_lettered, dropped or terminated."""
        ...

    def ended_unrun(self, record: InvocationRecord) -> None:
        """It ended while it waited. The record is safe when this returns."""
        ...


class Runner(Protocol):
    """The invoker, as the queue sees it. Only ``outcome`` and ``signal`` wait."""

    def can_begin(self, function: Function, version: FunctionVersion) -> bool:
        """Whether an event would not have to wait for another one to end."""
        ...

    def begin(
        self,
        function: Function,
        version: FunctionVersion,
        event: bytes,
        options: InvokeOptions,
        patience_s: float,
    ) -> Invocation:
        """Hand an event to the pool; it waits there ``patience_s`` seconds at most."""
        ...

    async def outcome(self, invocation: Invocation) -> Outcome:
        """Wait for the end, and leave a record of it."""
        ...

    def cancel(self, invocation: Invocation, cause: Cause, message: str) -> None:
        """End it as canceled, and with it the instance that works on it."""
        ...

    async def signal(self, invocation: Invocation) -> bool:
        """Send SIGTERM to the bootstrap that works on it; False when there is none."""
        ...


class EventRepository(Protocol):
    """Events on disk. All methods block: call them from a thread. Errors are ``PlatformError``."""

    def apply(self, changes: Sequence[Change], /) -> None:
        """Make all changes in one transaction. Accepted events survive the loss of power."""
        ...

    def load(self) -> list[QueuedEvent]:
        """Every event that is not over, in the order of acceptance, without its body."""
        ...

    def bodies(self, seqs: Sequence[int], /) -> dict[int, bytes]:
        """The events themselves, by ``seq``; those that are missing are left out."""
        ...

    def prune(self, ended_before: float, /) -> int:
        """Delete the states of traced events that ended before a time (s since the epoch), and
        what is known of dropped ones; how many rows that were."""
        ...

    def state(self, request_id: str, /) -> TracedEvent | None:
        """The state of one traced event."""
        ...

    def states(
        self, namespace: str, function_name: str, query: TraceQuery, ended_since: float, /
    ) -> tuple[int, list[TracedEvent]]:
        """How many traced events match, and a page of them.

        Those count that have not ended, or not before ``ended_since`` (s since the epoch).
        """
        ...


class LetterRepository(Protocol):
    """Dead letters on disk. Blocking."""

    def find(
        self,
        namespace: str | None,
        function_name: str | None,
        dropped: bool | None,
        offset: int,
        limit: int,
        /,
    ) -> tuple[int, list[DeadLetter]]:
        """How many letters match (None matches all), and a page of them, newest first."""
        ...

    def get(self, request_id: str, /) -> DeadLetter | None:
        """The letter of one event, or None when there is none."""
        ...

    def delete(self, request_id: str, /) -> bool:
        """False if there was none."""
        ...
