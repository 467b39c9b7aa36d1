"""Disks for the ``/tmp`` of instances: loop devices on sparse files, made ahead.

They lie in a volume of their own on the engine's machine. Only the kernel's side needs rights, and
only one small program has them: ``init --disks`` (``init/disks.c``), which runs once in a container
of its own, makes and lets go of many disks at a time, and ends. The engine mounts a disk when it
starts the container that has it, as a volume of the type ext4.

A disk that is mounted is let go of by the next run: then device and space are the kernel's to give
back, when the instance's container is gone. What is not mounted is let go of by the next start.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from sandbox.engine.docker.options import ContainerOptions, VolumeMount
from sandbox.engine.docker.removal import remove, remove_container
from sandbox.errors import EngineError
from sandbox.tasks import TaskOwner

if TYPE_CHECKING:
    from sandbox.engine.docker.client import DockerClient
    from sandbox.engine.docker.image import InstanceImage
    from sandbox.engine.docker.labels import Labels

log = structlog.get_logger()

#: The first process of every instance, in the image (``Dockerfile.centos7``).
INIT = "/.scf/init"
#: The role of the volume with the files, and of the containers that make the disks.
ROLE = "disks"
#: The role of a mounted disk's volume.
MOUNT_ROLE = "tmp"
DIRECTORY = "/disks"
TARGET = "/tmp"
#: So many wait to be used. Each takes 100 KB of disk.
MOST_READY = 32
#: So many are made before anything else can begin.
FIRST = 4
#: As long as there are more than these, new ones can wait: a run takes as long as a few starts.
SHORT = 8
#: Made no sooner than this after one was used, unless they run short: many are made at once as
#: easily as one. Seconds.
REST_S = 10.0
#: After a run that failed, seconds.
RETRY_S = 30.0
#: What an init that does not know of disks exits with (``init/init.h``).
OLDER_INIT = 112
#: What it begins a line for people with.
INIT_SAYS = "[init] "
#: How long one run may take on a machine at its limit, seconds.
PATIENCE_S = 60.0
#: Nothing in it outlives the instance: it need not be safe on the disk, nor often be written to it.
MOUNT_OPTIONS = "nosuid,nodev,noatime,barrier=0,data=writeback,commit=300"
#: All that it may do: make a node of a loop device, or of their control device, and use it.
DEVICES = ("b 7:* rwm", "c 10:237 rwm")
MEMORY_MB = 32
PIDS = 32


@dataclass(frozen=True, slots=True)
class Disk:
    """A file, a loop device and a volume, for one instance."""

    id: str
    volume: str
    labels: dict[str, str]
    options: dict[str, str]

    @property
    def mount(self) -> VolumeMount:
        """Where the instance has it."""
        return VolumeMount(
            self.volume, TARGET, read_only=False, labels=self.labels, options=self.options
        )


class Disks:
    """The disks of one engine: makes them ahead, and lets go of those that are in use or over."""

    def __init__(self, client: DockerClient, labels: Labels, image: InstanceImage) -> None:
        """Nothing is made yet."""
        self._client = client
        self._labels = labels
        self._image = image
        self._volume = f"scf-{labels.installation}-disks-{secrets.token_hex(4)}"
        self._label = label_of(labels.installation)
        self._ready: deque[Disk] = deque()
        #: Those that somebody has, and that are not known to be mounted yet.
        self._let: set[str] = set()
        #: Those that the last run has made or kept.
        self._kept: frozenset[str] = frozenset()
        self._runs = asyncio.Lock()
        self._wanted = asyncio.Event()
        self._short = asyncio.Event()
        self._tending = TaskOwner()
        #: Volumes that are made or removed, and runs: they come to their end.
        self._work = TaskOwner()

    async def open(self) -> None:
        """Make the first ones and try one. ``EngineError`` says why there can be none."""
        async with self._runs:
            await self._work.finish(self._refill(FIRST))
        await self._try(await self.take())
        self._tending.start(self._tend())

    async def take(self) -> Disk:
        """A disk with nothing on it, for one container that is to be made."""
        while not self._ready:
            async with self._runs:
                if not self._ready:
                    await self._work.finish(self._refill(MOST_READY))
        disk = self._ready.popleft()
        self._let.add(disk.id)
        self._wanted.set()
        if len(self._ready) <= SHORT and not self._runs.locked():
            self._short.set()
        return disk

    def mounted(self, disk: Disk) -> None:
        """Its container runs. From here on the kernel keeps the disk, as long as it does."""
        self._let.discard(disk.id)

    def give_back(self, disk: Disk) -> None:
        """Its container is gone, or was never made."""
        self._let.discard(disk.id)
        self._work.start(remove("volume", disk.volume, self._client.remove_volume))
        if disk.id in self._kept:
            self._wanted.set()

    async def close(self) -> None:
        """Make no more, and let go of all, an earlier run's too. What is mounted goes with its
        container."""
        await self._tending.cancel()
        await self._work.drain()
        self._ready.clear()
        self._let.clear()
        for container in await self._client.container_ids(*self._labels.find(ROLE)):
            await remove_container(self._client, container)
        if self._kept or await self._client.volume_names(*self._labels.find(ROLE)):
            try:
                await self._run(())
            except EngineError as error:
                log.warning("disks_not_let_go", error=error.message)

    async def sweep(self) -> None:
        """After ``close``, and when the instances are gone: remove all that is in the engine."""
        await self._work.drain()
        names = await self._client.volume_names(*self._labels.find(MOUNT_ROLE))
        await asyncio.gather(
            *(remove("volume", name, self._client.remove_volume) for name in names)
        )
        for name in await self._client.volume_names(*self._labels.find(ROLE)):
            await remove("volume", name, self._client.remove_volume)

    async def _tend(self) -> None:
        while True:
            await self._wanted.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(REST_S):
                    await self._short.wait()
            try:
                async with self._runs:
                    await self._work.finish(self._refill(MOST_READY))
            except EngineError as error:
                log.warning("disks_not_made", error=error.message)
                await asyncio.sleep(RETRY_S)
                self._wanted.set()

    async def _refill(self, most: int) -> None:
        """One run: ``most`` are ready then, and what is mounted is let go of. One at a time: what
        a second one makes meanwhile would be let go of."""
        self._wanted.clear()
        self._short.clear()
        keep = [*self._let, *(disk.id for disk in self._ready)]
        make = [secrets.token_hex(8) for _ in range(most - len(self._ready))]
        devices = await self._run((*(f"={kept}" for kept in keep), *(f"+{new}" for new in make)))
        self._kept = frozenset((*keep, *devices))
        disks = [self._disk(new, device) for new, device in devices.items()]
        try:
            await asyncio.gather(
                *(
                    self._client.create_volume(disk.volume, disk.labels, disk.options)
                    for disk in disks
                )
            )
        except EngineError:
            for disk in disks:
                self.give_back(disk)
            raise
        self._ready.extend(disks)

    def _disk(self, id: str, device: str) -> Disk:
        return Disk(
            id,
            f"scf-{self._labels.installation}-tmp-{id}",
            self._labels.of(MOUNT_ROLE),
            {"type": "ext4", "device": device, "o": MOUNT_OPTIONS},
        )

    async def _run(self, wanted: tuple[str, ...]) -> dict[str, str]:
        """The devices of the disks that were made, by the disks' ids."""
        command = (INIT, "--disks", DIRECTORY, self._label, *wanted)
        mount = VolumeMount(self._volume, DIRECTORY, read_only=False, labels=self._labels.of(ROLE))
        said = await self._program(command, mount, user="root", privileged=True)
        lines = said.splitlines()
        for line in lines:
            if line.startswith(INIT_SAYS):
                log.warning("disk_not_let_go", said=line.removeprefix(INIT_SAYS))
        return dict(line.split(" ", 1) for line in lines if not line.startswith(INIT_SAYS))

    async def _try(self, disk: Disk) -> None:
        """Whether the engine can mount it, and an instance write it."""
        try:
            await self._program((INIT, "--disk-check"), disk.mount, user="qcloud", privileged=False)
        finally:
            self.give_back(disk)

    async def _program(
        self, command: tuple[str, ...], mount: VolumeMount, *, user: str, privileged: bool
    ) -> str:
        """What init says in a container of its own, to its end. ``privileged`` gives it what disks
        are made with."""
        container = await self._image.create(
            ContainerOptions(
                image=self._image.id,
                command=command,
                labels=self._labels.of(ROLE),
                user=user,
                mounts=(mount,),
                network_mode="none",
                read_only=True,
                memory_mb=MEMORY_MB,
                pids=PIDS,
                unprivileged=True,
                capabilities=("MKNOD",) if privileged else (),
                device_rules=DEVICES if privileged else (),
                log_files=1,
            )
        )
        try:
            await self._client.start_container(container)
            async with asyncio.timeout(PATIENCE_S):
                code = await self._client.wait(container)
            said = await self._client.output(container)
        except TimeoutError as error:
            raise EngineError(
                f"the container that makes disks for /tmp did not end within {PATIENCE_S:.0f} s"
            ) from error
        finally:
            self._work.start(remove_container(self._client, container))
        if code == OLDER_INIT:
            raise EngineError(
                f"no disks for /tmp can be made: the init of {self._image.name} is older than the"
                " sandbox; build the image again (scripts/images and docker compose build do)"
            )
        if code:
            raise EngineError(
                f"no disks for /tmp can be made ({said.strip() or f'exit code {code}'}): see that"
                " the engine's machine has room on its disk and loop devices, or set SCF_TMP=memory"
            )
        return said


def label_of(installation: str) -> str:
    """What the names of its loop devices begin with. The kernel keeps 63 characters of a name."""
    return f"scf:{hashlib.sha256(installation.encode()).hexdigest()[:24]}"
