"""The initialisation of one instance: how long it takes, and in which words it fails."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sandbox.deadline import Deadline

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.engine.base import Exit, InstanceSpec
    from sandbox.instance.logs import LogBook
    from sandbox.instance.ports import InstanceContext


class Initialisation:
    """From the release of the bootstrap until its runtime reports ready, or fails to."""

    def __init__(
        self, spec: InstanceSpec, timeout_s: float, logs: LogBook, context: InstanceContext
    ) -> None:
        """``timeout_s`` is the function's InitTimeout, in seconds."""
        #: How long it took, in milliseconds; None until it is over.
        self.took_ms: float | None = None
        self._spec = spec
        self._timeout_s = timeout_s
        self._logs = logs
        self._clock = context.clock
        self._explainer = context.explainer
        self._deadline = Deadline(context.loop)
        self._began = 0.0

    def begin(self, too_late: Callable[[], None]) -> float:
        """The bootstrap is released. Returns when that was, on the monotonic clock."""
        self._began = self._clock.monotonic()
        self._deadline.set(self._timeout_s, too_late)
        return self._began

    def end(self) -> bool:
        """It is over, well or not. True once."""
        self._deadline.close()
        if self.took_ms is not None:
            return False
        self.took_ms = (self._clock.monotonic() - self._began) * 1000
        return True

    def close(self) -> None:
        """Leave no timer."""
        self._deadline.close()

    def timed_out(self) -> str:
        """The message of one that took too long."""
        return (
            f"Initialization timed out after {self._timeout_s:g} seconds: the bootstrap did not"
            f" POST /runtime/init/ready in time{self._last_words()}"
        )

    def explain(self, exit: Exit, tell: Callable[[str], None]) -> None:
        """Call ``tell`` with the message of one whose process has ended, now or within seconds."""

        def told(why: str) -> None:
            if why or exit.errno:
                why = why or f"the bootstrap cannot be started: {os.strerror(exit.errno)}"
                self._logs.note(f"[PLATFORM] {why}")
            if exit.errno:
                tell(f"Initialization failed: {why}")
            else:
                end = f"the bootstrap ended {exit} before it reported ready{last_words}"
                tell(f"Initialization failed: {end}" + (f"; {why}" if why else ""))

        last_words = self._last_words()
        if self._explainer is None:
            told("")
        else:
            output = "\n".join(text for _, text in self._logs.tail.lines)
            self._explainer.explain(self._spec, exit, output, told)

    def _last_words(self) -> str:
        lines = self._logs.tail.lines
        return f": {lines[-1][1]}" if lines else ", without any output"
