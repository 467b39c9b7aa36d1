"""Code and layers as directories of this machine, for the process engine."""

from __future__ import annotations

import asyncio
import os
import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.engine.artifacts import Artifacts
from sandbox.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.packages.package import PackageStore


class PackageDirectories(Artifacts[Path]):
    """A directory for each package, and for each combination of layers.

    It is held as long as an instance runs in it.
    """

    def __init__(self, root: Path, packages: PackageStore) -> None:
        """``root`` is an absolute directory of our own."""
        super().__init__()
        self._root = root
        self._packages = packages

    def _place(self, key: str) -> Path:
        return self._root / key

    async def _make_code(self, digest: str) -> None:
        def unpack(directory: Path) -> None:
            self._packages.open(digest).extract(directory)

        await asyncio.to_thread(self._unpack, digest, unpack)

    async def _make_layers(self, key: str, digests: tuple[str, ...]) -> None:
        def unpack(directory: Path) -> None:
            with tempfile.TemporaryFile(dir=self._root) as tar:
                self._packages.write_merged(digests, tar)
                tar.seek(0)
                with tarfile.open(fileobj=tar) as archive:
                    # Before Python 3.11.4 there is no such filter, nor a parameter for one.
                    archive.extraction_filter = getattr(tarfile, "tar_filter", None)
                    archive.extractall(directory)

        await asyncio.to_thread(self._unpack, key, unpack)

    async def _drop(self, key: str) -> None:
        await asyncio.to_thread(remove_tree, self._place(key))

    def _unpack(self, key: str, unpack: Callable[[Path], None]) -> None:
        directory = self._place(key)
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            unpack(directory)
        except (OSError, tarfile.TarError) as error:
            raise EngineError(f"cannot unpack a package to {directory}: {error}") from error


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
