"""What an engine makes of packages before instances run with them: made once, counted, dropped."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from abc import ABC, abstractmethod
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar

import structlog

from sandbox.errors import EngineError, EngineErrorKind

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from typing import Any

L = TypeVar("L")

log = structlog.get_logger()


def layers_key(digests: tuple[str, ...]) -> str:
    """The key of layers that are merged in this order."""
    return f"layers-{hashlib.sha256(''.join(digests).encode()).hexdigest()[:24]}"


class Artifacts(ABC, Generic[L]):
    """One artifact per package, and one per combination of layers: a volume, a directory.

    An engine says in a subclass how one is made and removed, and where it is (``L``: a volume's
    name, a path). Each has a key: the package's digest, or ``layers-`` and a hash of the layers'.
    Many may ask for the same artifact at a time: it is made once, and all wait. What could not be
    made is made anew when it is asked for again. What is held is not dropped.
    """

    def __init__(self) -> None:
        self._made: dict[str, asyncio.Task[None]] = {}
        self._merged: dict[str, tuple[str, ...]] = {}
        self._users: Counter[str] = Counter()

    async def code(self, digest: str) -> L:
        """Where a package is; waits until it is there. Raises what the making raises."""
        return await self._ready(digest, partial(self._make_code, digest))

    async def layers(self, digests: tuple[str, ...]) -> L:
        """Where layers are that were merged in this order, the later one winning."""
        key = layers_key(digests)
        self._merged[key] = digests
        return await self._ready(key, partial(self._make_layers, key, digests))

    def hold(self, *digests: str) -> None:
        """One more instance runs with these packages, or is being made."""
        self._users.update(digests)

    def let_go(self, *digests: str) -> None:
        """One less."""
        self._users.subtract(digests)
        self._users = +self._users  # without the zeros

    @contextlib.contextmanager
    def held(self, *digests: str) -> Iterator[None]:
        """Hold these packages within the block."""
        self.hold(*digests)
        try:
            yield
        finally:
            self.let_go(*digests)

    async def forget(self, digest: str) -> None:
        """Drop a package, and what it was merged into. Nothing happens where there is neither.

        ``EngineError`` ``IN_USE`` while an instance needs one of them: it stays, to be forgotten
        again later.
        """
        if self._users[digest]:
            raise EngineError(
                f"package {digest[:12]} is in use: it can go when its instances have ended",
                EngineErrorKind.IN_USE,
            )
        merged = [key for key, digests in self._merged.items() if digest in digests]
        for key in (digest, *merged):
            await self._forget(key)
            self._merged.pop(key, None)

    def lost(self, key: str) -> None:
        """Somebody else has removed it: the next who asks for it has it made anew."""
        self._made.pop(key, None)

    async def settled(self) -> None:
        """Wait until nothing is being made."""
        await asyncio.gather(*self._made.values(), return_exceptions=True)

    # ------------------------------------------------------------------ the engine's part

    @abstractmethod
    def _place(self, key: str) -> L:
        """Where the artifact of that key is, or will be."""

    @abstractmethod
    async def _make_code(self, digest: str) -> None:
        """Make the artifact of one package."""

    @abstractmethod
    async def _make_layers(self, key: str, digests: tuple[str, ...]) -> None:
        """Make the artifact of these layers."""

    @abstractmethod
    async def _drop(self, key: str) -> None:
        """Remove an artifact, whole or half made. One that is not there is no error."""

    # ------------------------------------------------------------------ inside

    def _begin(self, key: str, make: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
        """Make it now, unless that was begun already."""
        task = self._made.get(key)
        if task is None:
            task = self._made[key] = asyncio.get_running_loop().create_task(make())
            task.add_done_callback(partial(self._concluded, key))
        return task

    async def _ready(self, key: str, make: Callable[[], Coroutine[Any, Any, None]]) -> L:
        await asyncio.shield(self._begin(key, make))
        return self._place(key)

    def _concluded(self, key: str, task: asyncio.Task[None]) -> None:
        if task.cancelled() or (error := task.exception()) is None:
            return
        # Those who wait are told; where nobody does, the next who asks has it made anew.
        log.debug("artifact_not_made", key=key, error=repr(error))
        if self._made.get(key) is task:
            del self._made[key]

    async def _forget(self, key: str) -> None:
        task = self._made.pop(key, None)
        if task is not None:
            await asyncio.wait({task})
        try:
            await self._drop(key)
        except BaseException:
            if task is not None and not task.cancelled() and task.exception() is None:
                self._made.setdefault(key, task)
            raise
