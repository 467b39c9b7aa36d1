"""Every error of plain REST in one shape: ``{"error": {"code", "message", "request_id"}}``."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import structlog
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from api.errors import error_response
from api.rest.complaints import complaint
from api.rest.words import in_rest_words
from sandbox.clock import new_request_id
from sandbox.errors import DISK_ADVICE, PlatformError, SandboxError, disk_error

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request

log = structlog.get_logger()

#: Codes with another HTTP status than their family has.
STATUS_BY_CODE = {
    "InvalidParameter.RequestTooLarge": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
}

#: The platform's nearest codes for the framework's own refusals.
CODE_BY_STATUS: dict[int, str] = {
    HTTPStatus.NOT_FOUND: "ResourceNotFound",
    HTTPStatus.METHOD_NOT_ALLOWED: "UnsupportedOperation",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "InvalidParameter",
}


class ErrorDetail(BaseModel):
    """One error, for a program, a person and the log."""

    code: str = Field(description="the platform's error code")
    message: str = Field(description="what is wrong, and what to do next")
    request_id: str


class ErrorBody(BaseModel):
    """The body of every answer that is an error of the request or of the sandbox."""

    error: ErrorDetail

    model_config = {
        "json_schema_extra": {
            "example": {
                "error": {
                    "code": "ResourceNotFound.FunctionName",
                    "message": "there is no function hello in namespace default",
                    "request_id": "5b0c8b1e-3c8f-4f0e-9d7a-2b6a3f0f6c11",
                }
            }
        }
    }


#: The ``responses`` of every route. It also removes the framework's 422 from the document.
ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": ErrorBody, "description": "the request is wrong, or cannot be done now"},
    "5XX": {"model": ErrorBody, "description": "the sandbox or its engine failed"},
}


def request_id_of(request: Request) -> str:
    """The request id of this request. The first call makes it."""
    if not hasattr(request.state, "request_id"):
        request.state.request_id = new_request_id()
    request_id: str = request.state.request_id
    return request_id


def http_status(error: SandboxError) -> int:
    """The HTTP status of an error."""
    return int(STATUS_BY_CODE.get(error.code, error.http_status))


def install_error_handlers(app: FastAPI) -> None:
    """Make the application answer every error in this form, without a stack trace."""
    app.add_exception_handler(SandboxError, _sandbox_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(OSError, _failed_write)
    app.add_exception_handler(Exception, _unexpected)


async def _sandbox_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, SandboxError)
    request_id = request_id_of(request)
    if isinstance(error, PlatformError):
        log.error(
            "request_failed",
            path=request.scope["path"],
            request_id=request_id,
            code=error.code,
            reason=error.message,
        )
    message = in_rest_words(error.message)
    return error_response(http_status(error), error.code, message, request_id)


async def _failed_write(request: Request, error: Exception) -> Response:
    """The last resort for a disk that fails. What is no disk's error is the sandbox's own."""
    assert isinstance(error, OSError)
    if error.errno in DISK_ADVICE:
        return await _sandbox_error(request, disk_error(error))
    return await _unexpected(request, error)


async def _invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    message = "; ".join(complaint(item) for item in error.errors())
    return error_response(400, "InvalidParameterValue", message, request_id_of(request))


async def _http_error(request: Request, error: Exception) -> Response:
    """What the framework refuses. It is also how OPTIONS is answered, which no route takes."""
    assert isinstance(error, HTTPException)
    status, headers, path = error.status_code, dict(error.headers or {}), request.scope["path"]
    message = str(error.detail)
    if status == HTTPStatus.NOT_FOUND:
        message = f"there is no {path}: the API is described at /docs"
    elif status == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = headers["Allow"] = ", ".join(allowed_methods(request))
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=headers)
        message = f"{request.method} is not for {path}; it takes {allowed}"
    elif status == HTTPStatus.BAD_REQUEST:
        message = f"the body cannot be read: {message}"
    code = CODE_BY_STATUS.get(status, "InvalidParameterValue")
    return error_response(status, code, message, request_id_of(request), headers)


def allowed_methods(request: Request) -> list[str]:
    """Every method that the request's path takes, whichever route has it."""
    allowed = {"OPTIONS"}
    for route in request.app.router.routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            # Files have no methods of their own.
            allowed |= getattr(route, "methods", None) or {"GET"}
    if "GET" in allowed:
        allowed.add("HEAD")
    return sorted(allowed)


async def _unexpected(request: Request, error: Exception) -> Response:
    request_id = request_id_of(request)
    log.error("request_crashed", path=request.scope["path"], request_id=request_id, exc_info=error)
    message = "the sandbox failed; its own log says why, under this request id"
    # The framework raises the error again behind the answer, and the server cuts the connection.
    return error_response(500, "InternalError", message, request_id, {"Connection": "close"})
