"""Parameters to request models, and what is wrong with them to the platform's error codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from api.cloud.codes import LISTED
from sandbox.errors import RequestError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from api.cloud.models.base import Request

R = TypeVar("R", bound="Request")

#: What the platform calls the JSON types.
_TYPES = {dict: "an object", list: "a list", bool: "a boolean", int: "a number", float: "a number"}


def validate(action: str, model: type[R], params: dict[str, Any]) -> R:
    """The request, or ``MissingParameter``, ``InvalidParameter`` or ``InvalidParameterValue``.

    Where the action lists a code for the very parameter (``MissingParameter.Code``), that is the
    code. The message names the first parameter that is wrong.
    """
    halved = _halved_pair(params)
    if halved is not None:
        raise invalid(
            action, halved, f"{halved} holds half of a surrogate pair, which is no character"
        )
    try:
        return model.model_validate(params)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        raise _request_error(action, first) from error


def _halved_pair(params: dict[str, Any]) -> str | None:
    """The parameter with text that cannot be stored or sent: JSON can escape what Unicode lacks."""

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
    return RequestError(f"the required parameter {'.'.join(path)} is missing", code)


def invalid(action: str, name: str, message: str) -> RequestError:
    """The error for a parameter whose value is not one of those it may have."""
    code = _listed(action, (name,), "InvalidParameterValue", "InvalidParameter")
    return RequestError(message, code or "InvalidParameterValue")


def switch(action: str, name: str, value: str | None) -> bool:
    """``TRUE`` or ``FALSE``, in any case: forms write Python's ``True``. Nothing means FALSE."""
    text = (value or "FALSE").upper()
    if text not in ("TRUE", "FALSE"):
        raise invalid(action, name, f"{name} must be TRUE or FALSE")
    return text == "TRUE"


def wrong_type(action: str, name: str, value: object, expected: str = "text") -> RequestError:
    """The error for a parameter that has another type than it must have."""
    code = _listed(action, (name,), "InvalidParameterValue", "InvalidParameter")
    shown = _TYPES.get(type(value), "text")
    return RequestError(f"{name} is {shown}; it must be {expected}", code or "InvalidParameter")


def _request_error(action: str, error: ErrorDetails) -> RequestError:
    path = tuple(str(part) for part in error["loc"])
    value = error["input"]
    if error["type"] == "missing" or value is None:
        return missing(action, *path)
    code = _listed(action, path, "InvalidParameterValue", "InvalidParameter")
    # Text that does not read as a number has the right type (forms have no other), a wrong value.
    generic = "InvalidParameterValue" if isinstance(value, str) else "InvalidParameter"
    shown = repr(value)
    return RequestError(
        f"{'.'.join(path)} is not valid: {error['msg'].lower()}, and it is"
        f" {shown if len(shown) <= 80 else shown[:77] + '...'}",
        code or generic,
    )


def _listed(action: str, path: tuple[str, ...], *kinds: str) -> str | None:
    """The code that the action lists for the parameter, or for the one that it is part of."""
    for name in reversed(path):
        for kind in kinds:
            if (action, f"{kind}.{name}") in LISTED:
                return f"{kind}.{name}"
    return None
