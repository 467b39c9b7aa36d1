"""Requests about asynchronous events."""

from api.cloud.models.base import Part, Request


class RetryConfigPart(Part):
    """How often a failed event is run again."""

    RetryNum: int


class AsyncTriggerConfigPart(Part):
    """Retries of asynchronous events; ``MsgTTL`` in seconds."""

    RetryConfig: list[RetryConfigPart]
    MsgTTL: int


class TimeIntervalPart(Part):
    """From when to when."""

    Start: str
    End: str


class UpdateFunctionEventInvokeConfigRequest(Request):
    """Set retries and the age at which events are given up."""

    AsyncTriggerConfig: AsyncTriggerConfigPart
    FunctionName: str
    Namespace: str | None = None


class GetFunctionEventInvokeConfigRequest(Request):
    """Retries and event age of a function."""

    FunctionName: str
    Namespace: str | None = None
    Qualifier: str | None = None


class ListAsyncEventsRequest(Request):
    """A page of a function's asynchronous events."""

    FunctionName: str
    Namespace: str | None = None
    Qualifier: str | None = None
    InvokeType: list[str] | None = None
    Status: list[str] | None = None
    StartTimeInterval: TimeIntervalPart | None = None
    EndTimeInterval: TimeIntervalPart | None = None
    Order: str | None = None
    Orderby: str | None = None
    Offset: int | None = None
    Limit: int | None = None
    InvokeRequestId: str | None = None


class GetAsyncEventStatusRequest(Request):
    """How far an asynchronous event is."""

    InvokeRequestId: str


class TerminateAsyncEventRequest(Request):
    """End a running asynchronous event."""

    FunctionName: str
    InvokeRequestId: str
    Namespace: str | None = None
    GraceShutdown: bool | None = None
