"""Requests about logs and past requests. Times are ``YYYY-MM-DD hh:mm:ss``, UTC+8."""

from api.cloud.models.base import Part, Request


class LogFilterPart(Part):
    """``RetCode``: ``not0``, ``is0``, ``TimeLimitExceeded`` and so on."""

    RetCode: str | None = None


class LogSearchContextPart(Part):
    """Retired; accepted and returned."""

    Offset: str
    Limit: int
    Keyword: str | None = None
    Type: str | None = None


class GetFunctionLogsRequest(Request):
    """A page of ended requests with their logs."""

    FunctionName: str | None = None
    Offset: int | None = None
    Limit: int | None = None
    Order: str | None = None
    OrderBy: str | None = None
    Filter: LogFilterPart | None = None
    Namespace: str | None = None
    Qualifier: str | None = None
    FunctionRequestId: str | None = None
    StartTime: str | None = None
    EndTime: str | None = None
    SearchContext: LogSearchContextPart | None = None


class GetRequestStatusRequest(Request):
    """What became of one request."""

    FunctionName: str
    FunctionRequestId: str
    Namespace: str | None = None
    StartTime: str | None = None
    EndTime: str | None = None
