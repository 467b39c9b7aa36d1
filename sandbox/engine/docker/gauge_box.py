"""Where instances in containers post their gauges: a directory that is mounted into each."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import structlog

from sandbox.engine.docker.lent_port import MEETING
from sandbox.engine.docker.options import VolumeMount
from sandbox.engine.gauge import SOCKET, GaugeBox

if TYPE_CHECKING:
    from sandbox.engine.docker.client import DockerClient
    from sandbox.settings import Settings

log = structlog.get_logger()

TARGET = "/.scf/run"


class MountedBox:
    """The box of one engine. Without one, an instance is asked for each of its borders."""

    def __init__(self, client: DockerClient, settings: Settings) -> None:
        self.box: GaugeBox | None = None
        #: What an instance needs to reach the box.
        self.mounts: tuple[VolumeMount, ...] = ()
        self.environment: dict[str, str] = {}
        self._client = client
        self._settings = settings

    async def open(self) -> None:
        """Open it where it can be seen from both sides. Never fails."""
        if self._settings.control_container:
            own = await self._client.container_facts(socket.gethostname())
            directory, source = MEETING, own.volumes.get(str(MEETING), "")
        else:
            directory = (self._settings.data_dir / "run").absolute()
            source = str(directory)
        if not source:
            return
        try:
            self.box = await asyncio.to_thread(GaugeBox, directory)
        except OSError as error:
            log.warning("gauges_unavailable", directory=str(directory), error=str(error))
            return
        self.mounts = (VolumeMount(source, TARGET),)
        self.environment = {"SCF_INIT_MEETING": f"{TARGET}/{SOCKET}"}

    def close(self) -> None:
        """Instances may go on without it."""
        if self.box is not None:
            self.box.close()
            self.box = None
