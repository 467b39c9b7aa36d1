"""Removing networks and volumes, which the engine refuses for a moment after their last use."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import structlog
from docker.errors import NotFound

from sandbox.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.engine.docker.engine import DockerEngine

log = structlog.get_logger()

#: A container that was removed lets go of its network and volumes a little later. Seconds.
AGAIN_S = (0.1, 0.3, 1.0, 2.0)


async def remove(
    engine: DockerEngine, kind: str, call: Callable[..., Any], name: str, **options: Any
) -> None:
    """Remove one; what is in use is tried again. One that is gone already is no error, one that
    stays is told of in the log, and swept at the next start."""
    for pause in (*AGAIN_S, None):
        try:
            await engine.run(call, name, **options)
        except EngineError as error:
            if isinstance(error.__cause__, NotFound):
                return
            if pause is None:
                log.warning(f"{kind}_not_removed", **{kind: name}, error=error.message)
                return
            await asyncio.sleep(pause)
        else:
            return
