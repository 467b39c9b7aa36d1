"""How the process stops: asked by a signal, at once by a second one, never later than a limit."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

#: How long a stop may take, seconds.
LIMIT_S = 20.0
SIGNALS = (signal.SIGTERM, signal.SIGINT)
LATE = (
    f"scf-sandbox: the stop took longer than {LIMIT_S:g} s, as when the engine or the disk hangs:"
    " ended. What is left in the engine, the next start removes.\n"
)
TWICE = (
    "scf-sandbox: a second signal: ended at once. What is left in the engine, the next start"
    " removes.\n"
)


class Stop:
    """Hears the signals from the first moment of the process on.

    ``begin`` is called at the first one, in the main thread between two steps of the program. Who
    sets it later than the signal came is called at once.
    """

    def __init__(self, limit_s: float = LIMIT_S, end: Callable[[int], object] = os._exit) -> None:
        """``end`` ends the process with an exit code, whatever its threads wait for."""
        self._limit_s = limit_s
        self._end = end
        self._begin: Callable[[], object] | None = None
        self.asked = False

    def hear(self) -> None:
        """From now on."""
        for number in SIGNALS:
            signal.signal(number, self._heard)

    def begin_with(self, begin: Callable[[], object]) -> None:
        """What the first signal does from now on."""
        self._begin = begin
        if self.asked:
            begin()

    def _heard(self, number: int, _frame: FrameType | None) -> None:
        if self.asked:
            _say(TWICE)
            self._end(128 + number)
            return
        self.asked = True
        timer = threading.Timer(self._limit_s, self._late)
        timer.daemon = True
        timer.start()
        if self._begin is not None:
            self._begin()

    def _late(self) -> None:
        _say(LATE)
        self._end(1)


def _say(text: str) -> None:
    """Without the log, whose lock the interrupted program may hold."""
    os.write(sys.stderr.fileno(), text.encode())
