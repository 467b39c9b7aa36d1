"""Provisioned instances: initialised ahead, kept, replaced; and why there may be too few."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandbox.engine.base import Exit
from sandbox.errors import EngineError
from tests.support.engine import FakeContainer, echoing
from tests.support.functions import function
from tests.support.pool import Heart
from tests.support.waiting import eventually, turns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sandbox.functions.model import Function


def version_1(provisioned: int, name: str = "hello", epoch: int = 0) -> Function:
    """A function that consists of its version 1, so that its events go there."""
    of = function(name, epoch=epoch)
    version = of.latest.model_copy(update={"version": "1"})
    return of.with_version(version).model_copy(
        update={"provisioned": {"1": provisioned} if provisioned else {}}
    )


def available(heart: Heart, name: str = "hello") -> tuple[int, str]:
    return heart.pool.provisioned("default", name, "1")


async def provision(heart: Heart, count: int, name: str = "hello") -> None:
    heart.pool.provision(version_1(count, name))
    await eventually(lambda: available(heart, name)[0] >= count)


@pytest.fixture
async def heart() -> AsyncIterator[Heart]:
    heart = Heart()
    heart.engine.on_release = echoing
    yield heart
    await heart.close()


async def test_instances_are_initialised_before_any_event(heart: Heart) -> None:
    await provision(heart, 2)
    assert [c.released for c in heart.engine.containers] == [True, True]
    of = version_1(2)
    invocation = heart.invocation(of)
    invocation.version = of.versions["1"]
    heart.pool.submit(invocation)
    outcome = await invocation.future
    assert (outcome.ok, outcome.cold_start, outcome.init_ms) == (True, False, 0.0)
    assert heart.engine.launches == 2


async def test_their_initialisation_is_reported_in_a_line_of_its_own(heart: Heart) -> None:
    await provision(heart, 1)
    (line,) = heart.logged("")
    assert line.startswith("Provisioned Report RequestId: ")
    assert "Coldstart: " in line
    assert "Memory: 128MB MemUsage: 7.00MB" in line


async def test_those_standing_by_are_used_first_and_replaced() -> None:
    heart = Heart(standby=1)
    heart.engine.on_release = echoing
    of = version_1(0)
    await heart.pool.prepare(of, of.versions["1"])
    standing_by, released = await heart.container(0), []
    released.append(standing_by.released)
    await provision(heart, 1)
    released.append(standing_by.released)
    assert released == [False, True]
    assert not (await heart.container(1)).released
    await heart.close()


async def test_they_do_not_expire_and_those_beyond_do(heart: Heart) -> None:
    heart.engine.on_release = None
    of = version_1(1)
    heart.pool.provision(of)
    first = (await heart.runtime(0)).ready().poll()
    events = [heart.invocation(of) for _ in range(2)]
    for event in events:
        event.version = of.versions["1"]
        heart.pool.submit(event)
    second = (await heart.runtime(1)).ready().poll()
    first.answer()
    second.answer()
    await heart.time.advance(301)
    await eventually(lambda: len(heart.engine.alive) == 1)
    await heart.time.advance(301)
    assert available(heart) == (1, "")


async def test_one_that_crashes_is_replaced(heart: Heart) -> None:
    heart.engine.on_release = None
    heart.pool.provision(version_1(1))
    runtime = (await heart.runtime(0)).ready().poll()
    runtime.answer()
    instance = runtime.instance
    instance.served = 1
    runtime.container.end(Exit(1))
    (await heart.runtime(1)).ready()
    assert available(heart) == (1, "")


async def test_one_that_dies_before_any_event_is_replaced_a_little_later(heart: Heart) -> None:
    heart.engine.on_release = None
    heart.pool.provision(version_1(1))
    (await heart.runtime(0)).ready().container.end(Exit(3))
    await turns()
    assert available(heart) == (0, "the bootstrap ended with exit code 3 before any event")
    assert heart.engine.launches == 1
    heart.engine.on_release = echoing
    await heart.time.advance(1.1)
    await eventually(lambda: available(heart)[0] == 1)


async def test_a_failing_initialisation_is_tried_again_ever_later(heart: Heart) -> None:
    def fail(container: FakeContainer) -> None:
        container.end(Exit(7))

    heart.engine.on_release = fail
    heart.pool.provision(version_1(1))
    for launches, pause in enumerate((1.1, 2.1, 4.1), start=1):
        await eventually(lambda launches=launches: heart.engine.launches == launches)  # type: ignore[misc]
        await eventually(lambda: available(heart)[1] != "")
        await turns()
        await heart.time.advance(pause - 0.2)
        assert heart.engine.launches == launches
        await heart.time.advance(0.2)
    await eventually(lambda: heart.engine.launches == 4)
    assert "ended with exit code 7 before it reported ready" in available(heart)[1]


async def test_an_initialisation_that_takes_too_long_is_a_failure_as_well(heart: Heart) -> None:
    heart.engine.on_release = None
    heart.pool.provision(version_1(1))
    await heart.runtime(0)
    await heart.time.advance(66)
    assert "Initialization timed out after 65 seconds" in available(heart)[1]


async def test_an_engine_that_fails_is_the_reason_until_it_works_again(heart: Heart) -> None:
    heart.engine.failures.append(EngineError("the engine has gone"))
    heart.pool.provision(version_1(1))
    await eventually(lambda: available(heart) == (0, "the engine has gone"))
    await heart.time.advance(1.1)
    await eventually(lambda: available(heart)[0] == 1)


async def test_others_idle_instances_make_room_and_provisioned_ones_do_not() -> None:
    heart = Heart(budget_mb=256)
    heart.engine.on_release = echoing
    await provision(heart, 1, "first")
    await heart.run(function("idle"))
    await provision(heart, 1, "second")
    assert [c.spec.function_name for c in heart.engine.alive] == ["first", "second"]
    waiting = heart.submit(function("third"))
    await turns()
    assert [c.spec.function_name for c in heart.engine.alive] == ["first", "second"]
    heart.pool.provision(version_1(2, "first"))
    assert "limit of 256 MB" in available(heart, "first")[1]
    heart.pool.provision(version_1(0, "first"))
    assert (await waiting.future).ok
    await heart.close()


async def test_one_larger_than_all_memory_has_failed() -> None:
    heart = Heart(budget_mb=64)
    heart.pool.provision(version_1(1))
    assert "SCF_MEMORY_BUDGET_MB" in available(heart)[1]
    await heart.close()


async def test_a_forced_cold_start_replaces_them(heart: Heart) -> None:
    await provision(heart, 1)
    (before,) = heart.engine.alive
    await heart.pool.retire("default", "hello", frozenset())
    heart.pool.provision(version_1(1, epoch=1))
    await eventually(lambda: len(heart.engine.alive) == 1 and before not in heart.engine.alive)
    await eventually(lambda: available(heart) == (1, ""))


async def test_an_update_ends_one_that_is_still_initialising(heart: Heart) -> None:
    heart.engine.on_release = None
    heart.pool.provision(version_1(1))
    await heart.runtime(0)
    await heart.pool.retire("default", "hello", frozenset())
    await eventually(lambda: heart.engine.alive == [])
    assert available(heart)[1] == ""


async def test_an_update_keeps_one_that_an_event_waits_for() -> None:
    heart = Heart(budget_mb=128)
    of = version_1(1)
    heart.pool.provision(of)
    runtime = await heart.runtime(0)
    event = heart.invocation(of)
    event.version = of.versions["1"]
    heart.pool.submit(event)
    await heart.pool.retire("default", "hello", frozenset())
    runtime.ready().poll().answer()
    assert (await event.future).ok
    await eventually(lambda: heart.engine.alive == [])
    assert heart.engine.launches == 1
    await heart.close()


@pytest.mark.parametrize("phase", ["starting", "initialising", "idle"])
async def test_those_of_a_killed_version_end_and_are_not_replaced(heart: Heart, phase: str) -> None:
    heart.engine.on_release = echoing if phase == "idle" else None
    if phase == "starting":
        heart.engine.gate.clear()
    heart.pool.provision(version_1(1))
    await eventually(lambda: [view.state for view in heart.pool.instances()] == [phase])
    await heart.pool.kill("default", "hello", "1")
    heart.engine.gate.set()
    await eventually(lambda: heart.pool.instances() == [])
    await heart.time.advance(2)
    assert (heart.engine.launches, available(heart)) == (1, (0, ""))


async def test_nothing_is_provisioned_any_more_when_the_pool_has_closed() -> None:
    heart = Heart()
    heart.engine.on_release = echoing
    await provision(heart, 2)
    await heart.close()
    assert heart.engine.alive == []
    assert heart.engine.launches == 2


async def test_an_event_takes_one_that_is_just_starting(heart: Heart) -> None:
    heart.engine.gate.clear()
    of = version_1(1)
    heart.pool.provision(of)
    event = heart.invocation(of)
    event.version = of.versions["1"]
    heart.pool.submit(event)
    heart.engine.gate.set()
    assert (await event.future).cold_start
    await eventually(lambda: available(heart)[0] == 1)
    await heart.time.advance(0.3)
    assert heart.engine.launches == 1
