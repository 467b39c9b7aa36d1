"""Keeps the event loop awake for a moment after work, because more work often follows."""

from __future__ import annotations

import asyncio
import os
from time import perf_counter


class BusyPoll:
    """Keeps the event loop awake for ``for_s`` seconds after each ``keep_awake``.

    An event is passed on four times, from client to sandbox to bootstrap and back. Each time the
    receiver sleeps. On a virtual machine the kernel takes 20 to 40 µs to wake it, because an idle
    processor goes back to the host. Together this is more than the rest of a warm invocation. After
    one message the next one often follows at once, so the loop polls again before it sleeps. The
    kernel's ``busy_poll`` does the same for network cards. A sandbox without work sleeps.
    """

    def __init__(self, for_s: float) -> None:
        self._for_s = for_s
        self._until = 0.0
        self._awake = False
        self._loop: asyncio.AbstractEventLoop | None = None

    def keep_awake(self) -> None:
        """A message has come."""
        if not self._for_s:
            return
        self._until = perf_counter() + self._for_s
        if not self._awake:
            if self._loop is None:
                self._loop = asyncio.get_running_loop()
            self._awake = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        assert self._loop is not None
        if perf_counter() < self._until:
            self._loop.call_soon(self._turn)
        else:
            self._awake = False


def several_processors() -> bool:
    """Whether others can work on another processor meanwhile."""
    try:
        return len(os.sched_getaffinity(0)) > 1
    except AttributeError:  # not on every system
        return (os.cpu_count() or 1) > 1
