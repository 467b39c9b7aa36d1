"""Limits the memory of all instances together."""

from __future__ import annotations


class MemoryBudget:
    """Counts reserved memory, in MB, against a total. An instance holds its share until its
    container is gone: its MemorySize, and ``beside_mb`` where its files lie in memory too."""

    def __init__(self, total_mb: int, beside_mb: int = 0) -> None:
        """Nothing is reserved yet."""
        self.total_mb = total_mb
        self.beside_mb = beside_mb
        self.reserved_mb = 0

    @property
    def free_mb(self) -> int:
        """What can still be reserved."""
        return self.total_mb - self.reserved_mb

    def share_mb(self, memory_mb: int) -> int:
        """What an instance with this MemorySize takes of the total."""
        return memory_mb + self.beside_mb

    def reserve(self, memory_mb: int) -> bool:
        """Take an instance's share. False if less than that is free."""
        if self.share_mb(memory_mb) > self.free_mb:
            return False
        self.reserved_mb += self.share_mb(memory_mb)
        return True

    def give_back(self, memory_mb: int) -> None:
        """Return a share that was reserved."""
        self.reserved_mb -= self.share_mb(memory_mb)
