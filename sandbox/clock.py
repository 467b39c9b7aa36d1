"""Time and identity, passed in so that tests can hold them still."""

from __future__ import annotations

import random
import time
from typing import Protocol

#: Ids must be unique, not secret; the system's random numbers cost ten times as much.
_bits = random.Random().getrandbits


class Clock(Protocol):
    def now(self) -> float:
        """Wall clock, seconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""
        ...


class SystemClock:
    """The machine's own clock."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)


def new_request_id() -> str:
    """A request id in the platform's form: a lower-case UUID (version 4)."""
    text = f"{_bits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"
