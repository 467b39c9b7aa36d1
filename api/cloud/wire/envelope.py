"""The answer's outer form: always HTTP 200, always ``application/json``, always a RequestId."""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import to_json

#: Exactly this: with a charset after it the Python SDK takes errors for empty answers.
CONTENT_TYPE = b"application/json"


def success(fields: dict[str, Any], request_id: str) -> dict[str, Any]:
    """The envelope of an action's response fields."""
    return {"Response": {**fields, "RequestId": request_id}}


def failure(code: str, message: str, request_id: str) -> dict[str, Any]:
    """The envelope of an error. ``code`` is one that the platform lists for the action."""
    return {"Response": {"Error": {"Code": code, "Message": message}, "RequestId": request_id}}


def encode(answer: dict[str, Any]) -> bytes:
    """JSON in UTF-8; half of a surrogate pair, which UTF-8 has no form for, becomes ``?``.

    Bytes in it stand for text in UTF-8; what of them is not becomes the replacement character.
    """
    try:
        return to_json(answer)
    except ValueError:
        text = json.dumps(answer, ensure_ascii=False, separators=(",", ":"), default=_text)
        return text.encode("utf-8", "replace")


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
