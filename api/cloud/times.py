"""Times as the cloud API writes them: ``YYYY-MM-DD hh:mm:ss`` in UTC+8, without a zone."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

BEIJING = timezone(timedelta(hours=8))

FORMAT = "%Y-%m-%d %H:%M:%S"


def to_text(moment: float) -> str:
    """From seconds since the epoch."""
    return datetime.fromtimestamp(moment, BEIJING).strftime(FORMAT)


def to_text_ms(moment: float) -> str:
    """The same with milliseconds, as lists of events have it."""
    milliseconds = int(moment * 1000)
    return f"{to_text(milliseconds // 1000)}.{milliseconds % 1000:03d}"


def from_text(text: str) -> float:
    """To seconds since the epoch. Raises ``ValueError``."""
    return datetime.strptime(text, FORMAT).replace(tzinfo=BEIJING).timestamp()
