"""``python -m api``: run the control plane until SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
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

    from sandbox.feed import Feed
    from sandbox.settings import Settings

log = structlog.get_logger()


class Server(uvicorn.Server):
    """uvicorn's server, without its signal handlers: they would end the process.

    It closes ``feed`` when it stops. It waits for every answer, and streams of the feed would not
    end.
    """

    def __init__(self, config: uvicorn.Config, feed: Feed) -> None:
        super().__init__(config)
        self._feed = feed

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, finish the other answers, then close every connection."""
        self._feed.close()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


async def serve(settings: Settings, listener: socket.socket) -> None:
    """Serve both ports until SIGTERM or SIGINT. Then end every instance and leave nothing behind.

    ``listener`` is the control port's.
    """
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
            plane.feed,
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, setattr, server, "should_exit", True)
        background = TaskOwner()
        background.start(give_back_freed_memory())
        try:
            await server.serve([listener])
        finally:
            await background.cancel()


def _spare_the_collector() -> None:
    """Keep the objects of the start out of garbage collection: a full pass takes 60 ms."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)


def main() -> int:
    """Run until a signal ends it. The exit code is 1 for a start that failed, else 0."""
    try:
        settings = read_settings()
    except SandboxError as error:
        print(f"scf-sandbox: {error.message}", file=sys.stderr)
        return 1
    configure_logging(settings)
    keep_freed_memory()
    try:
        with claim_directory(settings.data_dir), claim_port(settings.host, settings.port) as port:
            uvloop.run(serve(settings, port))
    except SandboxError as error:
        log.error("sandbox_failed", code=error.code, message=error.message)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
