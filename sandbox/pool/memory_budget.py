"""Limits the memory of all instances together."""

from __future__ import annotations


class MemoryBudget:
    """Counts reserved memory, in MB, against a total. An instance holds its share until its
    container is gone."""

    def __init__(self, total_mb: int) -> None:
        """Nothing is reserved yet."""
        self.total_mb = total_mb
        self.reserved_mb = 0

    @property
    def free_mb(self) -> int:
        """What can still be reserved."""
        return self.total_mb - self.reserved_mb

    def reserve(self, memory_mb: int) -> bool:
        """Take a share. False if less than that is free."""
        if memory_mb > self.free_mb:
            return False
        self.reserved_mb += memory_mb
        return True

    def give_back(self, memory_mb: int) -> None:
        """Return a share that was reserved."""
        self.reserved_mb -= memory_mb
