"""The path of an invocation: resolve, check, hand to the pool or the queue, record."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Protocol

from pydantic_core import from_json

from sandbox import limits
from sandbox.errors import (
    InvalidParameter,
    InvalidParameterValue,
    LimitError,
    PlatformError,
    RequestError,
)
from sandbox.invocation import Invocation, Outcome, Tail, TakingRecorder
from sandbox.packages.model import Bootstrap
from sandbox.records.record import InvocationRecord
from sandbox.records.report import render_tail
from sandbox.status import StatusCode, error_object
from scf_sandbox.preflight import RELOAD_FAILURES

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from sandbox.clock import Clock
    from sandbox.functions.model import Function, FunctionVersion
    from sandbox.functions.ports import FunctionLookup
    from sandbox.invocation import Cause, InvokeOptions
    from sandbox.packages.model import CodeRef
    from sandbox.pool.pool import Pool
    from scf_sandbox.preflight import Finding

#: The most bytes of a result that a record holds. The caller gets the whole result.
RECORD_RESULT_BYTES = 64 * 1024


class InvocationRecorder(TakingRecorder, Protocol):
    """Records how invocations go. No method waits or fails."""

    def began(self, invocation: Invocation) -> None:
        """The invocation is accepted and goes to the pool."""
        ...

    def noted(self, invocation: Invocation, line: tuple[float, str]) -> None:
        """The invocation reaches no instance, and its log has this line of the platform."""
        ...

    def ended(self, record: InvocationRecord) -> None:
        """The invocation has ended. The record is safe when this returns; the answer follows."""
        ...


class Admission(Protocol):
    """Says whether an event may begin now: the quotas."""

    def refusal(self, function: Function, version: FunctionVersion) -> str | None:
        """Why the event is refused, or None if it may begin."""
        ...


class EventSink(Protocol):
    """Takes events whose callers do not wait for the result: the queue."""

    async def accept(
        self, function: Function, version: FunctionVersion, event: bytes, options: InvokeOptions
    ) -> None:
        """Take an event; it is on disk when this returns. ``LimitExceeded.Quota`` when full."""
        ...


class Invoker:
    """Takes events from the APIs, returns their outcomes, and records each invocation."""

    def __init__(
        self,
        functions: FunctionLookup,
        pool: Pool,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        recorder: InvocationRecorder,
        *,
        quotas: Admission | None = None,
        queue: EventSink | None = None,
    ) -> None:
        self._functions = functions
        self._pool = pool
        self._clock = clock
        self._loop = loop
        self._recorder = recorder
        self._quotas = quotas
        self._queue = queue

    async def invoke(self, name: str, event: bytes, options: InvokeOptions) -> Outcome:
        """Run one event to its end. With asynchronous execution only accept it (status 202).

        A function that fails is an outcome. Errors are for requests that reach no function:
        ``ResourceNotFound.*``, ``InvalidParameterValue.Param`` (not JSON),
        ``InvalidParameter.RequestTooLarge``, ``FailedOperation.FunctionStatusError``.
        """
        function, version = self._functions.resolve(
            options.namespace, name, options.qualifier, options.routing_key
        )
        self._functions.require_invocable(version)
        check_event(event, limits.SYNC_EVENT_BYTES)
        if version.config.async_run:
            await self._queue_or_fail().accept(function, version, event, options)
            return Outcome(options.request_id, int(StatusCode.RUNNING), b"")
        return await self.outcome(self.begin(function, version, event, options))

    async def invoke_async(self, name: str, event: bytes, options: InvokeOptions) -> None:
        """Accept an event and run it later. The event is on disk when this returns.

        Errors are those of ``invoke``, and ``LimitExceeded.Quota`` if the queue is full.
        """
        function, version = self._functions.resolve(
            options.namespace, name, options.qualifier, options.routing_key
        )
        self._functions.require_invocable(version)
        check_event(event, limits.ASYNC_EVENT_BYTES)
        await self._queue_or_fail().accept(function, version, event, options)

    def _queue_or_fail(self) -> EventSink:
        if self._queue is None:
            raise PlatformError("this sandbox was made without a queue: invoke synchronously")
        return self._queue

    # ------------------------------------------------------------------ one event's run

    def can_begin(self, function: Function, version: FunctionVersion) -> bool:
        """Whether an event can begin without waiting for another one to end."""
        assert version.code is not None
        return version.code.bootstrap is not Bootstrap.OK or self._pool.has_room(function, version)

    def begin(
        self,
        function: Function,
        version: FunctionVersion,
        event: bytes,
        options: InvokeOptions,
        patience_s: float = limits.SYNC_WAIT_S,
    ) -> Invocation:
        """Hand an event to the pool, where it waits at most ``patience_s`` seconds."""
        invocation = Invocation(
            function,
            version,
            event,
            options.request_id,
            self._loop,
            qualifier=options.qualifier,
            invocation_type=options.invocation_type,
            tail=options.tail,
            retry_num=options.retry_num,
        )
        invocation.patience_s = patience_s
        invocation.times["received"] = self._clock.now()
        invocation.recorder = self._recorder
        self._recorder.began(invocation)
        assert version.code is not None
        if (obstacle := version.code.obstacle) is not None:
            invocation.end(self._reload_failure(invocation, version.code, obstacle))
        elif self._quotas is not None and (refusal := self._quotas.refusal(function, version)):
            invocation.refuse(StatusCode.RESOURCE_LIMIT_REACHED, refusal)
        else:
            self._pool.submit(invocation)
        return invocation

    async def outcome(self, invocation: Invocation) -> Outcome:
        """Wait for the end of an invocation, and record it."""
        outcome = await invocation.future
        record = record_of(invocation, outcome)
        if outcome.tail is not None:
            outcome.log = render_tail(record, outcome.tail.lines)
        self._recorder.ended(record)
        return outcome

    def start(
        self, name: str, event: bytes, options: InvokeOptions, answer: Callable[[Outcome], None]
    ) -> bool:
        """``invoke`` without a task: the end of the event calls ``answer`` once its record is safe.

        Returns False and begins nothing if the caller wants a tail of the log, or the function
        executes asynchronously: these need a task. Errors are those of ``invoke``.
        """
        function, version = self._functions.resolve(
            options.namespace, name, options.qualifier, options.routing_key
        )
        if options.tail or version.config.async_run:
            return False
        self._functions.require_invocable(version)
        check_event(event, limits.SYNC_EVENT_BYTES)
        invocation = self.begin(function, version, event, options)

        def ended() -> None:
            outcome = invocation.outcome
            assert outcome is not None  # no future was made, so no caller can have cancelled it
            self._recorder.ended(record_of(invocation, outcome))
            answer(outcome)

        if invocation.outcome is not None:
            ended()
        else:
            invocation.watch(ended)
        return True

    def cancel(self, invocation: Invocation, cause: Cause, message: str) -> None:
        """End an invocation as canceled, and the instance that works on it."""
        instance = invocation.instance
        if instance is not None and instance.works_on(invocation):
            instance.cancel(cause, message)
        elif not invocation.over:
            self._pool.withdraw(invocation)
            invocation.cancel(cause, message)

    def signal(self, invocation: Invocation) -> bool:
        """Send SIGTERM to the bootstrap that works on an invocation; False if none does.

        The event's log says whether the bootstrap received it.
        """
        instance = invocation.instance
        if instance is None or not instance.works_on(invocation):
            return False
        instance.send_signal(signal.SIGTERM)
        return True

    def _reload_failure(self, invocation: Invocation, code: CodeRef, finding: Finding) -> Outcome:
        """The outcome of a bootstrap that ``finding`` keeps from starting (contract 1.4).

        It has no instance and no bill. It has a log only where the package holds a file that was
        meant to be the bootstrap.
        """
        text = RELOAD_FAILURES[finding.code]
        body = error_object(StatusCode.USER_CODE_ERROR, text, invocation.request_id, 1)
        outcome = Outcome(
            invocation.request_id,
            int(StatusCode.USER_CODE_ERROR),
            body,
            memory_mb=invocation.version.config.memory_mb,
        )
        if code.instead:
            line = (self._clock.now(), f"[PLATFORM] {finding.message}")
            self._recorder.noted(invocation, line)
            if invocation.tail:
                outcome.tail = Tail()
                outcome.tail.add(line)
        return outcome


def check_event(event: bytes, limit: int) -> None:
    """Refuse an event above ``limit`` bytes, or one that is not JSON (contract 4.1: 406, 400)."""
    if len(event) > limit:
        raise LimitError(
            f"the event is {len(event)} bytes; the limit is {limit}: send less, or put the data"
            " in object storage and send its key",
            InvalidParameter.REQUEST_TOO_LARGE,
        )
    try:
        from_json(event, allow_inf_nan=False)
    except ValueError as error:
        raise RequestError(
            f"the event is not standard JSON ({error}): send a JSON text, for example"
            ' {"key":"value"}',
            InvalidParameterValue.PARAM,
        ) from error


def record_of(invocation: Invocation, outcome: Outcome) -> InvocationRecord:
    """The record of an invocation, with the first ``RECORD_RESULT_BYTES`` of its result."""
    times = dict(invocation.times)
    received = times["received"]
    function = invocation.function
    return InvocationRecord(  # by position: passing fields by name takes twice as long
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
