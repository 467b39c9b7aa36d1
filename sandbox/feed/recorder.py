"""Saves what happens, then publishes it on the feed. All facts are published here.

With this order nothing that was answered, or shown to a listener, is lost. Each room that reports
here has its own port. Only the control plane knows that the recorder is all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.feed.facts import (
    SHOWN_ID,
    EventGivenUp,
    EventQueued,
    EventRetried,
    FunctionChanged,
    InstanceChanged,
    InvocationBegan,
    InvocationDispatched,
    InvocationEnded,
    LinesWritten,
)
from sandbox.records.record import InvocationRecord, LogChunk
from sandbox.status import StatusCode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sandbox.engine.base import InstanceSpec
    from sandbox.events.model import QueuedEvent
    from sandbox.feed.feed import Feed
    from sandbox.functions.model import Function
    from sandbox.invocation import Invocation
    from sandbox.records.ports import RecordSink


class Recorder:
    """Takes the reports of the invoker, instances, the queue and the functions. No method waits or
    fails.

    Implements ``InvocationRecorder``, ``InstanceRecorder``, ``EventRecorder`` and
    ``FunctionRecorder``.
    """

    def __init__(self, sink: RecordSink, feed: Feed) -> None:
        """``sink`` keeps records and lines, ``feed`` tells of them."""
        self.feed = feed
        self._sink = sink

    def began(self, invocation: Invocation) -> None:
        """An invocation is accepted, and goes to the pool."""
        if InvocationBegan not in self.feed.asked:
            return
        self.feed.publish(
            InvocationBegan(  # by position, as below: by name takes twice as long
                invocation.times["received"],
                invocation.function.namespace,
                invocation.function.name,
                invocation.version.version,
                invocation.request_id,
                invocation.qualifier,
                invocation.invocation_type,
                invocation.retry_num,
            )
        )

    def noted(self, invocation: Invocation, line: tuple[float, str]) -> None:
        """Write a line of the platform into the log of an invocation that reaches no instance."""
        chunk = LogChunk(invocation.request_id, "", 0, [line])
        self._sink.put_log(chunk)
        self.feed.publish(
            LinesWritten(
                line[0],
                invocation.function.namespace,
                invocation.function.name,
                invocation.version.version,
                *chunk,
            )
        )

    def taken(self, invocation: Invocation, instance_id: str) -> None:
        """An instance works on an invocation. The log query shows an asynchronous one as
        running."""
        if invocation.invocation_type == "Event" or invocation.version.config.async_run:
            self._sink.put(_running(invocation, instance_id))
        if InvocationDispatched not in self.feed.asked:
            return
        self.feed.publish(
            InvocationDispatched(
                self.feed.now(),
                invocation.function.namespace,
                invocation.function.name,
                invocation.version.version,
                invocation.request_id,
                instance_id[:SHOWN_ID],
            )
        )

    def ended(self, record: InvocationRecord) -> None:
        """An invocation has ended. Called once for each, before its answer."""
        self._sink.put(record)
        self.feed.publish(InvocationEnded(record))

    def ended_unrun(self, record: InvocationRecord) -> None:
        """An event has ended while it waited. The feed does not tell it as an invocation."""
        self._sink.put(record)

    def lines(self, spec: InstanceSpec, chunk: LogChunk) -> None:
        """An instance's process wrote lines."""
        self._sink.put_log(chunk)
        self.feed.publish(
            LinesWritten(
                chunk.lines[-1][0],
                spec.namespace,
                spec.function_name,
                spec.version,
                chunk.request_id,
                chunk.instance_id[:SHOWN_ID],
                chunk.seq,
                chunk.lines,
            )
        )

    def instance_changed(self, spec: InstanceSpec, state: str, at: float, reason: str = "") -> None:
        """An instance is in another state since ``at``."""
        self.feed.publish(
            InstanceChanged(
                at,
                spec.namespace,
                spec.function_name,
                spec.version,
                spec.instance_id[:SHOWN_ID],
                state,
                reason,
            )
        )

    def event_queued(self, event: QueuedEvent) -> None:
        """An event is on disk."""
        self.feed.publish(EventQueued(event.accepted_at, *_names(event), event.source))

    def event_retried(self, event: QueuedEvent, status: int, retry_num: int, due_at: float) -> None:
        """A try failed with ``status``; try ``retry_num`` is due at ``due_at``."""
        fact = EventRetried(self.feed.now(), *_names(event), int(status), retry_num, due_at)
        self.feed.publish(fact)

    def event_given_up(self, event: QueuedEvent, status: int, fate: str) -> None:
        """An event has ended without success: ``dead_lettered``, ``dropped``, ``terminated``."""
        self.feed.publish(EventGivenUp(self.feed.now(), *_names(event), int(status), fate))

    def function_changed(self, function: Function, change: str, versions: Iterable[str]) -> None:
        """A function was ``created``, ``changed`` or ``deleted``: these versions of it, or the
        function as a whole if there are none."""
        now = self.feed.now()
        for version in list(versions) or [""]:
            status = function.versions[version].status.value if version else ""
            self.feed.publish(FunctionChanged(now, *function.key, version, change, status))


def _names(event: QueuedEvent) -> tuple[str, str, str, str]:
    return (event.namespace, event.function_name, event.version, event.request_id)


def _running(invocation: Invocation, instance_id: str) -> InvocationRecord:
    times = dict(invocation.times)
    return InvocationRecord(
        request_id=invocation.request_id,
        namespace=invocation.function.namespace,
        function_name=invocation.function.name,
        version=invocation.version.version,
        qualifier=invocation.qualifier,
        invocation_type=invocation.invocation_type,
        started_at=times["received"],
        ended_at=times["received"],
        status_code=int(StatusCode.RUNNING),
        memory_mb=invocation.version.config.memory_mb,
        retry_num=invocation.retry_num,
        instance_id=instance_id,
        timeline=times,
    )
