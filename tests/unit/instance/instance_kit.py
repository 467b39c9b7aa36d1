"""One instance on its own: the test is its pool, its runtime and its engine."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from sandbox.engine.base import InstanceSpec
from sandbox.feed import Feed, Recorder
from sandbox.instance.event_session import EventSession
from sandbox.instance.instance import Instance
from sandbox.instance.ports import InstanceContext
from sandbox.invocation import Invocation
from tests.support.clock import FakeClock, LoopTime
from tests.support.engine import FakeContainer, FakeEngine
from tests.support.functions import function
from tests.support.records import Kept

if TYPE_CHECKING:
    from sandbox.instance.ports import Explainer
    from sandbox.instance.rendezvous import Event, Push
    from sandbox.instance.session import SessionFactory

MB = 2**20


class InstanceBench:
    """An instance of 128 MB, Timeout 3 s, InitTimeout 5 s, and what it told its owner.

    ``time`` moves the timers, ``clock`` is what durations are measured with.
    """

    def __init__(
        self,
        *,
        recycled_by_failure: bool = False,
        session: SessionFactory = EventSession,
        explainer: Explainer | None = None,
    ) -> None:
        self.time = LoopTime()
        self.clock = FakeClock()
        self.kept = Kept()
        self.feed = Feed(self.clock)
        self.idle: list[Instance] = []
        self.stopping: list[Instance] = []
        self.unserved: list[Invocation] = []
        self.got: list[Event] = []
        spec = InstanceSpec("f" * 32, "default", "hello", "$LATEST", "c0de", 128, {})
        loop = asyncio.get_running_loop()
        self.instance = Instance(
            spec,
            timeout_s=3,
            init_timeout_s=5,
            owner=self,
            context=InstanceContext(
                loop, self.clock, Recorder(self.kept, self.feed), explainer=explainer
            ),
            recycled_by_failure=recycled_by_failure,
            session=session,
        )
        self.container = FakeContainer(FakeEngine(), spec, self.instance, 1)
        self._made = 0

    # ---- the owner's part

    def instance_has_room(self, instance: Instance) -> None:
        self.idle.append(instance)

    def instance_stopping(self, instance: Instance) -> None:
        self.stopping.append(instance)

    def invocation_unserved(self, invocation: Invocation) -> None:
        self.unserved.append(invocation)

    # ---- ways into a state

    def invocation(self, event: bytes = b"{}", **more: Any) -> Invocation:
        """The next one: ``request-1``, ``request-2``..."""
        self._made += 1
        of = function()
        loop = asyncio.get_running_loop()
        return Invocation(of, of.latest, event, f"request-{self._made}", loop, **more)

    def standing_by(self) -> InstanceBench:
        self.instance.attach(self.container)
        return self

    def initialising(self) -> Invocation:
        """Started, and released for an invocation."""
        self.standing_by()
        invocation = self.invocation()
        self.instance.release(invocation)
        return invocation

    def busy(self) -> Invocation:
        """Ready, with the event of its first invocation to be fetched."""
        invocation = self.initialising()
        self.instance.ready()
        return invocation

    def warm(self) -> None:
        """One invocation answered, nothing polled since."""
        self.busy()
        self.poll()
        self.instance.push(b"done")

    def dispatch(self, **more: Any) -> Invocation:
        invocation = self.invocation(**more)
        self.instance.dispatch(invocation)
        return invocation

    def poll(self, times: int = 1) -> None:
        for _ in range(times):
            self.instance.poll(self.got.append)

    async def later(self, seconds: float) -> None:
        """So much time passes, for timers and for what is measured."""
        self.clock.tick(seconds)
        await self.time.advance(seconds)

    def push(self, body: bytes = b"done", *, error: bool = False) -> Push:
        return self.instance.push(body, error=error)

    def lines(self, request_id: str) -> list[str]:
        chunks = [chunk for chunk in self.kept.chunks if chunk.request_id == request_id]
        return [text for chunk in chunks for _, text in chunk.lines]


def failure(invocation: Invocation) -> dict[str, Any]:
    """The error object of an invocation that has failed, without its request id."""
    outcome = invocation.future.result()
    told: dict[str, Any] = json.loads(outcome.body)
    assert told.pop("requestId") == invocation.request_id == outcome.request_id
    assert told["statusCode"] == outcome.status_code
    assert not outcome.ok
    return told
