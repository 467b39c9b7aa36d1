"""The invoker, the store and the recorder, as the queue needs them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox.events.model import Change, DeadLetter, QueuedEvent, TracedEvent, TraceQuery
    from sandbox.functions.model import Function, FunctionVersion
    from sandbox.invocation import Cause, Invocation, InvokeOptions, Outcome
    from sandbox.records.record import InvocationRecord


class EventRecorder(Protocol):
    """Records what becomes of events. No method waits or fails."""

    def event_queued(self, event: QueuedEvent) -> None:
        """The event is accepted and on disk."""
        ...

    def event_retried(self, event: QueuedEvent, status: int, retry_num: int, due_at: float) -> None:
        """A try failed with ``status``; try ``retry_num`` is due at ``due_at``."""
        ...

    def event_given_up(self, event: QueuedEvent, status: int, fate: str) -> None:
        """The event ended without success: ``fate`` is dead_lettered, dropped or terminated."""
        ...

    def ended_unrun(self, record: InvocationRecord) -> None:
        """An event ended while it waited. The record is safe when this returns."""
        ...


class Runner(Protocol):
    """The invoker, as the queue needs it. Only ``outcome`` and ``signal`` wait."""

    def can_begin(self, function: Function, version: FunctionVersion) -> bool:
        """Whether an event can begin without waiting for another one to end."""
        ...

    def begin(
        self,
        function: Function,
        version: FunctionVersion,
        event: bytes,
        options: InvokeOptions,
        patience_s: float,
    ) -> Invocation:
        """Hand an event to the pool, where it waits at most ``patience_s`` seconds."""
        ...

    async def outcome(self, invocation: Invocation) -> Outcome:
        """Wait for the end of an invocation, and record it."""
        ...

    def cancel(self, invocation: Invocation, cause: Cause, message: str) -> None:
        """End an invocation as canceled, and the instance that works on it."""
        ...

    def signal(self, invocation: Invocation) -> bool:
        """Send SIGTERM to the bootstrap that works on an invocation. False if none does."""
        ...


class EventRepository(Protocol):
    """Events on disk. All methods block: call them from a thread. Errors are ``PlatformError``."""

    def apply(self, changes: Sequence[Change], /) -> None:
        """Make all changes in one transaction. Accepted events then survive the loss of power."""
        ...

    def load(self) -> list[QueuedEvent]:
        """Every event that is not over, in the order of acceptance, without its body."""
        ...

    def bodies(self, seqs: Sequence[int], /) -> dict[int, bytes]:
        """The bodies of events by ``seq``, without those that are missing."""
        ...

    def prune(self, ended_before: float, /) -> int:
        """Delete states and dropped letters of events that ended before a time; how many rows.

        ``ended_before`` is seconds since the epoch.
        """
        ...

    def state(self, request_id: str, /) -> TracedEvent | None:
        """The state of one traced event, or None if there is none."""
        ...

    def states(
        self, namespace: str, function_name: str, query: TraceQuery, ended_since: float, /
    ) -> tuple[int, list[TracedEvent]]:
        """How many traced events match, and a page of them.

        Events that ended before ``ended_since`` (s since the epoch) do not match.
        """
        ...


class LetterRepository(Protocol):
    """Dead letters on disk. All methods block: call them from a thread.

    Errors are ``PlatformError``.
    """

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
        """The letter of one event, or None if there is none."""
        ...

    def delete(self, request_id: str, /) -> bool:
        """Delete a letter. False if there was none."""
        ...
