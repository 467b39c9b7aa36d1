"""Code and layers as named volumes, one per digest, filled once."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from typing import TYPE_CHECKING

import structlog

from sandbox.engine.artifacts import Artifacts, layers_key
from sandbox.engine.docker.options import ContainerOptions, VolumeMount
from sandbox.engine.docker.packing import Packing
from sandbox.engine.docker.removal import remove, remove_container
from sandbox.errors import EngineError, EngineErrorKind, PlatformError
from sandbox.tasks import TaskOwner

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from sandbox.engine.docker.client import DockerClient
    from sandbox.engine.docker.image import InstanceImage
    from sandbox.engine.docker.labels import Labels
    from sandbox.packages.package import Package, PackageStore

log = structlog.get_logger()

#: The label of a volume's mark.
MARK = "scf-sandbox.made"
#: A volume's name ends with so much of its key: 128 bits of a digest.
KEY_CHARS = 32


class CodeVolumes(Artifacts[str]):
    """A volume for each package, and for each combination of layers.

    Filled through a container that is never started, so that it works the same from the host, from
    a container, with Docker Desktop and with a remote engine.

    A volume is held only while a container is being made: then the engine itself keeps it. Before,
    somebody may remove it (``docker volume prune``), and the engine makes it anew with the
    container: empty, with the labels of the mount. So each filled volume has a mark among its
    labels, and a mount has another one.
    """

    def __init__(
        self, client: DockerClient, labels: Labels, image: InstanceImage, packages: PackageStore
    ) -> None:
        super().__init__()
        self._client = client
        self._labels = labels
        self._image = image
        self._packages = packages
        #: The containers that will fill a volume, begun before there is a package; by its key.
        self._begun: dict[str, asyncio.Future[str]] = {}
        #: Containers that have filled a volume and are being removed, by the volume's key.
        self._leaving: dict[str, asyncio.Task[bool]] = {}
        self._removals = TaskOwner()
        #: The mark of each volume that was filled, by its key.
        self._marks: dict[str, str] = {}
        #: How many were lost so far.
        self._losses = 0

    def expect(self, digest: str) -> None:
        """Begin with a package's volume before its content is known to be good."""
        if digest not in self._made and digest not in self._begun:
            self._begun[digest] = asyncio.ensure_future(self._filler(digest))

    def take(self, package: Package) -> None:
        """Begin to fill a package's volume while the package is still being kept."""
        digest = package.ref.digest
        self._begin(digest, lambda: self._fill(digest, package.write_tar))

    async def mounts(self, digest: str, layers: tuple[str, ...]) -> list[VolumeMount]:
        """What an instance has at ``/var/user`` and ``/opt``; waits until it is there."""
        labels = self._labels.of("code", made=f"empty-{self._losses}")
        found = [VolumeMount(await self.code(digest), "/var/user", labels=labels)]
        if layers:
            found.append(VolumeMount(await self.layers(layers), "/opt", labels=labels))
        return found

    async def mounted(self, digest: str, layers: tuple[str, ...]) -> None:
        """A container with these ``mounts`` is made: fill what the engine has made anew."""
        await self._see(digest)
        await self.code(digest)
        if layers:
            await self._see(layers_key(layers))
            await self.layers(layers)

    async def _see(self, key: str) -> None:
        found = await self._client.labels_of_volume(self._place(key))
        mark = found.get(MARK, "")
        if mark != self._marks.get(key):
            log.warning("code_volume_lost", volume=self._place(key))
            self._marks[key] = mark
            self._losses += 1
            self.lost(key)

    async def settled(self) -> None:
        """Wait until nothing is being made or removed."""
        begun = self._begun.values()
        await asyncio.gather(super().settled(), *begun, return_exceptions=True)
        await self._removals.drain()

    async def sweep(self) -> None:
        """Remove every code volume of this installation."""
        self._leaving.clear()
        self._begun.clear()
        self._made.clear()
        self._marks.clear()
        for name in await self._client.volume_names(*self._labels.find("code")):
            await remove("volume", name, self._client.remove_volume)

    def _place(self, key: str) -> str:
        return f"scf-{self._labels.installation}-code-{key[:KEY_CHARS]}"

    async def _make_code(self, digest: str) -> None:
        await self._fill(digest, lambda out: self._packages.open(digest).write_tar(out))

    async def _make_layers(self, key: str, digests: tuple[str, ...]) -> None:
        await self._fill(key, lambda out: self._packages.write_merged(digests, out))

    async def _drop(self, key: str) -> None:
        if begun := self._begun.pop(key, None):
            with contextlib.suppress(PlatformError):
                await remove_container(self._client, await begun)
        if leaving := self._leaving.pop(key, None):
            await asyncio.wait({leaving})
        try:
            await self._client.remove_volume(self._place(key))
        except EngineError as error:
            if error.kind is not EngineErrorKind.GONE:
                raise

    async def _fill(self, key: str, write: Callable[[BinaryIO], None]) -> None:
        with Packing(write) as pieces:
            filler = await (self._begun.pop(key, None) or self._filler(key))
            try:
                await self._client.put_archive(filler, "/code", pieces)
            finally:
                # The code is there: nobody has to wait until its container is gone again.
                self._leaving[key] = self._removals.start(remove_container(self._client, filler))

    async def _filler(self, key: str) -> str:
        """A container that is never started, with an empty volume for that key."""
        name = self._place(key)
        labels = self._labels.of("code", made=secrets.token_hex(8))
        self._marks[key] = (await self._client.create_volume(name, labels)).get(MARK, "")
        return await self._image.create(
            ContainerOptions(
                image=self._image.id,
                command=("true",),
                labels=self._labels.of("filler"),
                mounts=(VolumeMount(name, "/code", read_only=False),),
            )
        )
