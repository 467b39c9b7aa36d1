"""Looking for what comes next for a moment, instead of sleeping at once."""

from __future__ import annotations

import asyncio
import os
from time import perf_counter


class BusyPoll:
    """Keeps the event loop awake for ``for_s`` seconds after each ``keep_awake``.

    An event is handed on four times, client to sandbox to bootstrap and back, and each time the
    receiver is asleep. Waking it takes the kernel 20 to 40 µs where the processor is virtual (on a
    virtual machine an idle processor is given back to the host), which together is more than all
    the rest of a warm invocation. So where something has just come, more is likely to come at
    once, and the loop asks again before it sleeps. It is what the kernel's ``busy_poll`` does for
    network cards. A sandbox with nothing to do sleeps.
    """

    def __init__(self, for_s: float) -> None:
        self._for_s = for_s
        self._until = 0.0
        self._awake = False
        self._loop: asyncio.AbstractEventLoop | None = None

    def keep_awake(self) -> None:
        """Something has come."""
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
    """Whether somebody else can work meanwhile."""
    try:
        return len(os.sched_getaffinity(0)) > 1
    except AttributeError:  # not on every system
        return (os.cpu_count() or 1) > 1
