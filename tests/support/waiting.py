"""Waits for a condition in real time. The deadline is long enough for a busy machine."""

from __future__ import annotations

import asyncio
import inspect
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

#: Only a failing test waits this long. Seconds.
DEADLINE_S = 30.0

#: Seconds between two looks at a condition: in a test's own loop, and at another process.
LOOP_POLL_S = 0.001
PROCESS_POLL_S = 0.02


async def eventually(
    condition: Callable[[], Any],
    within_s: float = DEADLINE_S,
    shown: Callable[[], object] | None = None,
) -> Any:
    """Wait until ``condition`` is true, and return what it gave. The loop runs meanwhile.

    ``condition`` may be a coroutine function. A failure shows what ``shown`` returns, or else what
    ``condition`` gave last.
    """
    deadline = time.monotonic() + within_s
    while not (found := await _given(condition)):
        seen = shown() if shown else found
        assert time.monotonic() < deadline, f"did not come true within {within_s} s: {seen!r}"
        await asyncio.sleep(LOOP_POLL_S)
    return found


async def _given(condition: Callable[[], Any]) -> Any:
    found = condition()
    return await found if inspect.isawaitable(found) else found


def wait_until(condition: Callable[[], Any], within_s: float = DEADLINE_S) -> Any:
    """Block until ``condition`` is true, and return what it gave: for tests without a loop."""
    deadline = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"did not come true within {within_s} s: {found!r}"
        time.sleep(PROCESS_POLL_S)
    return found


async def turns(count: int = 10) -> None:
    """Let all ready tasks run."""
    for _ in range(count):
        await asyncio.sleep(0)
