"""What is known of an instance's memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.engine.base import Container

MB = 1024 * 1024
#: The share of its memory from which on an instance is asked for killed processes.
NEAR_LIMIT = 0.9


class MemoryGauge:
    """The highest memory use of one instance, and whether its limit killed a process."""

    __slots__ = ("_container", "_limit", "_near_limit", "peak")

    def __init__(self, memory_mb: int) -> None:
        """``memory_mb`` is the instance's limit."""
        self.peak = 0
        self._limit = memory_mb * MB
        self._near_limit = self._limit * NEAR_LIMIT
        self._container: Container | None = None

    def watch(self, container: Container) -> None:
        """Look at this container from now on."""
        self._container = container

    def look(self) -> bool:
        """Note the peak, in bytes. True if a process was killed for want of memory."""
        container = self._container
        if container is None:
            return False
        peak = container.memory_peak()
        if peak > self.peak:
            self.peak = peak
        return self.peak >= self._near_limit and container.oom_kills() > 0

    def exhausted(self) -> None:
        """A process was killed for want of memory, so all of it was in use."""
        self.peak = max(self.peak, self._limit)
