"""The image that instances start from: which one now, what it is, and which one is on its way.

Instances are made from an image's id, so a tag that is set anew changes nothing under a running
sandbox. Two things change the id, and the log says so: the image is gone, and its name leads to
another one; or its fuller variant is there (``scripts/images``), and it was built of the same.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from sandbox.errors import EngineError, EngineErrorKind
from sandbox.tasks import TaskOwner

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.engine.base import EngineInfo
    from sandbox.engine.docker.client import DockerClient, ImageFacts
    from sandbox.engine.docker.options import ContainerOptions

log = structlog.get_logger()

#: What an image is built on: its label of ``Dockerfile.centos7``.
CENTOS, STAND_IN = "centos", "stand-in"
#: Tags are ``<variant>-<recipe>``. Of one recipe the full variant comes after the quick one.
QUICK, FULL = "quick-", "full-"
#: While a build goes on, a volume without content carries these labels (``scripts/lib.sh``).
BUILD_ROLE = "scf-sandbox.role=image-build"
BUILD_PROGRESS = "scf-sandbox.progress"
#: How often it is looked whether the full variant is there, seconds.
LOOK_EVERY_S = 10.0


@dataclass(frozen=True, slots=True)
class System:
    """What an image has of CentOS 7.6, as its labels say."""

    base: str
    abi_parity: bool
    tools_parity: bool
    differences: tuple[str, ...]
    note: str


def system_of(labels: dict[str, str], name: str) -> System:
    """``name`` is the image's, for people. What no label tells is not claimed."""
    base = labels.get("scf-sandbox.base", "unknown")
    if base == CENTOS:
        return System(base, abi_parity=True, tools_parity=True, differences=(), note="")
    if base != STAND_IN:
        note = (
            f"functions run in {name}, which is not known to be CentOS 7.6: neither its binary"
            " interface nor its tools were compared"
        )
        return System(base, abi_parity=False, tools_parity=False, differences=(), note=note)
    told = labels.get("scf-sandbox.differences", "")
    differences = tuple(part.strip() for part in told.split(";") if part.strip())
    note = (
        f"functions run in a stand-in for CentOS 7.6 ({labels.get('scf-sandbox.variant', '')}): its"
        " binary interface is that of CentOS 7.6 (glibc 2.17, libstdc++ 6.0.19), its tools are"
        f" others: {', '.join(differences) or 'their versions are not told'}"
    )
    return System(base, abi_parity=True, tools_parity=False, differences=differences, note=note)


class InstanceImage:
    """Makes containers of the image, and keeps ``EngineInfo`` true about it."""

    id: str

    def __init__(self, client: DockerClient, name: str) -> None:
        self._client = client
        self.name = name
        self.id = ""
        self._system = system_of({}, name)
        self._fuller = ""
        self._tell: Callable[[EngineInfo], None] = lambda info: None
        self._info: EngineInfo
        self._watch = TaskOwner()

    async def open(self, info: EngineInfo, tell: Callable[[EngineInfo], None]) -> None:
        """``NO_IMAGE`` when it is not there. ``tell`` hears ``info`` with what the image is, now
        and whenever that changes."""
        self._info, self._tell = info, tell
        self._take(await self._client.image(self.name))
        if self._fuller:
            await self.look()
            self._watch.start(self._keep_looking())

    async def close(self) -> None:
        """Look for nothing any more."""
        await self._watch.cancel()

    async def create(self, options: ContainerOptions) -> str:
        """The id of a container of this image, whatever image the options name."""
        try:
            return await self._client.create_container(replace(options, image=self.id))
        except EngineError as error:
            if error.kind is not EngineErrorKind.NO_IMAGE:
                raise
            lost, found = self.id, await self._client.image(self.name)
            if found.id == lost:
                raise
            log.warning("instance_image_lost", lost=lost, image=self.name, id=found.id)
            self._take(found)
            return await self._client.create_container(replace(options, image=self.id))

    async def look(self) -> None:
        """Take the full variant where it is there; otherwise see how far its build has come."""
        try:
            found = await self._client.image(self._fuller)
        except EngineError as error:
            if error.kind is not EngineErrorKind.NO_IMAGE:
                raise
            self._tell_of(await self._progress())
            return
        before, self.name = self.name, self._fuller
        log.info("instance_image_changed", before=before, image=self.name, id=found.id)
        self._take(found)

    def _take(self, found: ImageFacts) -> None:
        self.id = found.id
        self._fuller = fuller_of(self.name, found.tags)
        self._system = system_of(found.labels, self.name)
        self._tell_of("")

    def _tell_of(self, coming: str) -> None:
        system = self._system
        info = replace(
            self._info,
            image=self.name,
            base=system.base,
            abi_parity=system.abi_parity,
            tools_parity=system.tools_parity,
            differences=system.differences,
            note=system.note,
            coming=coming,
            details={**self._info.details, "image": self.id},
        )
        if info != self._info:
            self._info = info
            self._tell(info)

    async def _keep_looking(self) -> None:
        while self._fuller:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await self.look()
            except EngineError as error:  # whoever needs the engine says that it is away
                log.debug("instance_image_not_looked_for", error=error.message)

    async def _progress(self) -> str:
        """What the build of the full variant says of itself; empty where there is none."""
        for labels in await self._client.volume_labels(BUILD_ROLE):
            if said := labels.get(BUILD_PROGRESS, ""):
                return said
        return ""


def fuller_of(name: str, tags: tuple[str, ...]) -> str:
    """The name that the full variant of a quick image has; empty where this is no quick image.

    ``tags`` are all names of the image, and ``name`` is the one by which it was found.
    """
    for known in (name, *tags):
        repository, _, tag = known.rpartition(":")
        if tag.startswith(QUICK) and repository:
            return f"{repository}:{FULL}{tag.removeprefix(QUICK)}"
    return ""
