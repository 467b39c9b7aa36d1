"""Turns parameters into request models, and their faults into the platform's error codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from api.cloud.codes import LISTED
from sandbox.errors import RequestError
from sandbox.limits import INTEGER_MAX, INTEGER_MIN

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from api.cloud.models.base import Request

R = TypeVar("R", bound="Request")

#: The platform's names of the JSON types.
_TYPES = {dict: "an object", list: "a list", bool: "a boolean", int: "a number", float: "a number"}


def validate(action: str, model: type[R], params: dict[str, Any]) -> R:
    """The request, or ``MissingParameter``, ``InvalidParameter`` or ``InvalidParameterValue``.

    If the action lists a code for the parameter (``MissingParameter.Code``), the error has it. The
    message names the first parameter that is wrong.
    """
    halved = _halved_pair(params)
    if halved is not None:
        raise invalid(
            action, halved, f"{halved} holds half of a surrogate pair, which is no character"
        )
    try:
        request = model.model_validate(params)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        raise _request_error(action, first) from error
    large = _beyond_64_bits(dict(request))
    if large is not None:
        raise invalid(
            action, large, f"{large} has a number of more than 64 bits: send a smaller one"
        )
    return request


def _beyond_64_bits(fields: dict[str, Any]) -> str | None:
    """The parameter with an integer that no database takes. Text of forms is a number by then."""

    def found(value: object) -> bool:
        if isinstance(value, int):
            return not INTEGER_MIN <= value <= INTEGER_MAX
        if isinstance(value, BaseModel):
            value = dict(value)
        if isinstance(value, dict):
            return any(map(found, value.values()))
        return isinstance(value, list) and any(map(found, value))

    return next((name for name, value in fields.items() if found(value)), None)


def _halved_pair(params: dict[str, Any]) -> str | None:
    """The parameter whose text is not valid Unicode: JSON can escape half of a surrogate pair."""

    def found(value: object) -> bool:
        if isinstance(value, str):
            return not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value)
        if isinstance(value, dict):
            return any(found(name) or found(inner) for name, inner in value.items())
        return isinstance(value, list) and any(map(found, value))

    return next((name for name, value in params.items() if found(value)), None)


def missing(action: str, *path: str) -> RequestError:
    """The error for a required parameter that is not there."""
    code = _listed(action, path, "MissingParameter") or "MissingParameter"
    return RequestError(f"the required parameter {'.'.join(path)} is missing: send it", code)


def invalid(action: str, name: str, message: str) -> RequestError:
    """The error for a parameter with a wrong value."""
    code = _listed(action, (name,), "InvalidParameterValue", "InvalidParameter")
    return RequestError(message, code or "InvalidParameterValue")


def switch(action: str, name: str, value: str | None) -> bool:
    """``TRUE`` or ``FALSE``, in any case: forms write Python's ``True``. Nothing means FALSE."""
    text = (value or "FALSE").upper()
    if text not in ("TRUE", "FALSE"):
        raise invalid(action, name, f"{name} must be TRUE or FALSE")
    return text == "TRUE"


def wrong_type(action: str, name: str, value: object, expected: str = "text") -> RequestError:
    """The error for a parameter of a wrong type."""
    code = _listed(action, (name,), "InvalidParameterValue", "InvalidParameter")
    shown = _TYPES.get(type(value), "text")
    return RequestError(f"{name} is {shown}; it must be {expected}", code or "InvalidParameter")


def _request_error(action: str, error: ErrorDetails) -> RequestError:
    path = tuple(str(part) for part in error["loc"])
    value = error["input"]
    if error["type"] == "missing" or value is None:
        return missing(action, *path)
    code = _listed(action, path, "InvalidParameterValue", "InvalidParameter")
    # Text that is no number has the right type, because forms have only text. Its value is wrong.
    generic = "InvalidParameterValue" if isinstance(value, str) else "InvalidParameter"
    shown = repr(value)
    return RequestError(
        f"{'.'.join(path)} is not valid: {error['msg'].lower()}, and it is"
        f" {shown if len(shown) <= 80 else shown[:77] + '...'}",
        code or generic,
    )


def _listed(action: str, path: tuple[str, ...], *kinds: str) -> str | None:
    """The code that the action lists for the parameter, or for the parameter that contains it."""
    for name in reversed(path):
        for kind in kinds:
            if (action, f"{kind}.{name}") in LISTED:
                return f"{kind}.{name}"
    return None
