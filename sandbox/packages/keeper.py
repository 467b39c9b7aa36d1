"""Saves packages for functions and layers, and drops them when none needs them any more."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Protocol
from weakref import WeakValueDictionary

import structlog

from sandbox.errors import SandboxError
from sandbox.packages.package import digest_of, inspect
from sandbox.tasks import TaskOwner

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

    from sandbox.packages.model import CodeRef
    from sandbox.packages.package import Package, PackageStore

log = structlog.get_logger()

#: Pauses before the next attempt to drop a package that the engine still uses, seconds. After the
#: last one it is left to the sweep of the next start.
FORGET_AGAIN_S = (0.2, 1.0, 5.0, 30.0, 120.0, 900.0)


class CodeHost(Protocol):
    """Makes packages ready to run, ahead of the instances that need them."""

    def expect_code(self, digest: str) -> None:
        """A package is being checked that is needed if it is good. Never fails; ``forget_code``
        takes it back."""
        ...

    def take_code(self, package: Package) -> None:
        """The expected package is good: begin to make it ready. Never fails; ``forget_code``
        takes it back."""
        ...

    async def forget_code(self, digest: str) -> None:
        """Drop what was made ready for a package. ``EngineError`` while an instance uses it."""
        ...


class CodeKeeper:
    """Saves packages, and drops those that are not used. Owned by the function service.

    A package is used while ``in_use`` names it, or while it is held here. Saving and dropping the
    same package exclude each other, so that a deletion that began earlier never drops a package
    that was just saved.
    """

    def __init__(
        self,
        packages: PackageStore,
        host: CodeHost,
        in_use: Callable[[], frozenset[str]],
        forget_again_s: Iterable[float] = FORGET_AGAIN_S,
    ) -> None:
        """``in_use`` gives the digests of all packages that functions and layers need."""
        self._packages = packages
        self._host = host
        self._in_use = in_use
        self._forget_again_s = tuple(forget_again_s)
        self._held: Counter[str] = Counter()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._tasks = TaskOwner()
        self._closed = False

    @asynccontextmanager
    async def admit(self, data: bytes, *, to_run: bool = False) -> AsyncIterator[CodeRef]:
        """Check and save a package, and hold it within the block.

        The host is told of a package ``to_run`` before the check, and has it before it is on disk,
        so that it is ready sooner. Raises what ``package.inspect`` raises. At the end of the block
        the package is dropped, unless it is in use by then.
        """
        digest = await asyncio.to_thread(digest_of, data)
        with self.holding({digest}):
            async with self._lock(digest):
                if to_run:
                    self._host.expect_code(digest)
                package = await asyncio.to_thread(inspect, data, digest)
                if to_run:
                    self._host.take_code(package)
                ref = await asyncio.to_thread(self._packages.keep, package, data)
            for finding in ref.guesses:  # no answer of the cloud API has room for them
                log.warning(
                    "package_guessed", digest=digest, code=finding.code, reason=finding.message
                )
            yield ref

    @contextmanager
    def holding(self, digests: Iterable[str]) -> Iterator[None]:
        """Hold these packages within the block. Those that are not in use after it are dropped."""
        held = list(digests)
        self._held.update(held)
        try:
            yield
        finally:
            self._held.subtract(held)
            self._held = +self._held  # without the zeros
            self.collect(held)

    def collect(self, digests: Iterable[str]) -> None:
        """Drop those of these packages that are not used, in the background."""
        if self._closed:
            return
        for digest in set(digests) - self._in_use():
            if not self._held[digest]:
                self._tasks.start(self._drop(digest))

    async def sweep(self) -> None:
        """Drop what an earlier run left unused. Called before anything is saved."""
        await asyncio.to_thread(self._packages.sweep)
        self.collect(await asyncio.to_thread(self._packages.digests))

    async def drain(self) -> None:
        """Wait until every package that is being dropped is gone."""
        await self._tasks.drain()

    async def close(self) -> None:
        """Stop dropping packages."""
        self._closed = True
        await self._tasks.cancel()

    async def _drop(self, digest: str) -> None:
        for pause in (*self._forget_again_s, None):
            async with self._lock(digest):
                if self._held[digest] or digest in self._in_use():
                    return
                try:
                    await self._host.forget_code(digest)
                    await asyncio.to_thread(self._packages.remove, digest)
                    return
                except (SandboxError, OSError) as error:
                    # Mostly an instance that has the code mounted is still being ended.
                    tell = log.debug if pause is not None else log.warning
                    tell("package_not_dropped", digest=digest, error=str(error))
            if pause is not None:
                await asyncio.sleep(pause)

    def _lock(self, digest: str) -> asyncio.Lock:
        return self._locks.setdefault(digest, asyncio.Lock())
