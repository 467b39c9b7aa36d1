"""Engines that are not this one machine: several nodes, hidden addresses, code ready at launch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandbox.control_plane import DEFAULT_MEMORY_SHARE
from sandbox.engine.base import Exit
from sandbox.errors import EngineError
from tests.support.control_plane import running_plane
from tests.support.engine import FakeContainer, FakeEngine, echoing
from tests.support.functions import function
from tests.support.pool import Heart
from tests.support.waiting import eventually

if TYPE_CHECKING:
    import asyncio
    import socket
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sandbox.engine.base import InstanceSpec, Sink

HELLO = function()


class LateEngine(FakeEngine):
    """Makes code ready only where an instance is launched; ``damaged`` code cannot be."""

    def __init__(self) -> None:
        super().__init__()
        self.damaged: set[str] = set()

    async def prepare(self, code_digest: str, layers: tuple[str, ...]) -> None:
        """At launch."""

    async def launch(self, spec: InstanceSpec, sink: Sink) -> FakeContainer:
        self.prepared.append((spec.code_digest, spec.layers))
        if spec.code_digest in self.damaged:
            raise EngineError(f"package {spec.code_digest} cannot be read: upload it again")
        return await super().launch(spec, sink)


class NoPort:
    async def listen(
        self, address: str, listener: socket.socket | None = None
    ) -> asyncio.AbstractServer:
        raise AssertionError(f"nobody is to listen on {address}")

    async def close(self) -> None: ...


@pytest.fixture
async def heart() -> AsyncIterator[Heart]:
    heart = Heart(engine=LateEngine())
    heart.engine.on_release = echoing
    yield heart
    await heart.close()


async def test_an_instance_without_an_address_is_found_by_its_name(heart: Heart) -> None:
    heart.engine.hides_peers = True
    outcome = await heart.run(HELLO)
    assert outcome.status_code == 200
    (container,) = heart.engine.containers
    assert heart.pool.by_host == {container.runtime_host: container.instance}
    assert heart.pool.by_peer == {}
    container.end(Exit(0))
    await eventually(lambda: not heart.pool.by_host)


async def test_code_may_be_made_ready_at_launch(heart: Heart) -> None:
    await heart.pool.prepare(HELLO, HELLO.latest)
    assert isinstance(heart.engine, LateEngine)
    assert heart.engine.prepared == []
    outcome = await heart.run(HELLO)
    assert (outcome.status_code, outcome.cold_start) == (200, True)
    assert heart.engine.prepared == [("c0de", ())]


async def test_what_cannot_be_made_ready_at_launch_is_told_to_who_waits(heart: Heart) -> None:
    assert isinstance(heart.engine, LateEngine)
    heart.engine.damaged.add("c0de")
    outcome = await heart.run(HELLO)
    assert outcome.status_code == 500
    assert "upload it again" in outcome.text


async def test_the_budget_is_a_share_of_what_all_nodes_have(tmp_path: Path) -> None:
    engine = FakeEngine()
    engine.memory_mb = {"one": 4096, "two": 8192}
    async with running_plane(tmp_path, engine) as plane:
        assert plane.budget.total_mb == int(12288 * DEFAULT_MEMORY_SHARE)
