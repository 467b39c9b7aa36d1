"""A saved dictionary: records of one kind by name, in memory and on disk."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from sandbox.tasks import TaskOwner

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class CollectionRepository(Protocol[T]):
    """Where the records are saved. Blocking; called in threads, one call at a time."""

    def load_all(self) -> dict[str, T]:
        """Every record that was saved, by name."""
        ...

    def save(self, name: str, record: T) -> None:
        """Insert or replace. Durable when it returns."""
        ...

    def delete(self, name: str) -> None:
        """Delete a record. Durable when it returns."""
        ...


class Collection(Generic[T]):
    """The records of one kind. Owned by the service for that kind.

    Reads never wait. Changes happen one at a time. A change is saved before it shows, and it is
    completed even if its caller is cancelled.
    """

    def __init__(self, table: CollectionRepository[T]) -> None:
        """Empty until ``load``."""
        self._table = table
        self._records: dict[str, T] = {}
        self._lock = asyncio.Lock()
        self._writes = TaskOwner()

    async def load(self) -> None:
        """Read everything that was saved. Called once, before anything else."""
        self._records = await asyncio.to_thread(self._table.load_all)

    async def close(self) -> None:
        """Wait for the changes under way."""
        await self._writes.drain()

    def find(self, name: str) -> T | None:
        """The record, or None."""
        return self._records.get(name)

    def all(self) -> list[T]:
        """Every record, by name."""
        return [self._records[name] for name in sorted(self._records)]

    async def put(self, name: str, edit: Callable[[T | None], T]) -> T:
        """Replace a record by the result of ``edit``, and return that.

        ``edit`` is given the present record, or None where there is none.
        ``edit`` must not wait. When it raises, nothing has changed.
        """
        return await self._writes.finish(self._put(name, edit))

    async def remove(self, name: str) -> None:
        """Delete a record; nothing happens if there is none."""
        await self._writes.finish(self._remove(name))

    async def _put(self, name: str, edit: Callable[[T | None], T]) -> T:
        async with self._lock:
            record = edit(self._records.get(name))
            await asyncio.to_thread(self._table.save, name, record)
            self._records[name] = record
        return record

    async def _remove(self, name: str) -> None:
        async with self._lock:
            if name in self._records:
                await asyncio.to_thread(self._table.delete, name)
                del self._records[name]
