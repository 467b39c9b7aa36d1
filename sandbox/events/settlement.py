"""Decides whether an event is over, tried again or given up after a try, and stores that."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

import structlog
from pydantic_core import from_json

from sandbox.errors import ConflictError, NotFoundError, PlatformError
from sandbox.events.dead_letters import dead_letter
from sandbox.events.model import Change, Deferral, EventStatus, trace_of
from sandbox.events.retry import Fault, fault_of, next_try
from sandbox.functions.model import EventInvokeConfig
from sandbox.records.record import InvocationRecord
from sandbox.status import StatusCode, error_object

if TYPE_CHECKING:
    from sandbox.clock import Clock
    from sandbox.events.bodies import Bodies
    from sandbox.events.group_commit import GroupCommit
    from sandbox.events.model import DeadLetter, QueuedEvent
    from sandbox.events.ports import EventRecorder
    from sandbox.functions.model import Function, FunctionConfig, FunctionVersion
    from sandbox.functions.ports import FunctionLookup
    from sandbox.settings import Settings

log = structlog.get_logger()

#: The most of a try's error object that the event keeps, bytes.
ERROR_BYTES = 64 * 1024
#: The time between attempts to store a settlement; it doubles up to the last. Seconds.
FIRST_DELAY_S = 0.1
LAST_DELAY_S = 5.0


class Target(NamedTuple):
    """What an event would run now. If it cannot, ``status`` is not 0 and ``message`` says why."""

    function: Function | None
    version: FunctionVersion | None
    status: int = 0
    message: str = ""

    @property
    def config(self) -> FunctionConfig | None:
        """The configuration of the version, or of ``$LATEST`` if the version is gone."""
        if self.version is not None:
            return self.version.config
        return self.function.latest.config if self.function else None


class Settlement:
    """Decides by the function's present configuration, and writes each decision to disk."""

    def __init__(
        self,
        functions: FunctionLookup,
        clock: Clock,
        settings: Settings,
        commits: GroupCommit,
        bodies: Bodies,
        recorder: EventRecorder,
    ) -> None:
        self._functions = functions
        self._clock = clock
        self._settings = settings
        self._commits = commits
        self._bodies = bodies
        self._recorder = recorder

    def target(self, event: QueuedEvent) -> Target:
        """The function and version to run, resolved anew for each try.

        Events of a deleted function do not run in a new function of the same name.
        """
        function: Function | None = None
        version: FunctionVersion | None = None
        try:
            function = self._functions.get(event.namespace, event.function_name)
            if function.function_id != event.function_id:
                return Target(None, None, StatusCode.FUNCTION_NOT_FOUND, _DELETED)
            _, version = self._functions.resolve(
                event.namespace,
                event.function_name,
                event.qualifier,
                from_json(event.routing_key or "{}"),
            )
            self._functions.require_invocable(version)
        except NotFoundError as error:
            if function is None:
                return Target(None, None, StatusCode.FUNCTION_NOT_FOUND, _DELETED)
            return Target(function, None, StatusCode.QUALIFIER_NOT_FOUND, error.message)
        except ConflictError as error:
            return Target(function, version, StatusCode.FUNCTION_STATUS, error.message)
        return Target(function, version)

    def expired(self, event: QueuedEvent, function: Function) -> tuple[int, bytes]:
        """Status and error object of an event that is too old: those of its last try, if any."""
        if event.error:
            return _status_of(event.error), event.error
        status = StatusCode.RESOURCE_LIMIT_REACHED
        message = f"the event was not run within its MsgTTL of {function.event_invoke.msg_ttl_s} s"
        return int(status), error_object(status, message, event.request_id)

    def lost(self, event: QueuedEvent) -> tuple[int, bytes]:
        """Status and error object of an event whose body is missing on the disk."""
        status = StatusCode.INTERNAL_ERROR
        message = "the body of the event is missing in the sandbox's database: send it again"
        return int(status), error_object(status, message, event.request_id)

    async def conclude(
        self, event: QueuedEvent, status: int, error: bytes, *, final: bool = False
    ) -> bool:
        """Write the outcome of a try. True if the event is over, False if it is to wait again.

        ``final``: there is no other try, because it would fail as well.
        """
        if event.terminated and status != StatusCode.SUCCESS:
            await self._end(event, EventStatus.ABORTED, int(StatusCode.CANCELED))
            self._recorder.event_given_up(event, int(StatusCode.CANCELED), "terminated")
            return True
        if status == StatusCode.SUCCESS:
            await self._end(event, EventStatus.FINISHED, status)
            return True
        target = self.target(event)
        fault = fault_of(status)
        event.error = error[:ERROR_BYTES]
        due = None if final else self._due(event, fault, target)
        if due is None:
            await self._give_up(event, status, target)
            return True
        await self._defer(event, fault, status, due)
        return False

    async def bury(self, event: QueuedEvent, config: FunctionConfig, status: int) -> None:
        """Make a dead letter of an event that was not accepted: the queue is full."""
        letter = dead_letter(
            event, event.body or b"", config, status, 0, self._clock.now(), self._settings
        )
        await self._commits.commit(Change(letter=letter))
        self._recorder.event_given_up(event, status, _fate(letter))
        log.warning("event_dead_lettered", request_id=event.request_id, status=int(status))

    def _due(self, event: QueuedEvent, fault: Fault, target: Target) -> float | None:
        if target.function is None or target.config is None:
            return None
        policy = target.function.event_invoke
        if target.config.async_run:
            policy = policy.model_copy(update={"retry_num": 0})
        interval = self._settings.async_retry_interval
        return next_try(fault, event, policy, self._clock.now(), interval)

    async def _defer(self, event: QueuedEvent, fault: Fault, status: int, due: float) -> None:
        retry_num = event.retry_num + (fault is Fault.RUN)
        delays = event.delays + (fault is Fault.SYSTEM)
        await self._commit(Change(defer=Deferral(event.seq, retry_num, delays, due, event.error)))
        event.retry_num, event.delays, event.due_at = retry_num, delays, due
        self._recorder.event_retried(event, status, retry_num, due)
        log.info(
            "event_deferred",
            request_id=event.request_id,
            function=event.function_name,
            status=status,
            fault=fault.value,
            retry_num=retry_num,
            in_s=round(due - self._clock.now(), 3),
        )

    async def _give_up(self, event: QueuedEvent, status: int, target: Target) -> None:
        config = target.config
        body = await self._bodies.of(event) if config and config.dead_letter.exists else b""
        policy = target.function.event_invoke if target.function else EventInvokeConfig()
        now = self._clock.now()
        letter = dead_letter(event, body, config, status, policy.msg_ttl_s, now, self._settings)
        await self._end(event, EventStatus.FAILED, status, letter=letter)
        self._recorder.event_given_up(event, status, _fate(letter))
        log.warning(
            f"event_{_fate(letter)}",
            request_id=event.request_id,
            function=event.function_name,
            status=status,
            reason=letter.error_message,
        )

    async def _end(
        self,
        event: QueuedEvent,
        outcome: EventStatus,
        status: int,
        *,
        letter: DeadLetter | None = None,
    ) -> None:
        now = self._clock.now()
        trace = trace_of(event, outcome, status, now)
        await self._commit(Change(settle=event.seq, trace=trace, letter=letter))
        if event.invocation is None and not event.retry_num and not event.delays:
            self._recorder.ended_unrun(_unrun_record(event, status, now))

    async def _commit(self, change: Change) -> None:
        """Try until the change is on disk: the outcome of an event must not be lost."""
        delay = FIRST_DELAY_S
        while True:
            try:
                await self._commits.commit(change)
                return
            except PlatformError as error:
                log.error("event_not_settled", reason=error.message)
            await asyncio.sleep(delay)
            delay = min(2 * delay, LAST_DELAY_S)


_DELETED = "the function was deleted"


def _fate(letter: DeadLetter) -> str:
    return "dropped" if letter.dropped else "dead_lettered"


def _status_of(error: bytes) -> int:
    try:
        return int(from_json(error)["statusCode"])
    except (ValueError, TypeError, KeyError):
        return int(StatusCode.RESOURCE_LIMIT_REACHED)


def _unrun_record(event: QueuedEvent, status: int, now: float) -> InvocationRecord:
    """The record of an event that ended while it waited, for the log query."""
    return InvocationRecord(
        request_id=event.request_id,
        namespace=event.namespace,
        function_name=event.function_name,
        version=event.version,
        qualifier=event.qualifier,
        invocation_type=event.invocation_type,
        started_at=event.accepted_at,
        ended_at=now,
        status_code=status,
        ret_msg=event.error.decode("utf-8", "replace"),
        retry_num=event.retry_num,
        timeline={"received": event.accepted_at, "finished": now},
    )
