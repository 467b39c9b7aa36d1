"""How much memory instances may have together."""

from __future__ import annotations


class MemoryBudget:
    """Counts reserved memory, in MB, against a total. An instance holds its share to its end."""

    def __init__(self, total_mb: int) -> None:
        self.total_mb = total_mb
        self.reserved_mb = 0

    @property
    def free_mb(self) -> int:
        return self.total_mb - self.reserved_mb

    def reserve(self, memory_mb: int) -> bool:
        """Take a share, if there is one."""
        if memory_mb > self.free_mb:
            return False
        self.reserved_mb += memory_mb
        return True

    def give_back(self, memory_mb: int) -> None:
        self.reserved_mb -= memory_mb
