"""The form of every error outside the cloud API's envelope.

``{"error": {"code", "message", "request_id"}}``: plain REST, downloads and the guard use it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response

#: The header that repeats the request id of an answer.
REQUEST_ID_HEADER = "X-Scf-Request-Id"


def error_response(
    status: int,
    code: str,
    message: str,
    request_id: str,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The answer to a request that failed.

    ``code`` is the platform's error code, ``message`` says what to do next, ``headers`` are added.
    """
    body = {"error": {"code": code, "message": message, "request_id": request_id}}
    return JSONResponse(body, status, {**(headers or {}), REQUEST_ID_HEADER: request_id})
