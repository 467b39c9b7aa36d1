"""``python -m api``: run the control plane until SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

import structlog
import uvicorn
import uvloop

from api.app import create_app
from api.front import front_protocol
from api.house import House
from api.logging import configure_logging
from sandbox.errors import SandboxError
from sandbox.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

log = structlog.get_logger()


class Server(uvicorn.Server):
    """uvicorn's server, which leaves the signals to us: it would end the process with them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(settings: Settings) -> None:
    """Serve both ports; on SIGTERM or SIGINT end every instance and leave nothing behind."""
    house = House(settings)
    try:
        await house.open()
        server = Server(
            uvicorn.Config(
                create_app(house),
                host=settings.host,
                port=settings.port,
                http=front_protocol(house.cloud, IPv4Network(settings.network_range)),
                lifespan="off",
                access_log=False,
                log_config=None,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=5,
            )
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, setattr, server, "should_exit", True)
        await server.serve()
    finally:
        await house.close()


def main() -> int:
    settings = Settings()
    configure_logging(settings)
    try:
        uvloop.run(serve(settings))
    except SandboxError as error:
        log.error("sandbox_failed", code=error.code, message=error.message)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
