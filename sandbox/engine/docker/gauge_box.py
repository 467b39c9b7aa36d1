"""Where instances in containers post their gauges: a directory that is mounted into each."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import structlog

from sandbox.engine.docker.lent_port import MEETING
from sandbox.engine.docker.options import ContainerOptions, VolumeMount
from sandbox.engine.docker.own_container import own_container_id
from sandbox.engine.docker.removal import remove_container
from sandbox.engine.gauge import GaugeBox
from sandbox.errors import EngineError

if TYPE_CHECKING:
    from sandbox.engine.docker.client import DockerClient
    from sandbox.engine.docker.image import InstanceImage
    from sandbox.engine.docker.labels import Labels
    from sandbox.settings import Settings

log = structlog.get_logger()

TARGET = "/.scf/run"
BOX = "box"


class MountedBox:
    """The box of one engine. Without one, an instance is asked for each of its borders."""

    def __init__(
        self, client: DockerClient, labels: Labels, image: InstanceImage, settings: Settings
    ) -> None:
        self.box: GaugeBox | None = None
        #: What an instance needs to reach the box.
        self.mounts: tuple[VolumeMount, ...] = ()
        self.environment: dict[str, str] = {}
        self._client = client
        self._labels = labels
        self._image = image
        self._settings = settings

    async def open(self) -> None:
        """Open it where it can be seen from both sides. Never fails."""
        if sys.platform != "linux":
            return
        own = await asyncio.to_thread(own_container_id)
        try:
            if own:
                await self._open_in_container(own)
            else:
                await self._open_on_machine()
        except (EngineError, OSError) as error:
            log.info("gauges_unavailable", reason=str(error))
            self.close()

    async def _open_in_container(self, own: str) -> None:
        """In a volume, whichever network the control plane's container has."""
        volumes = (await self._client.container_facts(own)).volumes
        if volume := volumes.get(str(MEETING)):
            box = self.box = await asyncio.to_thread(GaugeBox, MEETING / BOX)
            self._is_seen_at(VolumeMount(volume, TARGET), f"{TARGET}/{BOX}/{box.name}")

    async def _open_on_machine(self) -> None:
        """In the data directory, below a directory that no other user enters."""
        private = (self._settings.data_dir / "run").absolute()
        await asyncio.to_thread(private.mkdir, mode=0o700, parents=True, exist_ok=True)
        await asyncio.to_thread(private.chmod, 0o700)
        box = self.box = await asyncio.to_thread(GaugeBox, private / BOX)
        mount = VolumeMount(str(private / BOX), TARGET)
        await self._try(mount)
        self._is_seen_at(mount, f"{TARGET}/{box.name}")

    async def _try(self, mount: VolumeMount) -> None:
        """``EngineError`` where the engine's machine has no such directory."""
        tried = await self._image.create(
            ContainerOptions(
                image=self._image.id,
                command=("true",),
                labels=self._labels.of("filler"),
                mounts=(mount,),
                network_mode="none",
                unprivileged=True,
            )
        )
        await remove_container(self._client, tried)

    def _is_seen_at(self, mount: VolumeMount, path: str) -> None:
        self.mounts, self.environment = (mount,), {"SCF_INIT_MEETING": path}

    def close(self) -> None:
        """Instances may go on without it."""
        if self.box is not None:
            self.box.close()
            self.box = None
