"""Aliases, and which version they lead to: by share of traffic, or by the request."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: A rule's key is this prefix, and the name under which ``RoutingKey`` carries the value.
HEADER_PREFIX = "invoke.headers."

EXACT, RANGE = "exact", "range"

_RANGE = re.compile(r"\s*([(\[])\s*([+-]?\d{1,18})\s*,\s*([+-]?\d{1,18})\s*([)\]])\s*")
_INTEGER = re.compile(r"\s*[+-]?\d{1,18}\s*")


class VersionWeight(BaseModel, frozen=True):
    """The share of the traffic that a version gets, 0 to 1."""

    version: str
    weight: float


class VersionMatch(BaseModel, frozen=True):
    """A rule: a version gets the requests whose routing key has a fitting value under ``key``.

    ``method`` is ``exact`` (the value is ``expression``) or ``range`` (it lies in that interval).
    """

    version: str
    key: str
    method: str
    expression: str

    def holds(self, routing_key: Mapping[str, str]) -> bool:
        """Whether the rule fits a request."""
        value = routing_key.get(self.key.removeprefix(HEADER_PREFIX))
        if value is None:
            return False
        if self.method == EXACT:
            return value == self.expression
        interval = Interval.parse(self.expression)
        if interval is None or not _INTEGER.fullmatch(value):
            return False
        return int(value) in interval


class Alias(BaseModel, frozen=True):
    """A name for a version of one function. Times are seconds since the epoch.

    ``weights`` or ``matches`` lead to one more version; at most one of the two is given.
    """

    name: str
    version: str
    description: str = ""
    weights: tuple[VersionWeight, ...] = ()
    matches: tuple[VersionMatch, ...] = ()
    created_at: float
    modified_at: float

    @property
    def additional(self) -> frozenset[str]:
        """The versions that its shares or rules lead to."""
        shares = {share.version for share in self.weights}
        return frozenset(shares | {rule.version for rule in self.matches})

    @property
    def versions(self) -> frozenset[str]:
        """Every version that it leads to."""
        return self.additional | {self.version}

    def route(self, routing_key: Mapping[str, str], draw: Callable[[], float]) -> str:
        """The version for one request.

        ``draw`` gives a random number from 0 up to 1; it is called only when shares decide. A
        request that no rule fits goes to the main version.
        """
        for match in self.matches:
            if match.holds(routing_key):
                return match.version
        if self.weights:
            drawn = draw()
            for share in self.weights:
                if drawn < share.weight:
                    return share.version
                drawn -= share.weight
        return self.version


class Interval:
    """The integers between two bounds: ``[a,b]`` includes the bounds, ``(a,b)`` does not."""

    __slots__ = ("_high", "_low")

    def __init__(self, low: int, high: int) -> None:
        """Both bounds are included."""
        self._low, self._high = low, high

    @classmethod
    def parse(cls, text: str) -> Interval | None:
        """The interval that ``text`` describes; None when it holds no integer, or is none."""
        found = _RANGE.fullmatch(text)
        if found is None:
            return None
        low = int(found[2]) + (found[1] == "(")
        high = int(found[3]) - (found[4] == ")")
        return cls(low, high) if low <= high else None

    def __contains__(self, number: int) -> bool:
        """Whether ``number`` lies in the interval."""
        return self._low <= number <= self._high
