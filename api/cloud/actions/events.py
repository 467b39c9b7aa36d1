"""Actions on asynchronous events: show states, end events, configure retries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from api.cloud import times
from api.cloud.actions.base import modelled
from api.cloud.models.events import (
    GetAsyncEventStatusRequest,
    GetFunctionEventInvokeConfigRequest,
    ListAsyncEventsRequest,
    TerminateAsyncEventRequest,
    UpdateFunctionEventInvokeConfigRequest,
)
from api.cloud.validation import invalid
from sandbox.errors import NotFoundError, RequestError, UnsupportedError
from sandbox.events.model import EventStatus, TraceQuery
from sandbox.functions.model import DEFAULT_NAMESPACE, LATEST, EventInvokeConfig
from sandbox.triggers.types import SOURCES

if TYPE_CHECKING:
    from collections.abc import Collection

    from api.cloud.actions.base import Action, Fields
    from api.cloud.models.events import TimeIntervalPart
    from sandbox.events.model import TracedEvent
    from sandbox.events.queue import EventQueue
    from sandbox.events.tracing import Traces
    from sandbox.functions.model import Function
    from sandbox.functions.service import FunctionService

LIMIT_MAX = 100
DEFAULT_LIMIT = 20


class EventActions:
    """Actions on accepted events."""

    def __init__(self, functions: FunctionService, queue: EventQueue, traces: Traces) -> None:
        self._functions = functions
        self._queue = queue
        self._traces = traces

    def actions(self) -> dict[str, Action]:
        """The actions of this theme, by name."""
        return {
            "UpdateFunctionEventInvokeConfig": modelled(
                UpdateFunctionEventInvokeConfigRequest, self.update_config
            ),
            "GetFunctionEventInvokeConfig": modelled(
                GetFunctionEventInvokeConfigRequest, self.get_config
            ),
            "ListAsyncEvents": modelled(ListAsyncEventsRequest, self.list),
            "GetAsyncEventStatus": modelled(GetAsyncEventStatusRequest, self.get_status),
            "TerminateAsyncEvent": modelled(TerminateAsyncEventRequest, self.terminate),
        }

    async def update_config(self, request: UpdateFunctionEventInvokeConfigRequest) -> Fields:
        """``RetryConfig`` is a list. The platform uses one item of it."""
        namespace = request.Namespace or DEFAULT_NAMESPACE
        function = self._functions.get(namespace, request.FunctionName)
        if function.latest.config.type != "Event":
            raise UnsupportedError(
                "a function of type HTTP has no asynchronous events",
                "UnsupportedOperation.UpdateFunctionEventInvokeConfig",
            )
        given = request.AsyncTriggerConfig
        if len(given.RetryConfig) != 1:
            raise RequestError(
                f"AsyncTriggerConfig.RetryConfig has {len(given.RetryConfig)} items: give one",
                "InvalidParameterValue.AsyncTriggerConfig",
            )
        config = EventInvokeConfig(retry_num=given.RetryConfig[0].RetryNum, msg_ttl_s=given.MsgTTL)
        await self._functions.update_event_invoke(namespace, request.FunctionName, config)
        return {}

    async def get_config(self, request: GetFunctionEventInvokeConfigRequest) -> Fields:
        """All qualifiers have the same answer, but the qualifier must exist."""
        function, _ = self._functions.resolve(
            request.Namespace or DEFAULT_NAMESPACE,
            request.FunctionName,
            request.Qualifier or LATEST,
            code="InvalidParameterValue.Qualifier",
        )
        config = function.event_invoke
        return {
            "AsyncTriggerConfig": {
                "RetryConfig": [{"RetryNum": config.retry_num}],
                "MsgTTL": config.msg_ttl_s,
            }
        }

    async def list(self, request: ListAsyncEventsRequest) -> Fields:
        """A page of the states of a function's events; none without ``TraceEnable``."""
        namespace = request.Namespace or DEFAULT_NAMESPACE
        self._function(namespace, request.FunctionName)
        version = None
        if request.Qualifier:
            _, found = self._functions.resolve(
                namespace,
                request.FunctionName,
                request.Qualifier,
                code="ResourceNotFound.Version",
            )
            version = found.version
        total, events = await self._traces.find(
            namespace, request.FunctionName, _query(request, version)
        )
        return {"TotalCount": total, "EventList": [event_item(event) for event in events]}

    async def get_status(self, request: GetAsyncEventStatusRequest) -> Fields:
        """The state of one event, for three days from its end."""
        event = await self._traces.get(request.InvokeRequestId)
        if event is None:
            raise NotFoundError(
                f"nothing is known of an event {request.InvokeRequestId}: only events of functions"
                " with AsyncRunEnable and TraceEnable are traced, for three days",
                "ResourceNotFound.AsyncEvent",
            )
        return {
            "Result": {
                "Status": event.status,
                "StatusCode": event.status_code,
                "InvokeRequestId": event.request_id,
            }
        }

    async def terminate(self, request: TerminateAsyncEventRequest) -> Fields:
        """Answers when the event has ended, or with ``GraceShutdown`` when SIGTERM was sent."""
        namespace = request.Namespace or DEFAULT_NAMESPACE
        try:
            await self._queue.terminate(
                namespace,
                request.FunctionName,
                request.InvokeRequestId,
                graceful=bool(request.GraceShutdown),
            )
        except NotFoundError:
            # An event of a deleted function can run on, and can be ended.
            self._function(namespace, request.FunctionName)
            raise
        return {}

    def _function(self, namespace: str, name: str) -> Function:
        """These actions list their own code for a function that does not exist."""
        try:
            return self._functions.get(namespace, name)
        except NotFoundError as error:
            raise NotFoundError(error.message, "ResourceNotFound.Function") from error


def event_item(event: TracedEvent) -> dict[str, Any]:
    """One event of a list. Times have milliseconds. An event that runs has no end time."""
    return {
        "InvokeRequestId": event.request_id,
        "InvokeType": event.invoke_type,
        "Qualifier": event.version,
        "Status": event.status,
        "StartTime": times.to_text_ms(event.started_at),
        "EndTime": times.to_text_ms(event.ended_at) if event.ended_at else "",
    }


def _query(request: ListAsyncEventsRequest, version: str | None) -> TraceQuery:
    order, by = request.Order or "DESC", request.Orderby or "StartTime"
    if order.upper() not in ("ASC", "DESC") or by not in ("StartTime", "EndTime"):
        raise _invalid("Order", "Order must be ASC or DESC, and Orderby StartTime or EndTime")
    limit = DEFAULT_LIMIT if request.Limit is None else request.Limit
    if not 0 < limit <= LIMIT_MAX:
        raise _invalid("Limit", f"Limit must be 1 to {LIMIT_MAX}")
    offset = request.Offset or 0
    if offset < 0:
        raise _invalid("Offset", "Offset must be 0 or more")
    return TraceQuery(
        version=version,
        request_id=request.InvokeRequestId or None,
        invoke_types=_known("InvokeType", request.InvokeType, SOURCES),
        statuses=_known("Status", request.Status, [status.value for status in EventStatus]),
        started=_interval("StartTimeInterval", request.StartTimeInterval),
        ended=_interval("EndTimeInterval", request.EndTimeInterval),
        by_end=by == "EndTime",
        descending=order.upper() == "DESC",
        offset=offset,
        limit=limit,
    )


def _known(name: str, given: list[str] | None, known: Collection[str]) -> tuple[str, ...]:
    for value in given or ():
        if value not in known:
            raise _invalid(name, f"{name} {value[:80]!r} is none: use {', '.join(known)}")
    return tuple(given or ())


def _interval(name: str, given: TimeIntervalPart | None) -> tuple[float, float] | None:
    if given is None:
        return None
    try:
        return times.from_text(given.Start), times.from_text(given.End)
    except ValueError as error:
        raise _invalid(
            name, f"{name}: Start and End must be of the form 2020-02-02 20:00:00 (UTC+8)"
        ) from error


def _invalid(name: str, message: str) -> RequestError:
    return invalid("ListAsyncEvents", name, message)
