"""Code and layers as named volumes, one per digest, filled once."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import Counter
from typing import TYPE_CHECKING

from sandbox.engine.docker.options import ContainerOptions, VolumeMount
from sandbox.engine.docker.packing import Packing
from sandbox.engine.docker.removal import remove, remove_container
from sandbox.errors import EngineError, PlatformError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from sandbox.engine.docker.client import DockerClient
    from sandbox.engine.docker.labels import Labels
    from sandbox.packages.package import Package, PackageStore


class CodeVolumes:
    """Makes a volume per package digest, and one per combination of layers.

    Filled through a container that is never started, so that it works the same from the host, from
    a container, with Docker Desktop and with a remote engine.
    """

    def __init__(
        self, client: DockerClient, labels: Labels, image: str, packages: PackageStore
    ) -> None:
        self._client = client
        self._labels = labels
        self._image = image
        self._packages = packages
        self._volumes: dict[str, asyncio.Future[str]] = {}
        self._merged: dict[str, tuple[str, ...]] = {}
        #: Packages that a container is being made for. It does not keep their volumes yet, and the
        #: engine would make them anew: empty, and with no label of ours.
        self._held: Counter[str] = Counter()
        #: The containers that will fill a volume, begun before there is a package; by its key.
        self._begun: dict[str, asyncio.Future[str]] = {}
        #: Containers that have filled a volume and are being removed, by the volume's key.
        self._leaving: dict[str, asyncio.Future[None]] = {}

    def expect(self, digest: str) -> None:
        """Begin with a package's volume before its content is known to be good."""
        key = digest[:32]
        if key not in self._volumes and key not in self._begun:
            self._begun[key] = asyncio.ensure_future(self._begin(self._name(key)))

    def take(self, package: Package) -> None:
        """Begin to fill a package's volume while the package is still being kept."""
        key = package.ref.digest[:32]
        if key not in self._volumes:
            self._volumes[key] = asyncio.ensure_future(
                self._fill(key, self._name(key), package.write_tar)
            )

    async def code(self, digest: str) -> str:
        """The name of the volume that holds a package."""
        return await self._volume(
            digest[:32], lambda out: self._packages.open(digest).write_tar(out)
        )

    async def layers(self, digests: tuple[str, ...]) -> str:
        """The name of the volume that holds layers, merged in order: the later one wins."""

        def write(out: BinaryIO) -> None:
            self._packages.write_merged(digests, out)

        joined = hashlib.sha256("".join(digests).encode()).hexdigest()
        key = f"layers-{joined[:24]}"
        self._merged[key] = digests
        return await self._volume(key, write)

    async def forget(self, digest: str) -> None:
        """Remove a package's volume, and those that it was merged into, if they are there.

        ``EngineError`` while an instance uses one of them: that one stays, to be tried again.
        """
        if self._held[digest]:
            raise EngineError(f"package {digest[:12]} is in use: an instance of it is being made")
        merged = [key for key, digests in self._merged.items() if digest in digests]
        for key in (digest[:32], *merged):
            await self._forget(key)
            self._merged.pop(key, None)

    async def _forget(self, key: str) -> None:
        pending = self._volumes.pop(key, None)
        if begun := self._begun.pop(key, None):
            with contextlib.suppress(PlatformError):
                await remove_container(self._client, await begun)
        elif pending is not None:
            with contextlib.suppress(PlatformError):
                await pending
            if leaving := self._leaving.pop(key, None):
                await leaving
        else:
            return
        try:
            await self._client.remove_volume(self._name(key))
        except EngineError:
            if pending is not None:
                self._volumes.setdefault(key, pending)
            raise

    @contextlib.contextmanager
    def held(self, *digests: str) -> Iterator[None]:
        """Keep the volumes of these packages within the block."""
        self._held.update(digests)
        try:
            yield
        finally:
            self._held.subtract(digests)
            self._held = +self._held  # without the zeros

    async def settled(self) -> None:
        """Wait until nothing is being made or removed."""
        at_work = (self._begun, self._volumes, self._leaving)
        waits = [future for futures in at_work for future in futures.values()]
        await asyncio.gather(*waits, return_exceptions=True)

    async def sweep(self) -> None:
        """Remove every code volume of this installation."""
        self._leaving.clear()
        self._begun.clear()
        self._volumes.clear()
        for name in await self._client.volume_names(*self._labels.find("code")):
            await remove("volume", name, self._client.remove_volume)

    async def _volume(self, key: str, write: Callable[[BinaryIO], None]) -> str:
        pending = self._volumes.get(key)
        if pending is None:
            pending = asyncio.ensure_future(self._fill(key, self._name(key), write))
            self._volumes[key] = pending
        try:
            return await asyncio.shield(pending)
        except PlatformError:  # the engine's fault, or a package that cannot be read
            if self._volumes.get(key) is pending:
                del self._volumes[key]
            raise

    async def _fill(self, key: str, name: str, write: Callable[[BinaryIO], None]) -> str:
        with Packing(write) as pieces:
            filler = await (self._begun.pop(key, None) or self._begin(name))
            try:
                await self._client.put_archive(filler, "/code", pieces)
            finally:
                # The code is there: nobody has to wait until its container is gone again.
                self._leaving[key] = asyncio.ensure_future(remove_container(self._client, filler))
        return name

    def _name(self, key: str) -> str:
        return f"scf-{self._labels.installation}-code-{key}"

    async def _begin(self, name: str) -> str:
        """A container that is never started, with an empty volume of that name."""
        await self._client.create_volume(name, self._labels.of("code"))
        return await self._client.create_container(
            ContainerOptions(
                image=self._image,
                command=("true",),
                labels=self._labels.of("filler"),
                mounts=(VolumeMount(name, "/code", read_only=False),),
            )
        )
