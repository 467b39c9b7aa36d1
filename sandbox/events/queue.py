"""The queue of asynchronous invocations: from acceptance to the last try.

An event is on disk before it is accepted, and stays there until its end is on disk. If this process
dies, the next one runs the events that were not over: at least once, under the same request id. One
control plane owns the database, so only the memory knows which events run.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import structlog

from sandbox import limits
from sandbox.errors import (
    ConflictError,
    FailedOperation,
    LimitError,
    LimitExceeded,
    NotFoundError,
    PlatformError,
    ResourceNotFound,
)
from sandbox.events.bodies import Bodies
from sandbox.events.fair_queue import FairQueue
from sandbox.events.group_commit import GroupCommit
from sandbox.events.model import Change, EventStatus, EventStep, Phase, QueuedEvent, trace_of
from sandbox.events.retry import expiry
from sandbox.events.settlement import Settlement
from sandbox.invocation import Cause, InvokeOptions
from sandbox.status import StatusCode, error_object
from sandbox.tasks import TaskOwner

if TYPE_CHECKING:
    from sandbox.clock import Clock
    from sandbox.events.fair_queue import Lane
    from sandbox.events.ports import EventRecorder, EventRepository, Runner
    from sandbox.functions.model import Function, FunctionVersion
    from sandbox.functions.ports import FunctionLookup
    from sandbox.invocation import Invocation
    from sandbox.settings import Settings

log = structlog.get_logger()

#: The time between two checks for waiting events that are too old, seconds.
AGE_EVERY_S = 5.0
#: The time between two deletions of old states, seconds.
PRUNE_EVERY_S = 3600.0


class EventQueue:
    """Accepts events, runs them in turn while the pool has room, and tries failed ones again.

    Call ``open`` first, and ``close`` before the pool's. The pool calls ``wake``. Everything runs
    on one event loop, except SQL, which runs in threads.
    """

    def __init__(
        self,
        repository: EventRepository,
        functions: FunctionLookup,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        settings: Settings,
        recorder: EventRecorder,
    ) -> None:
        self._repository = repository
        self._clock = clock
        self._loop = loop
        self._limit = settings.async_queue_limit
        self._recorder = recorder
        self._commits = GroupCommit(repository.apply)
        self._bodies = Bodies(repository)
        self._settlement = Settlement(
            functions, clock, settings, self._commits, self._bodies, recorder
        )
        self._lanes = FairQueue()
        self._events: dict[str, QueuedEvent] = {}
        self._accepting = 0
        self._last_seq = 0
        self._runner: Runner | None = None
        self._pumping = False
        self._alarm: asyncio.TimerHandle | None = None
        self._acceptances = TaskOwner()
        self._work = TaskOwner()
        self._watched: dict[int, asyncio.Future[None]] = {}

    @property
    def depth(self) -> int:
        """The number of accepted events that are not over."""
        return len(self._events)

    async def open(self, runner: Runner) -> None:
        """Take up the events of earlier processes in the order of acceptance, and start."""
        events = await asyncio.to_thread(self._repository.load)
        now = self._clock.now()
        for event in events:
            self._events[event.request_id] = event
            self._last_seq = event.seq
            self._lanes.add(event, now)
        self._runner = runner
        if events:
            log.info("events_resumed", events=len(events))
        self._work.start(self._prune())
        self._schedule()

    async def close(self) -> None:
        """Accept and begin nothing more. The next process runs again what is running now."""
        self._runner = None
        if self._alarm is not None:
            self._alarm.cancel()
        await self._acceptances.drain()
        await self._work.cancel()
        await self._commits.close()
        for watcher in self._watched.values():
            watcher.cancel()

    # ------------------------------------------------------------------ accepting

    async def accept(
        self, function: Function, version: FunctionVersion, event: bytes, options: InvokeOptions
    ) -> None:
        """Take an event. It is on disk when this returns, even if the caller is cancelled.

        Above the queue's limit the event goes to the function's dead letter queue. Without one it
        is refused with ``LimitExceeded.Quota``.
        """
        if self._runner is None:
            raise PlatformError("the sandbox is starting or stopping: try again later")
        self._last_seq += 1
        queued = QueuedEvent(
            seq=self._last_seq,
            request_id=options.request_id,
            namespace=function.namespace,
            function_name=function.name,
            function_id=function.function_id,
            qualifier=options.qualifier,
            version=version.version,
            invocation_type=options.invocation_type,
            source=options.source,
            routing_key=json.dumps(options.routing_key) if options.routing_key else "",
            accepted_at=self._clock.now(),
            traced=version.config.keeps_event_states,
            size=len(event),
            body=event,
        )
        if self.depth + self._accepting >= self._limit:
            await self._acceptances.finish(self._overflow(queued, version))
        else:
            self._accepting += 1
            await self._acceptances.finish(self._accept(queued))

    async def _accept(self, event: QueuedEvent) -> None:
        trace = trace_of(event, EventStatus.RUNNING, StatusCode.RUNNING)
        try:
            await self._commits.commit(Change(accept=event, trace=trace))
        finally:
            self._accepting -= 1
        self._events[event.request_id] = event
        self._recorder.event_queued(event)
        self._bodies.keep(event)
        self._lanes.add(event, self._clock.now())
        self._schedule()

    async def _overflow(self, event: QueuedEvent, version: FunctionVersion) -> None:
        message = f"the queue of asynchronous events is at its limit of {self._limit}"
        if not version.config.dead_letter.exists:
            raise LimitError(
                f"{message}: send fewer, or give the function a DeadLetterConfig",
                LimitExceeded.QUOTA,
            )
        status = StatusCode.RESOURCE_LIMIT_REACHED
        event.error = error_object(status, message, event.request_id)
        await self._settlement.bury(event, version.config, status)

    # ------------------------------------------------------------------ running

    def wake(self) -> None:
        """Look for events to run: the pool may have room again."""
        if self._lanes:
            self._schedule()

    def _schedule(self) -> None:
        if not self._pumping:
            self._pumping = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        """Begin events, one lane after the other, until every lane is empty or has no room."""
        self._pumping = False
        if self._runner is None:
            return
        now = self._clock.now()
        self._lanes.release(now)
        blocked = 0
        while blocked < len(self._lanes):
            blocked = 0 if self._advance(self._runner, self._lanes.turn(), now) else blocked + 1
        self._set_alarm(now)

    def _set_alarm(self, now: float) -> None:
        """Look again when a delayed event is due, or a waiting one may be too old."""
        if self._alarm is not None:
            self._alarm.cancel()
        due = self._lanes.next_due
        delays = [max(due - now, 0.001)] if due is not None else []
        delays += [AGE_EVERY_S] if self._lanes else []
        self._alarm = self._loop.call_later(min(delays), self._schedule) if delays else None

    def _advance(self, runner: Runner, lane: Lane, now: float) -> bool:
        """Run or end the first event of a lane. False if it must wait."""
        event = self._lanes.head(lane)
        if event is None:
            return True
        function, version, status, message = self._settlement.target(event)
        if function is None or version is None or status:
            self._end_unrun(event, status, error_object(status, message, event.request_id))
        elif expiry(event, function.event_invoke) <= now:
            self._end_unrun(event, *self._settlement.expired(event, function))
        elif not runner.can_begin(function, version):
            return False
        elif event.body is None:
            if not lane.loading:
                lane.loading = True
                self._work.start(self._read_bodies(lane))
            return False
        else:
            self._begin(runner, event, event.body, function, version)
        lane.events.popleft()
        return True

    def _begin(
        self,
        runner: Runner,
        event: QueuedEvent,
        body: bytes,
        function: Function,
        version: FunctionVersion,
    ) -> None:
        options = InvokeOptions(
            event.request_id,
            event.namespace,
            event.qualifier,
            routing_key=json.loads(event.routing_key) if event.routing_key else {},
            invocation_type=event.invocation_type,
            retry_num=event.retry_num,
            source=event.source,
        )
        patience = expiry(event, function.event_invoke) - self._clock.now()
        event.step(EventStep.BEGUN)
        event.invocation = runner.begin(function, version, body, options, patience)
        self._work.start(self._see_through(runner, event, event.invocation))

    async def _see_through(
        self, runner: Runner, event: QueuedEvent, invocation: Invocation
    ) -> None:
        cause: Cause | None = None
        try:
            outcome = await runner.outcome(invocation)
            status, body, cause = outcome.status_code, bytes(outcome.body), outcome.cause
        except Exception as error:  # the task's boundary: the event must not be lost
            log.exception("event_not_run", request_id=event.request_id)
            status = int(StatusCode.INTERNAL_ERROR)
            body = error_object(status, f"internal error: {error!r}", event.request_id)
        if cause is Cause.SHUTDOWN and not event.terminated:
            return  # the next process runs it again
        await self._conclude(event, status, body)

    async def _read_bodies(self, lane: Lane) -> None:
        try:
            for event in await self._bodies.read(lane.events.copy()):
                self._end_unrun(event, *self._settlement.lost(event), final=True)
        finally:  # even after a bug the alarm must look at the lane again
            lane.loading = False
        self._schedule()

    # ------------------------------------------------------------------ ending

    def _end_unrun(
        self, event: QueuedEvent, status: int, error: bytes, *, final: bool = False
    ) -> None:
        event.step(EventStep.ENDED)
        self._work.start(self._conclude(event, status, error, final=final))

    async def _conclude(
        self, event: QueuedEvent, status: int, error: bytes, *, final: bool = False
    ) -> None:
        """Write the outcome of an event to disk, then forget the event or let it wait again."""
        try:
            over = await self._settlement.conclude(event, status, error, final=final)
        except Exception:  # the task's boundary: callers must not wait for ever
            log.exception("event_not_concluded", request_id=event.request_id)
            over = True  # in this process; the next one runs it again
        self._bodies.let_go(event)
        event.invocation = None
        if over:
            event.step(EventStep.SETTLED)
            self._events.pop(event.request_id, None)
        else:
            event.step(EventStep.DEFERRED)
            if event.terminated:  # while the deferral was being written
                self._end_unrun(event, int(StatusCode.CANCELED), b"")
                return
            self._lanes.add(event, self._clock.now())
        self._schedule()
        watcher = self._watched.pop(event.seq, None)
        if watcher is not None and not watcher.done():
            watcher.set_result(None)

    async def terminate(
        self, namespace: str, name: str, request_id: str, *, graceful: bool = False
    ) -> None:
        """End a running or waiting event. Its end is on disk when this returns, or raises.

        ``graceful`` only sends SIGTERM to the bootstrap of a running one. Errors:
        ``ResourceNotFound.AsyncEvent``, ``FailedOperation.AsyncEventStatus`` when it has ended or
        is ending already.
        """
        event = self._events.get(request_id)
        if event is None or (event.namespace, event.function_name) != (namespace, name):
            await self._refuse_termination(namespace, name, request_id)
            return
        while event.phase is Phase.ENDING:
            if await self._next_phase(event) is Phase.OVER:
                raise _ended(request_id)
        runner = self._runner
        if runner is None:
            raise _ended(request_id)
        if graceful and event.invocation is not None and runner.signal(event.invocation):
            return
        event.terminated = True
        if event.invocation is not None:
            message = "the event was terminated by TerminateAsyncEvent"
            runner.cancel(event.invocation, Cause.TERMINATED, message)
        else:
            self._end_unrun(event, int(StatusCode.CANCELED), b"")
        await self._next_phase(event)

    async def _next_phase(self, event: QueuedEvent) -> Phase:
        """Wait until the next outcome of an event is on disk. Returns its phase then."""
        watcher = self._watched.setdefault(event.seq, self._loop.create_future())
        await asyncio.shield(watcher)
        return event.phase

    async def _refuse_termination(self, namespace: str, name: str, request_id: str) -> None:
        state = await asyncio.to_thread(self._repository.state, request_id)
        if state is not None and (state.namespace, state.function_name) == (namespace, name):
            raise _ended(request_id)
        raise NotFoundError(
            f"function {name} has no asynchronous event {request_id} that waits or runs: check the"
            " id that Invoke returned",
            ResourceNotFound.ASYNC_EVENT,
        )

    async def _prune(self) -> None:
        """Delete old states again and again."""
        while True:
            before = self._clock.now() - limits.EVENT_STATES_KEPT_S
            try:
                await asyncio.to_thread(self._repository.prune, before)
            except Exception as error:  # the task's boundary: the next attempt may succeed
                log.error("event_states_not_pruned", reason=str(error))
            await asyncio.sleep(PRUNE_EVERY_S)


def _ended(request_id: str) -> ConflictError:
    return ConflictError(
        f"the event {request_id} has ended: there is nothing to terminate",
        FailedOperation.ASYNC_EVENT_STATUS,
    )
