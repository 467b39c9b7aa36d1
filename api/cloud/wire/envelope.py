"""The outer form of an answer. It always has HTTP 200, ``application/json`` and a RequestId."""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import to_json

#: Without a charset: with one, the Python SDK takes errors for empty answers.
CONTENT_TYPE = b"application/json"


def success(fields: dict[str, Any], request_id: str) -> dict[str, Any]:
    """The envelope of an action's response fields."""
    return {"Response": {**fields, "RequestId": request_id}}


def failure(code: str, message: str, request_id: str) -> dict[str, Any]:
    """The envelope of an error. ``code`` is one that the platform lists for the action."""
    return {"Response": {"Error": {"Code": code, "Message": message}, "RequestId": request_id}}


def encode(answer: dict[str, Any]) -> bytes:
    """JSON in UTF-8. Half of a surrogate pair becomes ``?``, because UTF-8 cannot have it.

    Bytes in the value are text in UTF-8. Bytes that are not become the replacement character.
    """
    try:
        return to_json(answer)
    except ValueError:
        text = json.dumps(answer, ensure_ascii=False, separators=(",", ":"), default=_text)
        return text.encode("utf-8", "replace")


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
