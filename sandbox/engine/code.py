"""Code and layers as named volumes, one per digest, filled once."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import tempfile
from typing import TYPE_CHECKING, Any

import structlog

from sandbox.errors import EngineError, PlatformError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO, BinaryIO

    from sandbox.engine.docker import DockerEngine
    from sandbox.package import PackageStore

log = structlog.get_logger()

SPOOL_BYTES = 16 * 1024 * 1024


class CodeVolumes:
    """Makes a volume per package digest, and one per combination of layers.

    Filled through a container that is never started, so that it works the same from the host, from
    a container, with Docker Desktop and with a remote engine.
    """

    def __init__(self, engine: DockerEngine, image: str, packages: PackageStore) -> None:
        self._engine = engine
        self._image = image
        self._packages = packages
        self._volumes: dict[str, asyncio.Future[str]] = {}
        self._merged: dict[str, tuple[str, ...]] = {}
        #: Containers that have filled a volume and are being removed, by the volume's key.
        self._leaving: dict[str, asyncio.Future[None]] = {}

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
        """Remove a package's volume, and those that it was merged into, if they are there and not
        in use."""
        merged = [key for key, digests in self._merged.items() if digest in digests]
        for key in (digest[:32], *merged):
            self._merged.pop(key, None)
            pending = self._volumes.pop(key, None)
            if pending is not None:
                with contextlib.suppress(PlatformError):
                    name = await pending
                    if leaving := self._leaving.pop(key, None):
                        await leaving
                    await self._remove(name)

    async def sweep(self, filters: dict[str, Any]) -> None:
        """Remove every code volume of this installation."""
        await asyncio.gather(*self._leaving.values())
        self._leaving.clear()
        self._volumes.clear()
        found = await self._engine.run(
            self._engine.client.volumes,
            filters={"label": [*filters["label"], "scf-sandbox.role=code"]},
        )
        for volume in found["Volumes"] or []:
            await self._remove(volume["Name"])

    async def _volume(self, key: str, write: Callable[[BinaryIO], None]) -> str:
        pending = self._volumes.get(key)
        if pending is None:
            name = f"scf-{self._engine.labels.installation}-code-{key}"
            pending = asyncio.ensure_future(self._fill(key, name, write))
            self._volumes[key] = pending
        try:
            return await asyncio.shield(pending)
        except PlatformError:  # the engine's fault, or a package that cannot be read
            if self._volumes.get(key) is pending:
                del self._volumes[key]
            raise

    async def _fill(self, key: str, name: str, write: Callable[[BinaryIO], None]) -> str:
        """Both cores: the engine makes volume and container while we make the archive."""
        run, client = self._engine.run, self._engine.client
        made, written = await asyncio.gather(
            run(self._make_filler, name), run(_archive, write), return_exceptions=True
        )
        try:
            if isinstance(made, BaseException):
                raise made
            if isinstance(written, BaseException):
                raise written
            await run(client.put_archive, made, "/code", written)
        finally:
            if not isinstance(written, bytes | BaseException):
                written.close()
            if isinstance(made, str):
                # The code is there: nobody has to wait until its container is gone again.
                self._leaving[key] = asyncio.ensure_future(self._engine.remove_container(made))
        return name

    def _make_filler(self, name: str) -> str:
        client, labels = self._engine.client, self._engine.labels
        client.create_volume(name, labels=labels.of("code"))
        filler: str = client.create_container(
            self._image,
            command=["true"],
            labels=labels.of("filler"),
            host_config=client.create_host_config(binds={name: {"bind": "/code", "mode": "rw"}}),
        )["Id"]
        return filler

    async def _remove(self, name: str) -> None:
        try:
            await self._engine.run(self._engine.client.remove_volume, name, force=True)
        except EngineError as error:
            log.warning("volume_not_removed", volume=name, error=error.message)


def _archive(write: Callable[[BinaryIO], None]) -> bytes | IO[bytes]:
    """What ``write`` writes: as bytes, which are sent at once, or in a file if that is large."""
    tar = tempfile.SpooledTemporaryFile(SPOOL_BYTES)  # noqa: SIM115 - for whoever called
    try:
        write(tar)  # type: ignore[arg-type]
    except BaseException:
        tar.close()
        raise
    size = tar.tell()
    tar.seek(0)
    if size > SPOOL_BYTES:
        return tar
    with tar:
        return tar.read()
