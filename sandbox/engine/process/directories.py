"""Code and layers as directories of this machine, for the process engine."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shutil
import tarfile
import tempfile
from typing import TYPE_CHECKING

from sandbox.errors import EngineError, SandboxError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sandbox.packages.package import PackageStore


class PackageDirectories:
    """Makes a directory per package digest, and one per combination of layers, each once."""

    def __init__(self, root: Path, packages: PackageStore) -> None:
        """``root`` is an absolute directory of our own."""
        self._root = root
        self._packages = packages
        self._made: dict[str, asyncio.Future[Path]] = {}
        self._merged: dict[str, tuple[str, ...]] = {}
        self._users: dict[str, int] = {}

    async def code(self, digest: str) -> Path:
        """The directory that holds a package."""

        def unpack(directory: Path) -> None:
            self._packages.open(digest).extract(directory)

        return await self._directory(digest, unpack)

    async def layers(self, digests: tuple[str, ...]) -> Path:
        """The directory that holds layers, merged in order: the later one wins."""

        def unpack(directory: Path) -> None:
            with tempfile.TemporaryFile(dir=self._root) as tar:
                self._packages.write_merged(digests, tar)
                tar.seek(0)
                with tarfile.open(fileobj=tar) as archive:
                    # Before Python 3.11.4 there is no such filter, nor a parameter for one.
                    archive.extraction_filter = getattr(tarfile, "tar_filter", None)
                    archive.extractall(directory)

        joined = hashlib.sha256("".join(digests).encode()).hexdigest()
        key = f"layers-{joined[:24]}"
        self._merged[key] = digests
        return await self._directory(key, unpack)

    def hold(self, *digests: str) -> None:
        """One more instance runs with these packages."""
        for digest in digests:
            self._users[digest] = self._users.get(digest, 0) + 1

    def let_go(self, *digests: str) -> None:
        """One less."""
        for digest in digests:
            self._users[digest] -= 1
            if not self._users[digest]:
                del self._users[digest]

    async def forget(self, digest: str) -> None:
        """Drop a package's directory, and those that it was merged into; what an instance runs
        with stays until the engine ends."""
        if digest in self._users:
            return
        merged = [key for key, digests in self._merged.items() if digest in digests]
        for key in (digest, *merged):
            self._merged.pop(key, None)
            pending = self._made.pop(key, None)
            if pending is not None:
                with contextlib.suppress(SandboxError):
                    await asyncio.to_thread(remove_tree, await pending)

    async def _directory(self, key: str, unpack: Callable[[Path], None]) -> Path:
        pending = self._made.get(key)
        if pending is None:
            pending = asyncio.ensure_future(asyncio.to_thread(self._make, key, unpack))
            self._made[key] = pending
        try:
            return await asyncio.shield(pending)
        except SandboxError:
            if self._made.get(key) is pending:
                del self._made[key]
            raise

    def _make(self, key: str, unpack: Callable[[Path], None]) -> Path:
        directory = self._root / key
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            unpack(directory)
        except (OSError, tarfile.TarError) as error:
            raise EngineError(f"cannot unpack a package to {directory}: {error}") from error
        return directory


def remove_tree(directory: Path) -> None:
    """Remove a directory and all in it, also where a package made directories unwritable."""
    if not directory.exists():
        return
    for place, names, _ in os.walk(directory):
        for name in names:
            path = os.path.join(place, name)
            if not os.path.islink(path):
                os.chmod(path, 0o700)
    shutil.rmtree(directory)
