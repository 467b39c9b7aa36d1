"""Removing what the engine refuses to remove for a moment, or has removed already."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from sandbox.errors import EngineError, EngineErrorKind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sandbox.engine.docker.client import DockerClient

log = structlog.get_logger()

#: A container that was removed lets go of its network and volumes a little later. Seconds.
AGAIN_S = (0.1, 0.3, 1.0, 2.0)


async def remove(kind: str, name: str, call: Callable[[str], Awaitable[None]]) -> None:
    """Remove one network or volume by ``call``; what is in use is tried again.

    One that is gone already is no error. One that stays is told of in the log, and swept at the
    next start.
    """
    for pause in (*AGAIN_S, None):
        try:
            await call(name)
        except EngineError as error:
            if error.kind is EngineErrorKind.GONE:
                return
            if pause is None:
                log.warning(f"{kind}_not_removed", **{kind: name}, error=error.message)
                return
            await asyncio.sleep(pause)
        else:
            return


async def remove_container(client: DockerClient, container_id: str) -> bool:
    """Kill and remove; one that is gone already is no error, one that stays is told of.

    True when the engine says that it is gone, and so that nothing of it runs any more.
    """
    for pause in (*AGAIN_S, None):
        try:
            await client.remove_container(container_id)
        except EngineError as error:
            if error.kind is EngineErrorKind.GONE:
                return True
            if error.kind is not EngineErrorKind.REMOVING or pause is None:
                log.warning(
                    "container_not_removed", container=container_id[:12], error=error.message
                )
                return False
            await asyncio.sleep(
                pause
            )  # somebody else removes it: the next answer is that it is gone
        else:
            return True
    return False
