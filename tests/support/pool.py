"""The pool on a fake engine, with its own time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from sandbox.clock import new_request_id
from sandbox.feed import Feed, Recorder
from sandbox.instance.ports import InstanceContext
from sandbox.invocation import Invocation, Outcome
from sandbox.pool.memory_budget import MemoryBudget
from sandbox.pool.pool import Pool
from sandbox.settings import Settings
from tests.support.clock import LoopTime
from tests.support.engine import FakeContainer, FakeEngine, Runtime
from tests.support.records import Kept
from tests.support.waiting import DEADLINE_S, eventually, turns

if TYPE_CHECKING:
    from sandbox.functions.model import Function


class Heart:
    """A pool on a fake engine, in a time of its own. ``kept`` is what its recorder wrote down."""

    def __init__(
        self, budget_mb: int = 4096, *, engine: FakeEngine | None = None, **settings: Any
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.time = LoopTime()
        self.engine = engine or FakeEngine()
        self.kept = Kept()
        self.feed = Feed(self.time)
        self.recorder = Recorder(self.kept, self.feed)
        self.settings = Settings(**{"standby": 0, **settings})
        self.budget = MemoryBudget(budget_mb)
        self.pool = Pool(
            self.engine,
            self.settings,
            InstanceContext(self.loop, self.time, self.recorder),
            self.budget,
        )

    def invocation(self, of: Function, event: bytes = b"{}", **more: Any) -> Invocation:
        invocation = Invocation(of, of.latest, event, new_request_id(), self.loop, **more)
        invocation.times["received"] = self.time.now()
        return invocation

    def submit(self, of: Function, event: bytes = b"{}", **more: Any) -> Invocation:
        invocation = self.invocation(of, event, **more)
        self.pool.submit(invocation)
        return invocation

    async def run(self, of: Function, event: bytes = b"{}") -> Outcome:
        """Submit an event and wait for its outcome."""
        return await asyncio.wait_for(self.submit(of, event).future, DEADLINE_S)

    async def container(self, number: int) -> FakeContainer:
        """Container ``number`` in the order of starts, when it waits to be released."""
        await eventually(lambda: len(self.engine.containers) > number)
        await turns()
        return self.engine.containers[number]

    async def runtime(self, number: int) -> Runtime:
        """The bootstrap in that container, when it has been released."""
        container = await self.container(number)
        await eventually(lambda: container.released)
        return Runtime(container)

    def logged(self, request_id: str) -> list[str]:
        """The lines of a request."""
        return [
            text
            for chunk in self.kept.chunks
            if chunk.request_id == request_id
            for _, text in chunk.lines
        ]

    async def close(self) -> None:
        """Close the pool, and check that nothing is left."""
        await self.pool.close()
        await turns()
        assert self.engine.alive == []
        assert self.pool.instances() == []
        assert self.pool.by_host == {}
        assert self.pool.by_peer == {}
        assert self.budget.reserved_mb == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}
        timers = cast("Any", self.loop)._scheduled
        assert [timer for timer in timers if not timer.cancelled()] == []
