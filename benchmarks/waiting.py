"""Waiting for a condition, with a deadline."""

from __future__ import annotations

import http.client
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def until(condition: Callable[[], T], what: str, within: float = 60.0, every: float = 0.01) -> T:
    """Wait until ``condition`` is true, and return what it gave. ``TimeoutError`` names
    ``what``."""
    deadline = time.monotonic() + within
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {within:g} s")
        time.sleep(every)


def listens(port: int) -> bool:
    """Whether a server answers HTTP on 127.0.0.1:``port``. An error counts as an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True
