"""One instance's container: its names and its end. The rest is its init's (``InitLink``)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sandbox.engine.docker.removal import remove_container
from sandbox.engine.init_link import InitLink

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.engine.base import Sink
    from sandbox.engine.docker.client import DockerClient
    from sandbox.engine.docker.disks import Disk


class DockerContainer(InitLink):
    """A ``Container`` (see ``engine.base``), from its creation to its removal.

    ``container_id`` is empty until it is created. ``left`` is called when it is removed,
    with True if the engine says that it is gone: its network end is free then.
    """

    def __init__(
        self,
        client: DockerClient,
        runtime_host: str,
        peer: str,
        node: str,
        *,
        sink: Sink,
        heard: Callable[[], None],
        left: Callable[[bool], None],
    ) -> None:
        super().__init__(sink, heard)
        self.container_id = ""
        self.runtime_host = runtime_host
        self.peer = peer
        self.node = node
        self.disk: Disk | None = None
        self._client = client
        self._left = left
        self._destroying: asyncio.Task[bool] | None = None
        self._gone = False

    async def destroy(self) -> bool:
        if self._destroying is None or (self._destroying.done() and not self._gone):
            self._destroying = asyncio.ensure_future(self._destroy())
        return await asyncio.shield(self._destroying)

    async def _destroy(self) -> bool:
        self.quit()
        gone = not self.container_id
        try:
            if not gone:
                gone = await remove_container(self._client, self.container_id)
        finally:
            self.hang_up()
            self._gone = gone
            self._left(gone)
        return gone
