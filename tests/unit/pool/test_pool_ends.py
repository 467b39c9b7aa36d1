"""How instances end: retired, expired, failed to start, killed; and how the pool ends."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import structlog

from sandbox.engine.base import Exit
from sandbox.errors import EngineError
from sandbox.functions.model import instance_key
from sandbox.instance.lifecycle import State
from sandbox.invocation import Cause
from tests.support.engine import FakeContainer, Runtime, echoing
from tests.support.functions import function
from tests.support.pool import Heart
from tests.support.waiting import eventually, turns

if TYPE_CHECKING:
    import pytest

HELLO = function()
OTHER = function("other")
NOBODY: frozenset[str] = frozenset()


# ---------------------------------------------------------------- removal


async def stop_one_by_one(heart: Heart, count: int, pause_s: float) -> None:
    """So many instances, each at work on an event: one is stopped, then the next.

    Pauses are long, so that the real time that passes as well does not count.
    """
    slow = function(timeout_s=900)
    events = [heart.submit(slow) for _ in range(count)]
    for number in range(count):
        (await heart.runtime(number)).ready().poll()
    for event in events:
        assert event.instance is not None
        event.instance.cancel(Cause.TERMINATED, "enough")
        await heart.time.advance(pause_s)


async def test_nothing_is_removed_while_instances_are_stopped_in_close_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sandbox.pool.endings.CALM_S", 100.0)
    monkeypatch.setattr("sandbox.pool.endings.CALM_WITHIN_S", 100_000.0)
    heart = Heart()
    await stop_one_by_one(heart, 3, 75)
    assert len(heart.engine.alive) == 3
    await heart.time.advance(75)
    assert heart.engine.alive == []
    await heart.close()


async def test_removal_does_not_wait_for_calm_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandbox.pool.endings.CALM_S", 100.0)
    monkeypatch.setattr("sandbox.pool.endings.CALM_WITHIN_S", 170.0)
    heart = Heart()
    await stop_one_by_one(heart, 5, 50)
    assert len(heart.engine.alive) < 5
    await heart.close()


# ---------------------------------------------------------------- retirement


async def test_an_update_ends_idle_instances_and_those_standing_by() -> None:
    heart = Heart(standby=1)
    heart.engine.on_release = echoing
    await heart.run(HELLO)
    await heart.time.advance(0.3)
    await heart.container(1)
    await heart.pool.retire("default", "hello", NOBODY)
    await eventually(lambda: heart.engine.alive == [])
    assert heart.pool.instances() == []
    await heart.close()


async def test_an_update_lets_a_busy_instance_finish() -> None:
    heart = Heart()
    event = heart.submit(HELLO)
    runtime = (await heart.runtime(0)).ready().poll()
    await heart.pool.retire("default", "hello", NOBODY)
    await turns()
    (view,) = heart.pool.instances()
    assert (view.state, view.retired) == ("busy", True)
    runtime.answer()
    assert (await event.future).ok
    await eventually(lambda: heart.engine.alive == [])
    await heart.close()


async def test_an_update_serves_who_waits_already_by_the_code_they_asked_for() -> None:
    heart = Heart()
    heart.engine.gate.clear()
    old = heart.submit(HELLO)
    await turns()
    await heart.pool.retire("default", "hello", NOBODY)
    new = heart.submit(function(digest="new"))
    heart.engine.on_release = echoing
    heart.engine.gate.set()
    assert (await old.future).ok
    assert (await new.future).ok
    assert sorted(c.spec.code_digest for c in heart.engine.containers) == ["c0de", "new"]
    await eventually(lambda: [c.spec.code_digest for c in heart.engine.alive] == ["new"])
    await heart.close()


async def test_a_container_that_starts_for_a_retired_function_in_vain_ends() -> None:
    heart = Heart(standby=1)
    heart.engine.gate.clear()
    await heart.pool.prepare(HELLO, HELLO.latest)
    await turns()
    await heart.pool.retire("default", "hello", NOBODY)
    heart.engine.gate.set()
    await heart.container(0)
    await eventually(lambda: heart.engine.alive == [])
    await heart.close()


async def test_what_is_kept_and_what_belongs_to_others_is_not_retired() -> None:
    heart = Heart()
    heart.engine.on_release = echoing
    await heart.run(HELLO)
    await heart.run(OTHER)
    key = instance_key(HELLO, HELLO.latest)
    await heart.pool.retire("default", "hello", frozenset({key}))
    await heart.pool.retire("staging", "other", NOBODY)
    await turns()
    assert len(heart.engine.alive) == 2
    await heart.close()


async def test_an_update_and_its_undoing_leave_nobody_waiting() -> None:
    heart = Heart(budget_mb=128)
    busy = heart.submit(HELLO)
    runtime = (await heart.runtime(0)).ready().poll()
    waiting = heart.submit(HELLO)
    await heart.pool.retire("default", "hello", NOBODY)
    again = heart.submit(function())
    runtime.container.end(Exit(0))
    assert (await busy.future).status_code == 439
    heart.engine.on_release = echoing
    assert (await waiting.future).ok
    assert (await again.future).ok
    await heart.close()


async def test_who_waits_for_a_retired_function_is_told_when_the_sandbox_stops() -> None:
    heart = Heart(budget_mb=128)
    heart.submit(OTHER)
    (await heart.runtime(0)).ready()
    waiting = heart.submit(HELLO)
    await heart.pool.retire("default", "hello", NOBODY)
    heart.submit(function())
    await heart.close()
    assert waiting.future.result().status_code == 499


async def test_the_last_one_to_lose_patience_is_the_end_of_a_retired_function() -> None:
    heart = Heart(budget_mb=128)
    heart.submit(OTHER)
    (await heart.runtime(0)).ready()
    waiting = heart.submit(HELLO)
    await heart.pool.retire("default", "hello", NOBODY)
    await heart.time.advance(301)
    assert waiting.future.result().status_code == 432
    assert not any(group.retired for group in heart.pool._groups)
    await heart.close()


# ---------------------------------------------------------------- expiry


async def test_an_idle_instance_expires() -> None:
    heart = Heart(idle_timeout=300)
    heart.engine.on_release = echoing
    await heart.run(HELLO)
    await heart.time.advance(299)
    assert len(heart.engine.alive) == 1
    await heart.time.advance(2)
    await eventually(lambda: heart.engine.alive == [])
    await heart.close()


async def test_use_puts_off_expiry() -> None:
    heart = Heart(idle_timeout=300)
    heart.engine.on_release = echoing
    for _ in range(3):
        await heart.run(HELLO)
        await heart.time.advance(200)
    assert heart.engine.launches == 1
    await heart.close()


async def test_instances_standing_by_are_dropped_when_the_function_goes_quiet() -> None:
    heart = Heart(standby=1, standby_ttl=600)
    await heart.pool.prepare(HELLO, HELLO.latest)
    await heart.container(0)
    await heart.time.advance(599)
    assert len(heart.engine.alive) == 1
    await heart.time.advance(2)
    await eventually(lambda: heart.engine.alive == [])
    await heart.close()


async def test_memory_of_working_instances_is_looked_at_regularly() -> None:
    heart = Heart()
    event = heart.submit(HELLO)
    runtime = (await heart.runtime(0)).ready().poll()
    runtime.container.peak, runtime.container.kills = 128 * 2**20, 1
    await heart.time.advance(0.11)
    assert (await event.future).status_code == 434
    await heart.close()


# ---------------------------------------------------------------- failures


async def test_a_failed_start_fails_the_event_it_was_for() -> None:
    heart = Heart()
    heart.engine.failures.append(EngineError("no space left"))
    outcome = await heart.run(HELLO)
    assert outcome.status_code == 500
    assert json.loads(outcome.body)["errorMessage"] == "no space left"
    assert heart.budget.reserved_mb == 0
    assert heart.pool.instances() == []
    heart.engine.on_release = echoing
    assert (await heart.run(HELLO)).ok
    await heart.close()


async def test_a_failed_start_of_an_instance_to_stand_by_fails_nobody() -> None:
    heart = Heart(standby=1)
    heart.engine.failures.append(EngineError("no space left"))
    await heart.pool.prepare(HELLO, HELLO.latest)
    await eventually(lambda: heart.engine.launches == 1 and heart.pool.instances() == [])
    await heart.close()


async def test_a_container_that_ends_before_it_is_attached_is_a_failed_start() -> None:
    heart = Heart()
    heart.engine.on_launch = lambda container: container.end(Exit(127))
    outcome = await heart.run(HELLO)
    assert outcome.status_code == 500
    assert json.loads(outcome.body)["errorMessage"] == (
        "the container ended while it was starting: invoke the function again; if that"
        " fails too, check the engine and read the sandbox's log"
    )
    await heart.close()


async def test_a_start_that_fails_after_the_container_ended_is_one_failure() -> None:
    heart = Heart()
    heart.engine.on_launch = lambda container: container.end(Exit(127))
    heart.engine.failures.append(EngineError("it is gone already"))
    outcome = await heart.run(HELLO)
    assert json.loads(outcome.body)["errorMessage"] == "it is gone already"
    assert heart.budget.reserved_mb == 0
    await heart.close()


async def test_a_container_that_cannot_be_destroyed_is_given_up() -> None:
    heart = Heart()
    heart.engine.on_release = echoing
    await heart.run(HELLO)
    heart.engine.destroy_error = EngineError("the engine is gone")
    await heart.close()


async def test_a_bug_while_a_container_is_destroyed_gives_its_memory_back_and_is_logged() -> None:
    heart = Heart(budget_mb=128)
    heart.engine.on_release = echoing
    await heart.run(HELLO)
    heart.engine.destroy_error = OSError("the directory is not empty")
    with structlog.testing.capture_logs() as logged:
        heart.engine.containers[0].instance.stop()
        await eventually(lambda: heart.budget.reserved_mb == 0)
    [entry] = [entry for entry in logged if entry["event"] == "instance_not_destroyed"]
    assert entry["exc_info"]
    assert heart.pool.instances() == []
    assert (await heart.run(OTHER)).ok
    await heart.close()


# ---------------------------------------------------------------- the end


async def test_close_ends_everything_in_whatever_state_it_is() -> None:
    heart = Heart(budget_mb=128 * 5, standby=1)
    await heart.pool.prepare(OTHER, OTHER.latest)
    await heart.container(0)
    idle = heart.submit(HELLO)
    (await heart.runtime(1)).ready().poll().answer()
    assert (await idle.future).ok
    busy = heart.submit(HELLO)
    initialising = heart.submit(function("slow"))
    await heart.runtime(2)
    heart.engine.gate.clear()
    starting = heart.submit(function("later"))
    await turns()
    waiting = [heart.submit(function("big", memory_mb=512)) for _ in range(2)]
    states = sorted(view.state for view in heart.pool.instances())
    assert states == ["busy", "initialising", "starting", "stopping"]
    heart.loop.call_soon(heart.engine.gate.set)
    await heart.close()
    for invocation in (busy, initialising, starting, *waiting):
        outcome = invocation.future.result()
        assert outcome.status_code == 499
        assert json.loads(outcome.body)["errorMessage"] == "the sandbox is stopping"


async def test_an_instance_that_is_stopping_already_is_not_stopped_again_by_close() -> None:
    heart = Heart()
    heart.engine.on_release = echoing
    await heart.run(HELLO)
    heart.engine.destroy_gate.clear()
    (container,) = heart.engine.containers
    container.instance.stop()
    await turns()
    assert container.instance.state is State.STOPPING
    heart.loop.call_soon(heart.engine.destroy_gate.set)
    await heart.close()


async def test_nothing_is_started_any_more_after_close() -> None:
    heart = Heart(standby=1)
    await heart.pool.prepare(HELLO, HELLO.latest)
    container: FakeContainer = await heart.container(0)
    heart.submit(HELLO)
    Runtime(container).ready().poll().answer()
    await heart.close()
    await heart.time.advance(10)
    assert heart.engine.launches == 1


async def test_an_event_that_comes_after_close_is_canceled_and_starts_nothing() -> None:
    heart = Heart()
    await heart.close()
    event = heart.submit(HELLO)
    await turns()
    assert heart.engine.launches == 0
    outcome = event.future.result()
    assert (outcome.status_code, outcome.cause) == (499, Cause.SHUTDOWN)


async def test_a_killed_version_ends_its_events_and_instances_at_once() -> None:
    heart = Heart()
    running, waiting = heart.submit(HELLO), heart.submit(HELLO)
    (await heart.runtime(0)).ready().poll()
    heart.engine.gate.clear()
    await heart.pool.retire("default", "hello", frozenset())
    await heart.pool.kill("default", "other", "$LATEST")
    assert not running.future.done()
    await heart.pool.kill("default", "hello", "$LATEST")
    outcomes = [await running.future, await waiting.future]
    assert [outcome.status_code for outcome in outcomes] == [499, 499]
    heart.engine.gate.set()
    await eventually(lambda: not heart.pool.instances())
    await heart.close()


async def test_nothing_is_left_of_a_killed_version_whose_events_only_waited() -> None:
    heart = Heart(budget_mb=128)
    heart.submit(OTHER)
    (await heart.runtime(0)).ready()
    waiting = heart.submit(HELLO)
    await heart.pool.kill("default", "hello", "$LATEST")
    outcome = waiting.future.result()
    assert (outcome.status_code, outcome.cause) == (499, Cause.KILLED)
    assert [group.function.name for group in heart.pool._groups] == ["other"]
    await heart.close()


# ---------------------------------------------------------------- faults while starting


async def test_whatever_goes_wrong_at_a_start_is_answered_and_gives_the_memory_back() -> None:
    heart = Heart(budget_mb=128)
    heart.engine.failures.append(OSError("out of descriptors"))  # type: ignore[arg-type]
    event = heart.submit(HELLO)
    error = json.loads((await event.future).body)
    assert error["statusCode"] == 500
    assert "out of descriptors" in error["errorMessage"]
    heart.engine.on_release = echoing
    assert (await heart.run(HELLO)).ok
    await heart.close()


async def test_a_container_that_ends_while_it_is_started_is_removed_once() -> None:
    heart = Heart(budget_mb=128)

    def end(container: FakeContainer) -> None:
        container.end(Exit(1))

    heart.engine.on_launch = end
    event = heart.submit(HELLO)
    assert (await event.future).status_code == 500
    await turns()
    assert heart.budget.reserved_mb == 0
    heart.engine.on_launch = None
    heart.engine.on_release = echoing
    assert (await heart.run(HELLO)).ok
    await heart.close()


# ---------------------------------------------------------------- bad days


async def test_one_that_dies_while_it_stands_by_is_replaced_and_gets_no_event() -> None:
    heart = Heart(standby=1)
    heart.engine.on_release = echoing
    await heart.run(HELLO)
    await heart.time.advance(0.3)
    (await heart.container(1)).end(Exit(137))
    await turns()
    assert "standing by" not in {view.state for view in heart.pool.instances()}
    await heart.time.advance(0.3)
    await heart.container(2)
    assert "standing by" in {view.state for view in heart.pool.instances()}
    await heart.close()


async def test_an_engine_that_is_away_has_the_memory_counted_until_all_is_gone() -> None:
    heart = Heart()
    heart.engine.away = True
    event = heart.submit(HELLO)
    (await heart.runtime(0)).ready().poll()
    (await heart.container(0)).end(Exit(1))
    assert (await event.future).status_code == 439
    for _ in range(5):
        await heart.time.advance(2)
        assert heart.budget.reserved_mb == 128
    heart.engine.away = False
    await heart.time.advance(31)
    await eventually(lambda: heart.budget.reserved_mb == 0)
    await heart.close()


async def test_the_stop_does_not_wait_for_an_engine_that_is_away() -> None:
    heart = Heart()
    heart.engine.on_release = echoing
    await heart.run(HELLO)
    heart.engine.away = True
    await heart.pool.close()
    assert heart.pool.instances() == []
