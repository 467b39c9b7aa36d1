"""GetFunctionLogs and GetRequestStatus. They show records by two conventions (contract 4.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from api.cloud import times
from api.cloud.actions.base import modelled
from api.cloud.models.logs import GetFunctionLogsRequest, GetRequestStatusRequest
from api.cloud.validation import invalid
from sandbox.errors import LimitError, RequestError
from sandbox.functions.model import DEFAULT_NAMESPACE
from sandbox.records.query import OrderBy, RecordQuery, ResultFilter
from sandbox.status import StatusCode

if TYPE_CHECKING:
    from api.cloud.actions.base import Action, Fields
    from sandbox.clock import Clock
    from sandbox.functions.service import FunctionService
    from sandbox.records.history import History
    from sandbox.records.record import InvocationRecord

DAY_S = 86_400
#: How far back GetRequestStatus looks without a time.
STATUS_WINDOW_S = 15 * 60
#: The last record that GetFunctionLogs will page to.
LAST_RECORD = 10_000
DEFAULT_LIMIT = 20


class LogActions:
    """The actions that show what became of invocations."""

    def __init__(self, functions: FunctionService, history: History, clock: Clock) -> None:
        self._functions = functions
        self._history = history
        self._clock = clock

    def actions(self) -> dict[str, Action]:
        """The actions of this theme, by name."""
        return {
            "GetFunctionLogs": modelled(GetFunctionLogsRequest, self.get_function_logs),
            "GetRequestStatus": modelled(GetRequestStatusRequest, self.get_request_status),
        }

    async def get_function_logs(self, request: GetFunctionLogsRequest) -> Fields:
        """A page of requests with their logs. Without times, all that are kept."""
        action = "GetFunctionLogs"
        namespace = request.Namespace or DEFAULT_NAMESPACE
        if request.FunctionName:
            self._functions.get(namespace, request.FunctionName)
        offset, limit = _page(request)
        window = _window(action, request.StartTime, request.EndTime)
        if window and window[1] - window[0] > DAY_S:
            raise RequestError(
                "StartTime and EndTime must lie within one day", "InvalidParameterValue.DateTime"
            )
        total, records = await self._history.find(
            RecordQuery(
                namespace,
                request.FunctionName or None,
                qualifier=request.Qualifier or None,
                request_id=request.FunctionRequestId or None,
                result=_result_filter(request),
                start=window and window[0],
                end=window and window[1],
                order_by=_order_by(request),
                descending=_descending(request),
                offset=offset,
                limit=limit,
            )
        )
        logs = await self._history.logs(records)
        return {
            "TotalCount": total,
            "Data": [log_item(record, log) for record, log in zip(records, logs, strict=True)],
            "SearchContext": _context(request),
        }

    async def get_request_status(self, request: GetRequestStatusRequest) -> Fields:
        """What became of one request, within the last 15 minutes unless times are given."""
        namespace = request.Namespace or DEFAULT_NAMESPACE
        self._functions.get(namespace, request.FunctionName)
        now = self._clock.now()
        start, end = _window("GetRequestStatus", request.StartTime, request.EndTime) or (
            now - STATUS_WINDOW_S,
            # An invocation may have begun while the query was on its way.
            now + 1,
        )
        total, records = await self._history.find(
            RecordQuery(
                namespace,
                request.FunctionName,
                request_id=request.FunctionRequestId,
                start=start,
                end=end,
            )
        )
        return {"TotalCount": total, "Data": [status_item(record) for record in records]}


def log_item(record: InvocationRecord, log: str) -> dict[str, Any]:
    """RetCode 0 success, 2 running, 3 aborted, else failed; memory in bytes."""
    running = record.status_code == StatusCode.RUNNING
    codes = {StatusCode.SUCCESS: 0, StatusCode.RUNNING: 2, StatusCode.CANCELED: 3}
    return {
        "FunctionName": record.function_name,
        "RetMsg": record.ret_msg,
        "RequestId": record.request_id,
        "StartTime": times.to_text(record.started_at),
        "RetCode": codes.get(StatusCode(record.status_code), 1),
        "InvokeFinished": 0 if running else 1,
        "Duration": record.duration_ms,
        "BillDuration": record.bill_ms,
        "MemUsage": record.mem_usage,
        "Log": log,
        "Level": "",
        "Source": "",
        "RetryNum": record.retry_num,
    }


def status_item(record: InvocationRecord) -> dict[str, Any]:
    """RetCode 0 success, 1 running, -1 failed; memory in MB."""
    codes = {StatusCode.SUCCESS: 0, StatusCode.RUNNING: 1}
    return {
        "FunctionName": record.function_name,
        "RetMsg": record.ret_msg,
        "RequestId": record.request_id,
        "StartTime": times.to_text(record.started_at),
        "RetCode": codes.get(StatusCode(record.status_code), -1),
        "Duration": record.duration_ms,
        "MemUsage": round(record.mem_usage / (1024 * 1024), 6),
        "RetryNum": record.retry_num,
    }


def _context(request: GetFunctionLogsRequest) -> Fields:
    """The platform has retired this field. It is returned as it came."""
    given = request.SearchContext
    return {
        "Offset": given.Offset if given else "",
        "Limit": given.Limit if given else 0,
        "Keyword": (given.Keyword if given else None) or "",
        "Type": (given.Type if given else None) or "",
    }


def _page(request: GetFunctionLogsRequest) -> tuple[int, int]:
    offset = request.Offset or 0
    limit = DEFAULT_LIMIT if request.Limit is None else request.Limit
    if offset < 0 or limit < 0:
        raise RequestError(
            "Offset or Limit is below 0: send 0 or more", "InvalidParameterValue.Offset"
        )
    if offset + limit > LAST_RECORD:
        raise LimitError(
            f"Offset + Limit is {offset + limit}; it must not exceed {LAST_RECORD}: ask for a"
            " shorter time with StartTime and EndTime",
            "LimitExceeded.Offset",
        )
    return offset, limit


def _window(action: str, start: str | None, end: str | None) -> tuple[float, float] | None:
    """The time from the begin of the first second to the end of the last."""
    if not start and not end:
        return None
    if not start or not end:
        raise RequestError(
            "StartTime and EndTime must be given together",
            "InvalidParameterValue.StartTimeOrEndTime",
        )
    try:
        window = times.from_text(start), times.from_text(end) + 0.999_999
    except ValueError as error:
        raise RequestError(
            "StartTime and EndTime must be of the form 2017-05-16 20:00:00 (UTC+8)",
            "InvalidParameterValue.DateTime",
        ) from error
    if window[1] < window[0]:
        raise RequestError(
            f"{action}: EndTime must not be before StartTime", "InvalidParameterValue.DateTime"
        )
    return window


def _result_filter(request: GetFunctionLogsRequest) -> ResultFilter | None:
    wanted = request.Filter.RetCode if request.Filter else None
    if not wanted:
        return None
    try:
        return ResultFilter(wanted)
    except ValueError as error:
        known = ", ".join(ResultFilter)
        raise RequestError(
            f"Filter.RetCode must be one of {known}", "InvalidParameterValue.RetCode"
        ) from error


def _descending(request: GetFunctionLogsRequest) -> bool:
    """Newest first, unless asked otherwise."""
    order = (request.Order or "desc").lower()
    if order not in ("asc", "desc"):
        raise invalid("GetFunctionLogs", "Order", "Order must be asc or desc")
    return order == "desc"


def _order_by(request: GetFunctionLogsRequest) -> OrderBy:
    wanted = request.OrderBy or "start_time"
    for name in get_args(OrderBy):
        if name == wanted:
            return name  # type: ignore[no-any-return]
    raise invalid(
        "GetFunctionLogs", "OrderBy", f"OrderBy must be one of {', '.join(get_args(OrderBy))}"
    )
