"""``Offset`` and ``Limit`` of lists that are short enough to be read whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from sandbox.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")

DEFAULT_LIMIT = 20
LIMIT_MAX = 1000


def page_of(items: Sequence[T], offset: int | None, limit: int | None) -> Sequence[T]:
    """At most ``limit`` (20) items, from ``offset`` (0) on. ``InvalidParameterValue`` if ``offset``
    is below 0, or ``limit`` is not 1 to 1000."""
    first, most = offset or 0, DEFAULT_LIMIT if limit is None else limit
    if first < 0:
        raise RequestError(f"Offset {first} is not valid: use 0 or more")
    if not 0 < most <= LIMIT_MAX:
        raise RequestError(f"Limit {most} is not valid: use 1 to {LIMIT_MAX}")
    return items[first : first + most]
