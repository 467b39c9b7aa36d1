"""What is known of an instance's memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox import limits

if TYPE_CHECKING:
    from sandbox.engine.base import Container

#: An instance is short of memory from this share of it on.
NEAR_LIMIT = 0.9


class MemoryUse:
    """The greatest memory use of one instance, as its container tells it. Sizes in bytes."""

    __slots__ = ("_kills", "_limit", "_rests", "peak")

    def __init__(self, memory_mb: int) -> None:
        """``memory_mb`` is the instance's limit."""
        self.peak = 0
        self._limit = memory_mb * limits.MIB
        self._kills = 0
        self._rests = False

    @property
    def short(self) -> bool:
        """Whether nearly all of it has been in use."""
        return self.peak >= NEAR_LIMIT * self._limit

    def note(self, peak: int, oom_kills: int) -> bool:
        """The container was looked at. True if a process was killed for want of memory since."""
        self.peak = max(self.peak, peak)
        killed, self._kills = oom_kills > self._kills, oom_kills
        return killed

    def exhausted(self) -> None:
        """A process was killed for want of it, so all of it was in use."""
        self.peak = max(self.peak, self._limit)

    def watch(self, container: Container, *, closely: bool) -> None:
        """Let the container look at it often, or, while it is idle, only at borders."""
        if self._rests is closely:
            self._rests = not closely
            container.watch(closely=closely)
