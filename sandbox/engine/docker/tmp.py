"""What is behind an instance's ``/tmp``: a disk of its own, or memory where there can be none.

The platform's ``/tmp`` is a disk beside the memory: files there are not the function's memory
(contract 2.2). Where the engine's machine has loop devices for us it is one here too, and
MemorySize is the kernel's limit. Elsewhere it is a tmpfs, the kernel's limit is MemorySize and the
whole of ``/tmp`` together, and init keeps MemorySize (``init/memory.c``): it looks, so it may come
late.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from sandbox import limits
from sandbox.engine.docker.disks import INIT, Disks
from sandbox.errors import EngineError

if TYPE_CHECKING:
    from sandbox.engine.docker.client import DockerClient
    from sandbox.engine.docker.disks import Disk
    from sandbox.engine.docker.image import InstanceImage
    from sandbox.engine.docker.labels import Labels
    from sandbox.settings import Settings

log = structlog.get_logger()

DISK = "disk: 512 MB for each instance, beside its memory; MemorySize is kept by the kernel"
MEMORY = (
    "memory: 512 MB for each instance, beside its memory and in the budget; MemorySize is kept by"
    " looking every 5 to 50 ms"
)


class Tmp:
    """The ``/tmp`` of all instances of one engine. Which way is chosen once, in ``open``."""

    def __init__(
        self, client: DockerClient, labels: Labels, image: InstanceImage, settings: Settings
    ) -> None:
        """Neither way is chosen yet."""
        self._wanted = settings.tmp
        self.disks = Disks(client, labels, image)
        self.on_disk = False
        #: For people: which way, how exact, and why not the better one.
        self.note = MEMORY

    @property
    def beside_mb(self) -> int:
        """The memory that an instance may take beside its MemorySize, MB."""
        return 0 if self.on_disk else limits.TMP_BYTES // limits.MIB

    async def open(self) -> None:
        """Choose. ``EngineError`` where the settings ask for a disk and there can be none."""
        if self._wanted != "memory":
            try:
                await self.disks.open()
            except EngineError as error:
                if self._wanted == "disk":
                    raise
                log.warning("tmp_in_memory", reason=error.message)
                self.note = f"{MEMORY} ({error.message})"
            else:
                self.on_disk, self.note = True, DISK
        if not self.on_disk:
            await self.disks.close()
            await self.disks.sweep()

    async def take(self) -> Disk | None:
        """A disk for one container; None where ``/tmp`` is memory."""
        return await self.disks.take() if self.on_disk else None

    def started(self, disk: Disk | None) -> None:
        """The container with this disk runs."""
        if disk is not None:
            self.disks.mounted(disk)

    def give_back(self, disk: Disk | None) -> None:
        """The container with this disk is gone, or was never made."""
        if disk is not None:
            self.disks.give_back(disk)

    def command(self, memory_mb: int) -> tuple[str, ...]:
        """How an instance's init is started."""
        return (INIT,) if self.on_disk else (INIT, "--memory", str(memory_mb * limits.MIB))

    def tmpfs(self) -> dict[str, str]:
        """What of an instance lies in memory that looks like a disk."""
        return {} if self.on_disk else {"/tmp": f"size={limits.TMP_BYTES},mode=1777,exec"}
