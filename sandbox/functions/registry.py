"""All functions, in memory. Reads are dictionary look-ups; changes are saved before they show."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol
from weakref import WeakValueDictionary

from sandbox.errors import (
    ConflictError,
    LimitError,
    LimitExceeded,
    NotFoundError,
    ResourceInUse,
    ResourceNotFound,
)
from sandbox.tasks import TaskOwner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sandbox.functions.model import Function
    from sandbox.functions.ports import FunctionRecorder

Key = tuple[str, str]


class FunctionRepository(Protocol):
    """Where functions are saved. Blocking; called in threads, never twice at a time for one
    function."""

    def load_all(self) -> list[Function]:
        """Every function that was saved."""
        ...

    def save(self, function: Function) -> None:
        """Insert or replace. Durable when it returns."""
        ...

    def delete(self, namespace: str, name: str) -> None:
        """Delete a function. Durable when it returns."""
        ...


class FunctionRegistry:
    """Owns the records of all functions. Keys are (namespace, name).

    Reads never wait. Changes of one function happen one at a time, so that none is lost. A change
    is completed even if its caller is cancelled, so that memory and store agree.
    """

    def __init__(
        self, repository: FunctionRepository, recorder: FunctionRecorder | None = None
    ) -> None:
        """Empty until ``load``."""
        #: Grows with every change of any function.
        self.generation = 0
        self._repository = repository
        self._recorder = recorder
        self._functions: dict[Key, Function] = {}
        self._coming: set[Key] = set()
        self._locks: WeakValueDictionary[Key, asyncio.Lock] = WeakValueDictionary()
        self._writes = TaskOwner()
        self._changed = asyncio.Event()

    async def load(self) -> None:
        """Read everything that was saved. Called once, before anything else."""
        functions = await asyncio.to_thread(self._repository.load_all)
        self._functions = {function.key: function for function in functions}

    async def close(self) -> None:
        """Wait for the changes under way."""
        await self._writes.drain()

    def find(self, namespace: str, name: str) -> Function | None:
        """The function, or None."""
        return self._functions.get((namespace, name))

    def get(self, namespace: str, name: str) -> Function:
        """The function, or ``ResourceNotFound.FunctionName``."""
        function = self._functions.get((namespace, name))
        if function is None:
            raise not_found(namespace, name)
        return function

    def all(self) -> list[Function]:
        """Every function, in no order."""
        return list(self._functions.values())

    def in_namespace(self, namespace: str) -> list[Function]:
        """Every function of a namespace, in no order."""
        return [f for f in self._functions.values() if f.namespace == namespace]

    def digests(self) -> frozenset[str]:
        """Every package that some function needs."""
        return frozenset().union(*(f.digests for f in self._functions.values()))

    def occupied(self, namespace: str) -> bool:
        """Whether a namespace holds functions, or is about to."""
        coming = any(taken == namespace for taken, _ in self._coming)
        return coming or bool(self.in_namespace(namespace))

    def require_room(self, namespace: str, at_most: int) -> None:
        """``LimitExceeded.Function`` if the namespace holds ``at_most`` functions already."""
        coming = sum(taken == namespace for taken, _ in self._coming)
        if len(self.in_namespace(namespace)) + coming >= at_most:
            raise LimitError(
                f"namespace {namespace} holds {at_most} functions, which is the limit: delete one"
                " first, or use another namespace",
                LimitExceeded.FUNCTION,
            )

    async def add(
        self, function: Function, at_most: int, check: Callable[[], None] = lambda: None
    ) -> Function:
        """Save a new function. ``check`` may refuse it at the last moment.

        ``ResourceInUse.FunctionName`` if there is one of that name, ``LimitExceeded.Function`` if
        its namespace holds ``at_most`` already.
        """
        return await self._writes.finish(self._add(function, at_most, check))

    async def change(self, key: Key, edit: Callable[[Function], Function]) -> Function:
        """Replace a function by the result of ``edit``, and return that.

        ``edit`` must not wait. When it raises, nothing has changed.
        """
        return await self._writes.finish(self._change(key, edit))

    async def remove(self, key: Key) -> Function:
        """Delete a function, and return its last record."""
        return await self._writes.finish(self._remove(key))

    async def changed(self) -> None:
        """Wait for the next change of any function."""
        await self._changed.wait()

    async def until(self, key: Key, holds: Callable[[Function], bool]) -> Function:
        """Wait until ``holds``. ``ResourceNotFound.FunctionName`` if the function is deleted."""
        while not holds(function := self.get(*key)):
            await self._changed.wait()
        return function

    async def _add(self, function: Function, at_most: int, check: Callable[[], None]) -> Function:
        async with self._lock(function.key):
            if function.key in self._functions:
                raise in_use(*function.key)
            self.require_room(function.namespace, at_most)
            check()
            self._coming.add(function.key)
            try:
                await asyncio.to_thread(self._repository.save, function)
            finally:
                self._coming.discard(function.key)
            self._functions[function.key] = function
            self._announce(function, "created", function.versions)
        return function

    async def _change(self, key: Key, edit: Callable[[Function], Function]) -> Function:
        async with self._lock(key):
            before = self.get(*key)
            after = edit(before)
            if after is not before:
                await asyncio.to_thread(self._repository.save, after)
                self._functions[key] = after
                old = before.versions
                new = [v for v, version in after.versions.items() if version is not old.get(v)]
                self._announce(after, "changed", new)
        return after

    async def _remove(self, key: Key) -> Function:
        async with self._lock(key):
            function = self.get(*key)
            await asyncio.to_thread(self._repository.delete, *key)
            del self._functions[key]
            self._announce(function, "deleted")
        return function

    def _lock(self, key: Key) -> asyncio.Lock:
        return self._locks.setdefault(key, asyncio.Lock())

    def _announce(self, function: Function, change: str, versions: Iterable[str] = ()) -> None:
        """Tell the change, of each of the ``versions`` or of the function as a whole; wake all that
        wait, and let the next ones wait for the next change."""
        if self._recorder is not None:
            self._recorder.function_changed(function, change, versions)
        self.generation += 1
        self._changed.set()
        self._changed = asyncio.Event()


def not_found(namespace: str, name: str) -> NotFoundError:
    """The error for a function that does not exist."""
    return NotFoundError(
        f"there is no function {name} in namespace {namespace}: check both names, or create it",
        ResourceNotFound.FUNCTION_NAME,
    )


def in_use(namespace: str, name: str) -> ConflictError:
    """The error for a function name that is taken."""
    return ConflictError(
        f"there is a function {name} in namespace {namespace} already: update it, or delete it"
        " first",
        ResourceInUse.FUNCTION_NAME,
    )
