"""The whole control plane on an engine in memory. Tests of several parts start from it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from sandbox.control_plane import ControlPlane
from sandbox.settings import Settings
from tests.support.engine import FakeEngine, echoing

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sandbox.clock import Clock


class NoPort:
    """A runtime API that nothing calls. Counts how often it was closed."""

    def __init__(self) -> None:
        self.closed = 0

    async def listen(
        self, address: str, listener: socket.socket | None = None
    ) -> asyncio.AbstractServer:
        return await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)

    async def close(self) -> None:
        self.closed += 1


def plane_of(
    directory: Path,
    engine: FakeEngine | None = None,
    clock: Clock | None = None,
    chosen: str = "process",
    **settings: Any,
) -> ControlPlane:
    """A control plane under ``directory`` that is not opened, without standby instances.

    ``chosen`` is the name of the real engine that it has without an ``engine``.
    """
    given = {"data_dir": directory, "engine": chosen, "standby": 0, **settings}
    return ControlPlane(Settings(**given), engine=engine, clock=clock)


def echo_engine(memory_mb: int = 4096) -> FakeEngine:
    """An engine on which every bootstrap answers an event with the event."""
    engine = FakeEngine()
    engine.memory_mb = {"fake node": memory_mb}
    engine.on_release = echoing
    return engine


@asynccontextmanager
async def running_plane(
    directory: Path, engine: FakeEngine | None = None, clock: Clock | None = None, **settings: Any
) -> AsyncIterator[ControlPlane]:
    """An open control plane under ``directory``. Its close must leave nothing."""
    engine = engine or echo_engine()
    async with plane_of(directory, engine, clock, **settings) as plane:
        await plane.open(NoPort())
        yield plane
    assert engine.alive == []
    assert plane.pool.instances() == []
    assert plane.budget.reserved_mb == 0
    assert plane.writer.pending == 0
