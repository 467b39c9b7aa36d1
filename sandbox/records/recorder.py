"""Writes down what becomes of invocations, then tells it on the feed.

In this order: what was answered, and what was shown to a listener, is never lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.feed.facts import (
    SHOWN_ID,
    InstanceChanged,
    InvocationBegan,
    InvocationDispatched,
    InvocationEnded,
    LinesWritten,
)
from sandbox.records.record import InvocationRecord
from sandbox.status import StatusCode

if TYPE_CHECKING:
    from sandbox.engine.base import InstanceSpec
    from sandbox.feed.feed import Feed
    from sandbox.invocation import Invocation, Outcome
    from sandbox.records.ports import RecordSink
    from sandbox.records.record import LogChunk

#: Result bytes kept with the record; the caller always gets all of them.
RECORD_RESULT_BYTES = 64 * 1024


class Recorder:
    """What the invoker, instances and the queue say of invocations. None of it waits or fails.

    ``feed`` is for facts that leave no record.
    """

    def __init__(self, sink: RecordSink, feed: Feed) -> None:
        self.feed = feed
        self._sink = sink

    def began(self, invocation: Invocation) -> None:
        """It was accepted, and goes to the pool."""
        if InvocationBegan not in self.feed.asked:
            return
        self.feed.publish(
            InvocationBegan(  # in the order of its fields, as below: by name takes twice as long
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

    def taken(self, invocation: Invocation, instance_id: str) -> None:
        """An instance works on it: the log query shows an asynchronous one as running."""
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
        """It has ended. Called once for each, before its answer is given."""
        self._sink.put(record)
        self.feed.publish(InvocationEnded(record))

    def ended_unrun(self, record: InvocationRecord) -> None:
        """An event has ended while it waited: for the feed it never was an invocation."""
        self._sink.put(record)

    def lines(self, spec: InstanceSpec, chunk: LogChunk) -> None:
        """An instance's process wrote something."""
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


def record_of(invocation: Invocation, outcome: Outcome) -> InvocationRecord:
    """What is kept of it, with the first ``RECORD_RESULT_BYTES`` of its result."""
    times = dict(invocation.times)
    received = times["received"]
    function = invocation.function
    return InvocationRecord(  # in the order of its fields: by name takes twice as long
        outcome.request_id,
        function.namespace,
        function.name,
        invocation.version.version,
        invocation.qualifier,
        invocation.invocation_type,
        received,
        times.get("finished", received),
        outcome.status_code,
        outcome.body[:RECORD_RESULT_BYTES].decode("utf-8", "replace"),
        outcome.duration_ms,
        outcome.bill_ms,
        outcome.memory_mb,
        outcome.mem_usage,
        outcome.cold_start,
        outcome.init_ms,
        invocation.retry_num,
        outcome.instance_id,
        times,
    )


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
