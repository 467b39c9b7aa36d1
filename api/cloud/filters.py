"""``Filters`` of ListFunctions. Every filter must match; any of its values is enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from api.cloud.views import function_details
from sandbox.errors import RequestError
from sandbox.functions.model import LATEST

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from api.cloud.models.common import FilterPart
    from sandbox.functions.model import Function

MAX_FILTERS = 10
#: Filters with one value, and filters with up to twenty.
SINGLE = frozenset(
    {"CfsId", "CfsMountInsId", "ClsLogsetId", "ClsTopicId", "Eip", "Role", "SubnetId", "VpcId"}
)
MULTIPLE = frozenset(
    {"AsyncRunEnable", "PublicNetStatus", "Runtime", "Stamp", "Status", "TraceEnable", "Type"}
)
MAX_VALUES = 20
TAG = "tag-"


def predicate(filters: Sequence[FilterPart], description: str) -> Callable[[Function], bool]:
    """Whether a function meets every filter, and its description holds ``description``.

    Raises ``InvalidParameterValue.Name`` for an unknown filter, ``.LimitExceeded`` for too many
    filters or values.
    """
    if len(filters) > MAX_FILTERS:
        raise _too_many(f"Filters: {len(filters)} given; the limit is {MAX_FILTERS}")
    for item in filters:
        if item.Name not in SINGLE | MULTIPLE and not item.Name.startswith(TAG):
            raise RequestError(
                f"Filters: {item.Name!r} is no filter; use"
                f" {', '.join(sorted(SINGLE | MULTIPLE))} or {TAG}<key>",
                "InvalidParameterValue.Name",
            )
        most = 1 if item.Name in SINGLE else MAX_VALUES
        if len(item.Values) > most:
            raise _too_many(f"Filters: {item.Name} takes at most {most} values")

    def holds(function: Function) -> bool:
        if description not in function.latest.wanted.config.description:
            return False
        return all(_values(function, item.Name) & set(item.Values) for item in filters)

    return holds


def _values(function: Function, name: str) -> set[Any]:
    """The function's value that a filter compares."""
    if name.startswith(TAG):
        return {function.tags.get(name.removeprefix(TAG))}
    details = function_details(function, function.latest, LATEST, "")
    match name:
        case "VpcId" | "SubnetId":
            return {details["VpcConfig"][name]}
        case "PublicNetStatus":
            return {details["PublicNetConfig"][name]}
        case "CfsId" | "CfsMountInsId":
            key = name.removeprefix("Cfs") if name == "CfsMountInsId" else name
            return {item.get(key) for item in details["CfsConfig"].get("CfsInsList") or []}
        case "Eip":
            return set(details["EipConfig"]["Eips"])
        case "Stamp":
            return {"Default"}
        case _:
            return {details.get(name)}


def _too_many(message: str) -> RequestError:
    return RequestError(message, "InvalidParameterValue.LimitExceeded")
