"""Serves a control plane until it is asked to stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
from typing import TYPE_CHECKING

import structlog
import uvicorn
import uvloop

from api.app import Application
from api.process.exclusive import claim_directory, claim_port
from api.process.logging import configure_logging
from api.process.malloc import give_back_freed_memory, keep_freed_memory
from sandbox.control_plane import ControlPlane
from sandbox.errors import SandboxError
from sandbox.settings import read_settings
from sandbox.tasks import TaskOwner

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from api.process.stop import Stop
    from sandbox.settings import Settings

log = structlog.get_logger()


#: How long invocations may go on after the sandbox was asked to stop. Seconds.
GRACE_S = 5.0


class Server(uvicorn.Server):
    """uvicorn's server, without its signal handlers: they would end the process.

    It waits for every answer. So it ends first what would not end by itself: streams of the feed,
    and invocations that outlive the time of grace.
    """

    def __init__(self, config: uvicorn.Config, plane: ControlPlane) -> None:
        super().__init__(config)
        self._plane = plane

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no connection, end what runs, finish the answers, close every connection."""
        self._plane.feed.close()
        for server in self.servers:
            server.close()
        await self._plane.wind_down(GRACE_S)
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


async def serve(settings: Settings, listeners: list[socket.socket], stop: Stop) -> None:
    """Serve both ports until SIGTERM or SIGINT. Then end every instance and leave nothing behind.

    ``listeners`` are the control port's. A stop while it starts ends with ``CancelledError``.
    """
    loop, starting = asyncio.get_running_loop(), asyncio.current_task()
    assert starting is not None
    stop.begin_with(lambda: loop.call_soon_threadsafe(starting.cancel))
    async with ControlPlane(settings) as plane:
        application = Application(plane)
        await plane.open(application.runtime)
        application.policy.announce()
        _spare_the_collector()
        server = Server(
            uvicorn.Config(
                application.asgi,
                http=application.protocol,
                ws="none",
                lifespan="off",
                access_log=False,
                log_config=None,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=5,
            ),
            plane,
        )
        stop.begin_with(lambda: loop.call_soon_threadsafe(setattr, server, "should_exit", True))
        background = TaskOwner()
        background.start(give_back_freed_memory())
        try:
            await server.serve(listeners)
        finally:
            await background.cancel()


def _spare_the_collector() -> None:
    """Keep the objects of the start out of garbage collection: a full pass takes 60 ms."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)


def run(stop: Stop) -> int:
    """Run until ``stop`` ends it. The exit code is 1 for a start that failed, else 0."""
    try:
        settings = read_settings()
    except SandboxError as error:
        print(f"scf-sandbox: {error.message}", file=sys.stderr)
        return 1
    configure_logging(settings)
    keep_freed_memory()
    try:
        with claim_directory(settings.data_dir), claim_port(settings.host, settings.port) as ports:
            uvloop.run(serve(settings, ports, stop))
    except asyncio.CancelledError:
        log.info("sandbox_stopped", reason="it was asked to while it started")
    except SandboxError as error:
        log.error("sandbox_failed", code=error.code, message=error.message)
        return 1
    return 0
