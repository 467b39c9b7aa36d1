"""Says what is wrong with a field of a request, in plain REST's own words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.limits import INTEGER_MAX, INTEGER_MIN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

#: The form fields that are files.
FILES = frozenset({"code"})
#: How much of a wrong value an answer shows.
VALUE_SHOWN = 80

#: For each kind of fault that the framework finds, what to tell. They get its details.
_SENTENCES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "int_parsing": lambda item: f"{_value(item)} is not a whole number",
    "int_type": lambda item: f"{_value(item)} is not a whole number",
    "int_from_float": lambda item: f"{_value(item)} is not a whole number",
    "int_parsing_size": lambda item: "it is beyond 64 bits: send a smaller number",
    "float_parsing": lambda item: f"{_value(item)} is not a number",
    "float_type": lambda item: f"{_value(item)} is not a number",
    "finite_number": lambda item: f"{_value(item)} is not a number",
    "bool_parsing": lambda item: f"{_value(item)} is neither true nor false",
    "bool_type": lambda item: f"{_value(item)} is neither true nor false",
    "string_type": lambda item: f"{_value(item)} is not text",
    "string_unicode": lambda item: "it is not UTF-8",
    "literal_error": lambda item: f"{_value(item)} is not {item['ctx']['expected']}",
    "list_type": lambda item: f"{_value(item)} is not a list",
    "dict_type": lambda item: f"{_value(item)} is not a JSON object",
    "model_type": lambda item: f"{_value(item)} is not a JSON object",
    "model_attributes_type": lambda item: f"{_value(item)} is not a JSON object",
    "extra_forbidden": lambda item: "there is no such field",
    "less_than_equal": lambda item: _bounded(item, "above", "le"),
    "greater_than_equal": lambda item: _bounded(item, "below", "ge"),
    "value_error": lambda item: str((item.get("ctx") or {}).get("error", "it is not valid")),
}


def complaint(item: Mapping[str, Any]) -> str:
    """One sentence on one error of the framework: the field, and what to send."""
    place: Sequence[str | int] = item["loc"]
    kind: str = item["type"]
    if kind == "json_invalid":
        return f"the body is not JSON ({item['ctx']['error']} at its character {place[-1]})"
    field = ".".join(str(part) for part in place[1:])
    if field in FILES and place[0] == "body":
        what = "is missing" if kind == "missing" else "is no file"
        return f"{field} {what}: send a file: -F {field}=@demo.zip"
    if kind == "missing":
        return f"{field or 'the body'} is missing: send it"
    say = _SENTENCES.get(kind)
    return f"{field or 'the body'}: {say(item) if say else str(item['msg']).lower()}"


def _value(item: Mapping[str, Any]) -> str:
    value = item.get("input")
    if isinstance(value, (bytes, bytearray)):
        value = bytes(value[:VALUE_SHOWN]).decode("utf-8", "replace")
    try:
        text = repr(value)
    except ValueError:  # a number of thousands of digits
        return "it"
    return text if len(text) <= VALUE_SHOWN else f"{text[: VALUE_SHOWN - 3]}..."


def _bounded(item: Mapping[str, Any], where: str, name: str) -> str:
    bound = item["ctx"][name]
    if bound in (INTEGER_MAX, INTEGER_MIN):
        return f"{_value(item)} is beyond 64 bits: send a number that is not as large"
    most = "at most" if name == "le" else "at least"
    return f"{_value(item)} is {where} the limit: send {most} {bound}"
