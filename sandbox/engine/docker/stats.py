"""A container's memory as the engine tells it, where its control group cannot be seen."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from sandbox.errors import EngineError

if TYPE_CHECKING:
    from sandbox.engine.docker.client import DockerClient
    from sandbox.tasks import TaskOwner

#: How often the engine is asked, seconds.
SAMPLE_S = 1.0


class EngineStats:
    """The highest memory use that was sampled: the best there is with a rootless engine, another
    cgroup layout or an engine elsewhere.

    The engine is asked in the background, so a figure may be as old as the sampling interval, and
    a peak between two samples is missed.
    """

    def __init__(self, client: DockerClient, container_id: str, tasks: TaskOwner) -> None:
        self._client = client
        self._container_id = container_id
        self._tasks = tasks
        self._loop = asyncio.get_running_loop()
        self._peak = 0
        self._asked_at = float("-inf")

    def peak(self) -> int:
        """Bytes; 0 before the first answer."""
        if self._loop.time() - self._asked_at >= SAMPLE_S:
            self._asked_at = self._loop.time()
            self._tasks.start(self._sample())
        return self._peak

    async def _sample(self) -> None:
        with contextlib.suppress(EngineError):  # it is gone: the last figure stands
            self._peak = max(self._peak, await self._client.memory(self._container_id))
