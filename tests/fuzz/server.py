"""``python -m tests.fuzz.server PORT``: a control plane on an engine in memory, by uvicorn."""

from __future__ import annotations

import asyncio
import logging
import sys
import tempfile
from pathlib import Path

import structlog
import uvicorn

from api.app import Application
from sandbox.functions.model import FunctionConfig
from tests.support.control_plane import NoPort, echo_engine, plane_of
from tests.support.zips import zip_of


async def serve(port: int, directory: Path) -> None:
    async with plane_of(directory, echo_engine()) as plane:
        await plane.open(NoPort())
        application = Application(plane)
        code = zip_of({"bootstrap": "#!/bin/sh\n"})
        await plane.functions.create("default", "hello", code, FunctionConfig())
        config = uvicorn.Config(
            application.asgi,
            port=port,
            http=application.protocol,
            ws="none",
            log_level="critical",
            timeout_graceful_shutdown=2,
        )
        await uvicorn.Server(config).serve()


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory(prefix="scf-fuzz-") as directory:
        asyncio.run(serve(int(sys.argv[1]), Path(directory)))


if __name__ == "__main__":
    main()
