"""An instance that works on several invocations at once: the session decides how many."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandbox.engine.base import Exit
from sandbox.errors import IllegalTransitionError
from sandbox.instance.lifecycle import State
from sandbox.instance.rendezvous import Event, Push
from sandbox.invocation import Cause
from sandbox.pool.instance_group import InstanceGroup
from tests.support.functions import function
from tests.unit.instance.instance_kit import InstanceBench, failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.instance.ports import InstanceContext
    from sandbox.instance.run import Run
    from sandbox.instance.session import SessionOwner
    from sandbox.invocation import Invocation


class ThreeAtOnce:
    """A session of three runs at once, which the test answers by name. It touches what it takes,
    except while ``stuck``."""

    capacity = 3

    def __init__(self, owner: SessionOwner, timeout_s: float, context: InstanceContext) -> None:
        self.owner = owner
        self.runs: dict[str, Run] = {}
        self.stuck = False
        self.touched: set[Run] = set()
        self.closed = False

    def take(self, run: Run) -> None:
        self.runs[run.invocation.request_id] = run
        if not self.stuck:
            self.touched.add(run)

    def leave(self, run: Run) -> None:
        del self.runs[run.invocation.request_id]

    def untouched(self, run: Run) -> bool:
        return run not in self.touched

    def heard(self) -> None: ...

    def close(self) -> None:
        self.closed = True

    def ready(self) -> None:
        self.owner.initialised()

    def poll(self, poller: Callable[[Event], None]) -> None: ...

    def unpark(self, poller: Callable[[Event], None]) -> None: ...

    def push(self, body: bytes | bytearray, *, error: bool = False) -> Push:
        return Push.IGNORED_ORPHAN

    def push_too_large(self) -> Push:
        return Push.IGNORED_ORPHAN


class Stage(InstanceBench):
    """A bench whose instance has such a session, and three invocations under way."""

    def __init__(self) -> None:
        super().__init__(session=self._session)
        self.first = self.busy()
        self.second, self.third = self.dispatch(), self.dispatch()

    def _session(
        self, owner: SessionOwner, timeout_s: float, context: InstanceContext
    ) -> ThreeAtOnce:
        self.session = ThreeAtOnce(owner, timeout_s, context)
        return self.session

    def answer(self, invocation: Invocation, body: bytes = b"done") -> None:
        self.session.owner.succeeded(self.session.runs[invocation.request_id], body)


@pytest.fixture
async def stage() -> Stage:
    return Stage()


async def test_an_instance_works_on_as_many_as_its_session_takes(stage: Stage) -> None:
    assert (stage.instance.load, stage.instance.has_room) == (3, False)
    with pytest.raises(IllegalTransitionError):
        stage.dispatch()


async def test_each_is_answered_on_its_own_and_makes_room(stage: Stage) -> None:
    told_before = len(stage.idle)
    stage.answer(stage.second, b"two")
    assert stage.second.future.result().body == b"two"
    assert (stage.instance.state, stage.instance.load) == (State.BUSY, 2)
    assert stage.instance.has_room
    assert len(stage.idle) == told_before + 1
    assert not stage.instance.works_on(stage.second)
    assert stage.instance.works_on(stage.first)
    stage.answer(stage.first)
    stage.answer(stage.third)
    assert stage.instance.state is State.IDLE
    assert stage.first.future.result().cold_start
    assert not stage.third.future.result().cold_start


async def test_an_instance_that_is_ready_with_its_first_invocation_tells_of_its_room(
    stage: Stage,
) -> None:
    assert stage.idle == [stage.instance]


async def test_a_dead_process_ends_all_and_gives_back_what_it_has_not_touched() -> None:
    stage = Stage()
    stage.answer(stage.third)
    stage.session.stuck = True
    untouched = stage.dispatch()
    stage.container.end(Exit(1))
    assert stage.unserved == [untouched]
    for invocation in (stage.first, stage.second):
        assert failure(invocation)["statusCode"] == 439
    assert stage.stopping == [stage.instance]
    assert stage.session.closed


async def test_a_run_that_takes_too_long_ends_the_others_with_the_instance(stage: Stage) -> None:
    slow = stage.session.runs[stage.first.request_id]
    stage.session.owner.timed_out(slow, "too long", 3000)
    statuses = [
        failure(invocation)["statusCode"] for invocation in (stage.first, stage.second, stage.third)
    ]
    assert statuses == [433, 439, 439]
    assert stage.stopping == [stage.instance]


async def test_cancel_ends_all(stage: Stage) -> None:
    stage.instance.cancel(Cause.KILLED, "enough")
    for invocation in (stage.first, stage.second, stage.third):
        assert failure(invocation)["statusCode"] == 499
        assert invocation.future.result().cause is Cause.KILLED


async def test_a_group_fills_the_instance_that_got_room_last() -> None:
    stage, of = Stage(), function()
    group = InstanceGroup("key", of, of.latest)
    stage.answer(stage.first)
    stage.answer(stage.second)
    group.instances.add(stage.instance)
    group.with_room[stage.instance] = 1.0
    assert (group.idle, group.under_way) == ([], 1)
    group.dispatch(stage.invocation())
    assert list(group.with_room) == [stage.instance]
    group.dispatch(stage.invocation())
    assert list(group.with_room) == []
    assert group.under_way == 3
