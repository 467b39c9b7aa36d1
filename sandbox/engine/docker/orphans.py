"""Containers of the installation that nobody owns: found slowly, and removed.

They are what an answer that was lost has made, what could not be removed when it ended, and what
somebody brought back.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from sandbox.engine.docker.removal import remove_container
from sandbox.errors import EngineError
from sandbox.tasks import TaskOwner

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.engine.docker.client import DockerClient
    from sandbox.engine.docker.container import DockerContainer
    from sandbox.engine.docker.labels import Labels

log = structlog.get_logger()

#: One that is being made is nobody's for a moment: only who is that in two looks is an orphan.
#: Seconds.
LOOK_EVERY_S = 30.0
ROLES = ("instance", "place")


class Orphans:
    """Of one engine. ``owned`` gives the ids of the containers that somebody has."""

    def __init__(self, client: DockerClient, labels: Labels, owned: Callable[[], set[str]]) -> None:
        """It looks from ``open`` on."""
        self._client = client
        self._labels = labels
        self._owned = owned
        self._adopted: set[DockerContainer] = set()
        self._suspects: set[str] = set()
        self._looks = TaskOwner()

    def open(self) -> None:
        """Begin to look."""
        self._looks.start(self._keep_looking())

    def adopt(self, container: DockerContainer) -> None:
        """One that could not be removed, and whose maker has given it up."""
        self._adopted.add(container)

    async def close(self) -> None:
        """Look no more."""
        await self._looks.cancel()

    async def look(self) -> None:
        """Once. ``EngineError`` where the engine is away."""
        for container in tuple(self._adopted):
            if await container.destroy():
                self._adopted.discard(container)
        found: set[str] = set()
        for role in ROLES:
            found.update(await self._client.container_ids(*self._labels.find(role)))
        unowned = found - self._owned()
        for orphan in unowned & self._suspects:
            if await remove_container(self._client, orphan):
                log.warning("orphan_removed", container=orphan[:12])
        self._suspects = unowned

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await self.look()
            except EngineError as error:  # whoever needs the engine says that it is away
                log.debug("orphans_not_looked_for", error=error.message)
