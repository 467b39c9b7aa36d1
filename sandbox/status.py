"""Function status codes (contract 4.1) and the error object of a failed invocation (4.2)."""

from __future__ import annotations

import json
from enum import IntEnum


class StatusCode(IntEnum):
    """How an invocation ended, as the platform numbers it (contract 4.1)."""

    SUCCESS = 200
    RUNNING = 202
    INVALID_EVENT = 400
    REQUEST_TOO_LARGE = 406
    RESPONSE_TOO_LARGE = 407
    USER_CODE_EXCEPTION = 430
    RESOURCE_LIMIT_REACHED = 432
    TIMEOUT = 433
    OUT_OF_MEMORY = 434
    FUNCTION_NOT_FOUND = 435
    FUNCTION_STATUS = 438
    PROCESS_EXIT = 439
    QUALIFIER_NOT_FOUND = 442
    USER_CODE_ERROR = 443
    INSUFFICIENT_RESOURCES = 449
    INIT_TIMEOUT = 450
    CANCELED = 499
    INTERNAL_ERROR = 500


def error_object(status: int, message: str, request_id: str, error_code: int = -1) -> bytes:
    """The JSON that a failed invocation returns in place of a result (contract 4.2)."""
    return json.dumps(
        {
            "errorCode": error_code,
            "errorMessage": message,
            "requestId": request_id,
            "statusCode": int(status),
        },
        ensure_ascii=False,
        separators=(",", ":"),
    ).encode()
