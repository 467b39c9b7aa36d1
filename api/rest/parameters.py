"""Query parameters that several routes share."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Query
from pydantic import Field

from sandbox.errors import RequestError
from sandbox.limits import INTEGER_MAX, INTEGER_MIN

#: A whole number in a body or form. Its own limits are the service's to check.
Whole = Annotated[int, Field(ge=INTEGER_MIN, le=INTEGER_MAX)]
Limit = Annotated[int, Query(ge=1, le=1000, description="how many to show")]
Offset = Annotated[int, Query(ge=0, le=INTEGER_MAX, description="how many to leave out first")]

Namespace = Annotated[str, Query(description="the function's namespace")]
Qualifier = Annotated[str, Query(description="a version or alias")]
Since = Annotated[
    str | None,
    Query(
        description="only what started since then: seconds since the epoch, `2024-05-01T12:00:00Z`"
        " (UTC unless it says otherwise), or how long ago: `30s`, `10m`, `2h`, `1d`",
    ),
]

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def parse_since(text: str | None, now: float) -> float | None:
    """Seconds since the epoch, from a text in one of the forms that ``Since`` names."""
    if not text:
        return None
    ago = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text)
    if ago:
        return now - _seconds(ago[1]) * UNITS[ago[2]]
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return _seconds(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise RequestError(
            f"since: {text!r} is no time; send seconds since the epoch, 2024-05-01T12:00:00Z, or"
            " how long ago: 30s, 10m, 2h, 1d"
        ) from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _seconds(text: str) -> float:
    number = float(text)
    if number > INTEGER_MAX:
        raise RequestError(f"since: {text[:80]} is beyond 64 bits: send a time of this century")
    return number
