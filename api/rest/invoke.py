"""``POST /functions/{name}/invocations``: the body is the event, the answer is the result."""

from __future__ import annotations

import base64
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import Query, Request, Response
from pydantic_core import from_json
from starlette.responses import JSONResponse

from api.errors import REQUEST_ID_HEADER
from api.rest.errors import request_id_of
from api.rest.locations import LOCATION, invocation_at
from api.rest.models import INSTANCE_ID_SHOWN, Accepted
from api.rest.parameters import Namespace, Qualifier  # noqa: TC001 - FastAPI evaluates them
from api.rest.strict_route import rest_routes
from sandbox import limits
from sandbox.errors import LimitError
from sandbox.invocation import InvokeOptions
from sandbox.status import StatusCode

if TYPE_CHECKING:
    from fastapi import APIRouter

    from api.rest.services import Services
    from sandbox.invocation import Outcome

#: The HTTP status for each function status code. Others are 502, the function's own fault.
HTTP_STATUS: dict[int, HTTPStatus] = {
    StatusCode.SUCCESS: HTTPStatus.OK,
    StatusCode.INVALID_EVENT: HTTPStatus.BAD_REQUEST,
    StatusCode.REQUEST_TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    StatusCode.RESOURCE_LIMIT_REACHED: HTTPStatus.TOO_MANY_REQUESTS,
    StatusCode.FUNCTION_STATUS: HTTPStatus.CONFLICT,
    StatusCode.INSUFFICIENT_RESOURCES: HTTPStatus.SERVICE_UNAVAILABLE,
    StatusCode.CANCELED: HTTPStatus.SERVICE_UNAVAILABLE,
    StatusCode.INTERNAL_ERROR: HTTPStatus.INTERNAL_SERVER_ERROR,
}

DESCRIPTION = """
The body is the event, as it is; an empty body is the event `{}`. The answer is the function's
result, as it is: `application/json` when it is JSON, else `text/plain`.

A function that failed is answered with the platform's error object
(`{"errorCode", "errorMessage", "requestId", "statusCode"}`) and an HTTP status:

| function status | HTTP |
|---|---|
| 200 | 200 |
| 400 invalid event | 400 |
| 406 event too large | 413 |
| 432 no memory or concurrency left | 429 |
| 438 function is not active | 409 |
| 449, 499 no resources, canceled | 503 |
| 500 the sandbox's own fault | 500 |
| 407, 430, 433, 434, 439, 443, 450: the function's fault | 502 |

An event that never reached a function (no such function, not JSON...) is answered with the error
body of all other routes. The header `X-Scf-Status` is there only when a function was reached.

`type=event` answers 202 as soon as the event is accepted, and `Location` is where its record will
be once it has begun; a function with asynchronous execution (`AsyncRunEnable`) always does.
`log=tail` adds `X-Scf-Log`: the last 4 KB of the log, in base64 (`base64 -d`).
"""


def _header(description: str, kind: str = "integer") -> dict[str, Any]:
    return {"description": description, "schema": {"type": kind}}


HEADERS = {
    REQUEST_ID_HEADER: _header("the invocation's request id", "string"),
    "X-Scf-Status": _header("function status code, 200 for success"),
    "X-Scf-Duration-Ms": _header("run time", "number"),
    "X-Scf-Bill-Duration-Ms": _header("billed time"),
    "X-Scf-Memory-Usage": _header("peak memory, bytes"),
    "X-Scf-Cold-Start": _header("true or false", "string"),
    "X-Scf-Init-Ms": _header("time of the initialisation, 0 for a warm start", "number"),
    "X-Scf-Instance": _header("the instance's id in /instances", "string"),
    "X-Scf-Log": _header("with log=tail: the end of the log in base64", "string"),
}

EVENT = {
    "required": False,
    "content": {"application/json": {"schema": {}, "example": {"key1": "test value 1"}}},
}

FAILURE = {
    "content": {
        "application/json": {
            "example": {
                "errorCode": -1,
                "errorMessage": "Invoking task timed out after 3 seconds",
                "requestId": "5b0c8b1e-3c8f-4f0e-9d7a-2b6a3f0f6c11",
                "statusCode": 433,
            }
        }
    }
}


def invoke_routes(services: Services) -> APIRouter:
    """The one route that runs functions."""
    router = rest_routes("invocations")

    @router.post(
        "/functions/{name}/invocations",
        summary="Invoke a function",
        description=DESCRIPTION,
        response_class=Response,
        responses={
            200: {
                "description": "the function's result",
                "headers": HEADERS,
                "content": {"application/json": {}, "text/plain": {}},
            },
            202: {"description": "accepted, to be run later", "model": Accepted},
            502: {"description": "the function failed", "headers": HEADERS, **FAILURE},
        },
        openapi_extra={"requestBody": EVENT},
    )
    async def invoke_function(
        name: str,
        request: Request,
        namespace: Namespace = "default",
        qualifier: Qualifier = "$LATEST",
        type: Annotated[
            Literal["request", "event"], Query(description="wait for the result, or do not")
        ] = "request",
        log: Annotated[Literal["none", "tail"], Query(description="add X-Scf-Log")] = "none",
    ) -> Response:
        request_id = request_id_of(request)
        asynchronous = type == "event"
        event = await _read_event(
            request, limits.ASYNC_EVENT_BYTES if asynchronous else limits.SYNC_EVENT_BYTES
        )
        options = InvokeOptions(
            request_id=request_id,
            namespace=namespace,
            qualifier=qualifier,
            tail=log == "tail" and not asynchronous,
            invocation_type="Event" if asynchronous else "RequestResponse",
        )
        if asynchronous:
            await services.invoker.invoke_async(name, event, options)
            return _accepted(request_id)
        return _answer(await services.invoker.invoke(name, event, options))

    return router


async def _read_event(request: Request, limit: int) -> bytes:
    """The raw body. Bytes above the limit are read and dropped: a client that still sends gets the
    answer instead of a broken connection."""
    size = 0
    pieces = []
    async for piece in request.stream():
        size += len(piece)
        if size <= limit:
            pieces.append(piece)
        else:
            pieces.clear()
    if size > limit:
        raise LimitError(
            f"the event is {size} bytes; the limit is {limit}: send less, or put the data in"
            " object storage and send its key",
            "InvalidParameter.RequestTooLarge",
        )
    return b"".join(pieces) or b"{}"


def _accepted(request_id: str) -> Response:
    accepted = Accepted(request_id=request_id).model_dump()
    headers = {REQUEST_ID_HEADER: request_id, LOCATION: invocation_at(request_id)}
    return JSONResponse(accepted, 202, headers)


def _answer(outcome: Outcome) -> Response:
    if outcome.status_code == StatusCode.RUNNING:
        return _accepted(outcome.request_id)
    status = HTTP_STATUS.get(outcome.status_code, HTTPStatus.BAD_GATEWAY)
    headers = {
        REQUEST_ID_HEADER: outcome.request_id,
        "X-Scf-Status": str(outcome.status_code),
        "X-Scf-Duration-Ms": f"{outcome.duration_ms:.3f}",
        "X-Scf-Bill-Duration-Ms": str(outcome.bill_ms),
        "X-Scf-Memory-Usage": str(outcome.mem_usage),
        "X-Scf-Cold-Start": "true" if outcome.cold_start else "false",
        "X-Scf-Init-Ms": f"{outcome.init_ms:.3f}",
        "X-Scf-Instance": outcome.instance_id[:INSTANCE_ID_SHOWN],
        "X-Content-Type-Options": "nosniff",
    }
    if outcome.log:
        headers["X-Scf-Log"] = base64.b64encode(outcome.log.encode()).decode("ascii")
    body = bytes(outcome.body)
    return Response(body, int(status), headers, _media_type(body))


def _media_type(body: bytes) -> str:
    try:
        from_json(body, allow_inf_nan=False)
    except ValueError:
        return "text/plain; charset=utf-8"
    return "application/json"
