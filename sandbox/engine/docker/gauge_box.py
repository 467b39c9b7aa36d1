"""Where instances in containers post their gauges: a directory that is mounted into each."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from sandbox.engine.docker.lent_port import MEETING
from sandbox.engine.docker.options import VolumeMount
from sandbox.engine.gauge import SOCKET, GaugeBox
from sandbox.errors import EngineError

if TYPE_CHECKING:
    from sandbox.engine.docker.client import DockerClient
    from sandbox.settings import Settings

log = structlog.get_logger()

TARGET = "/.scf/run"
MOUNTS = Path("/proc/self/mountinfo")
#: Files that an engine mounts into each container are kept below the container's id.
OWN_ID = re.compile(r"/containers/([0-9a-f]{64})/")


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
        directory, source = await self._place()
        if not source:
            return
        try:
            self.box = await asyncio.to_thread(GaugeBox, directory)
        except OSError as error:
            log.warning("gauges_unavailable", directory=str(directory), error=str(error))
            return
        self.mounts = (VolumeMount(source, TARGET),)
        self.environment = {"SCF_INIT_MEETING": f"{TARGET}/{SOCKET}"}

    async def _place(self) -> tuple[Path, str]:
        """A directory of ours, and its name for the engine. In a container, whichever network it
        has, that is a volume."""
        own = OWN_ID.search(await asyncio.to_thread(_mounts))
        if own is not None:
            with suppress(EngineError):  # the engine that runs us is another one
                facts = await self._client.container_facts(own[1])
                return MEETING, facts.volumes.get(str(MEETING), "")
        directory = (self._settings.data_dir / "run").absolute()
        return directory, str(directory)

    def close(self) -> None:
        """Instances may go on without it."""
        if self.box is not None:
            self.box.close()
            self.box = None


def _mounts() -> str:
    try:
        return MOUNTS.read_text()
    except OSError:
        return ""
