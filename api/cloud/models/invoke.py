"""Requests that run a function."""

from api.cloud.models.base import Request


class InvokeRequest(Request):
    """Run with ``ClientContext`` as the event, waiting (``RequestResponse``) or not (``Event``)."""

    FunctionName: str
    InvocationType: str | None = None
    Qualifier: str | None = None
    ClientContext: str | None = None
    LogType: str | None = None
    Namespace: str | None = None
    RoutingKey: str | None = None


class InvokeFunctionRequest(Request):
    """Run with ``Event`` as the event, and wait."""

    FunctionName: str
    Qualifier: str | None = None
    Event: str | None = None
    LogType: str | None = None
    Namespace: str | None = None
    RoutingKey: str | None = None
