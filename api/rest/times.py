"""Times in answers: seconds since the epoch, and beside them the same in RFC 3339, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import Field

#: A time in UTC with milliseconds: ``2023-11-14T22:13:20.000Z``. Null for what has not been yet.
Utc = Annotated[str | None, Field(json_schema_extra={"format": "date-time"})]


def utc(moment: float) -> str | None:
    """From seconds since the epoch. 0 stands for a time that has not come."""
    if not moment:
        return None
    text = datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"
