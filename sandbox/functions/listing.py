"""Filters, orders and pages a list of functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandbox.errors import InvalidParameterValue, RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sandbox.functions.model import Function

LIMIT_MAX = 1000

ORDER_KEYS: dict[str, Callable[[Function], Any]] = {
    "AddTime": lambda function: function.created_at,
    "ModTime": lambda function: function.latest.modified_at,
    "FunctionName": lambda function: function.name,
}


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the functions that match, and the number of all that match."""

    total: int
    functions: list[Function]


@dataclass(frozen=True, slots=True)
class Query:
    """Asks for the functions whose name holds ``search`` (in any case) and that ``where`` accepts.

    ``order_by`` is AddTime, ModTime or FunctionName, ``order`` is ASC or DESC (in any case). Equal
    functions are ordered by name. Its constructor raises
    ``InvalidParameterValue.{Order,Offset,Limit}``.
    """

    search: str = ""
    where: Callable[[Function], bool] = lambda _function: True
    order_by: str = "AddTime"
    order: str = "DESC"
    offset: int = 0
    limit: int = 20

    def __post_init__(self) -> None:
        """Check the fields."""
        if self.order_by not in ORDER_KEYS or self.order.upper() not in ("ASC", "DESC"):
            raise RequestError(
                f"Orderby {self.order_by!r} with Order {self.order!r} is not valid: use"
                f" {', '.join(ORDER_KEYS)} with ASC or DESC",
                InvalidParameterValue.ORDER,
            )
        if self.offset < 0:
            raise RequestError(
                f"Offset {self.offset} is not valid: use 0 or more", InvalidParameterValue.OFFSET
            )
        if not 0 < self.limit <= LIMIT_MAX:
            raise RequestError(
                f"Limit {self.limit} is not valid: use 1 to {LIMIT_MAX}",
                InvalidParameterValue.LIMIT,
            )

    def run(self, functions: Iterable[Function]) -> Page:
        """The page of ``functions`` that is asked for."""
        found = [f for f in functions if self.search.lower() in f.name.lower() and self.where(f)]
        found.sort(key=lambda function: function.name)
        found.sort(key=ORDER_KEYS[self.order_by], reverse=self.order.upper() == "DESC")
        return Page(total=len(found), functions=found[self.offset : self.offset + self.limit])


ALL = Query()
