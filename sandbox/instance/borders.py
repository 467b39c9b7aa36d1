"""Borders in an instance's output: what was written before one is in the log when it is passed."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.engine.base import Container, InstanceSpec
    from sandbox.instance.logs import LogBook
    from sandbox.instance.ports import InstanceContext

log = structlog.get_logger()

#: A result waits for the rest of its log for so long, seconds.
SETTLE_S = 0.1
#: The log tells of a border that takes longer than this, seconds: events wait for it.
SLOW_S = 2.0


class Borders:
    """Asks the container of one instance for borders (``Container.flush``)."""

    def __init__(self, spec: InstanceSpec, logs: LogBook, context: InstanceContext) -> None:
        """``logs`` are where the output goes."""
        self._spec = spec
        self._logs = logs
        self._clock = context.clock
        self._loop = context.loop
        self._container: Container | None = None
        #: When each one was asked for that is not passed.
        self._asked: deque[float] = deque()

    def of(self, container: Container) -> None:
        """Ask this container from now on."""
        self._container = container

    def passed(self) -> bool:
        """Whether the log is known to have everything that was written until now."""
        return self._container is not None and not self._asked and self._container.settled()

    def flush(self, done: Callable[[], None]) -> None:
        """Call ``done`` when the log has everything that was written until now."""
        assert self._container is not None
        self._asked.append(self._clock.monotonic())
        self._container.flush(partial(self._passed, done))

    def settle(self, then: Callable[[], None]) -> None:
        """Call ``then`` at a border, or after 100 ms. The last line is whole then."""

        def tell() -> None:
            if timer.cancelled():
                return
            timer.cancel()
            self._logs.end_line()
            then()

        timer = self._loop.call_later(SETTLE_S, tell)
        self.flush(tell)

    def look(self) -> None:
        """Tell of a border that does not come."""
        if self._asked and self._clock.monotonic() - self._asked[0] > SLOW_S:
            self._asked[0] = float("inf")  # once
            log.warning(
                "flush_unanswered",
                instance=self._spec.instance_id,
                function=self._spec.function_name,
                seconds=SLOW_S,
            )

    def _passed(self, done: Callable[[], None]) -> None:
        self._asked.popleft()
        done()
