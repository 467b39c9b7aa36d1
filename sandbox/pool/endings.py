"""Ends the containers of instances that were stopped."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from sandbox.errors import SandboxError

if TYPE_CHECKING:
    from sandbox.engine.base import Container

log = structlog.get_logger()

#: Removing containers keeps the engine busy. When many instances stop at once (many timeouts), that
#: would delay the answers of the last ones. So a removal waits until no instance has been stopped
#: for the first figure, and never longer than the second. Seconds.
CALM_S = 0.02
CALM_WITHIN_S = 0.2
#: What the engine could not end is tried again after the first pause, which doubles up to the
#: second. Seconds.
AGAIN_S = 1.0
AGAIN_MAX_S = 30.0


class Endings:
    """Single-threaded."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._stopped_at = 0.0
        self._closing = asyncio.Event()

    def stopped(self) -> None:
        """An instance was stopped: its answer goes first."""
        self._stopped_at = self._loop.time()

    def hurry(self) -> None:
        """The sandbox stops: wait for nothing, and try nothing again."""
        self._closing.set()

    async def end(self, container: Container) -> None:
        """Returns when nothing of it is left. So an engine that is away has its memory counted
        until it is back."""
        try:
            await self._calm()
            pause = AGAIN_S
            while not await container.destroy() and not await self._closed_within(pause):
                pause = min(2 * pause, AGAIN_MAX_S)
        except SandboxError as error:
            log.error("instance_not_destroyed", error=error.message)
        except Exception:  # a task's boundary: any failure gives the memory back
            log.exception("instance_not_destroyed")

    async def _calm(self) -> None:
        """Wait until no instance has been stopped for a moment."""
        latest = self._loop.time() + CALM_WITHIN_S
        while (calm_in := min(self._stopped_at + CALM_S, latest) - self._loop.time()) > 0:
            if await self._closed_within(calm_in):
                return

    async def _closed_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._closing.wait(), seconds)
        except TimeoutError:
            return False
        return True
