"""Memory decides how many instances there are: eviction, waiting, refusal."""

from __future__ import annotations

import json

from sandbox.engine.base import Exit
from sandbox.pool.memory_budget import MemoryBudget
from tests.support.engine import Runtime, echoing
from tests.support.functions import function
from tests.support.pool import Heart
from tests.support.waiting import eventually, turns

HELLO = function()
OTHER = function("other")
THIRD = function("third")
BIG = function("big", memory_mb=256)


def test_a_budget_gives_shares_until_it_is_used_up() -> None:
    budget = MemoryBudget(256)
    assert budget.reserve(128)
    assert budget.free_mb == 128
    assert not budget.reserve(129)
    assert budget.reserve(128)
    budget.give_back(128)
    assert (budget.reserved_mb, budget.free_mb) == (128, 128)


async def test_a_function_larger_than_the_budget_is_refused_at_once() -> None:
    heart = Heart(budget_mb=128)
    outcomes = [heart.submit(BIG) for _ in range(2)]
    for invocation in outcomes:
        outcome = await invocation.future
        assert outcome.status_code == 432
        assert (outcome.memory_mb, outcome.bill_ms, outcome.instance_id) == (256, 0, "")
        assert json.loads(outcome.body) == {
            "errorCode": -1,
            "errorMessage": (
                "Function [ big ] concurrency exceeded region unreserved quota 128 MB: it asks for"
                " 256 MB; raise SCF_MEMORY_BUDGET_MB or lower its MemorySize"
            ),
            "requestId": invocation.request_id,
            "statusCode": 432,
        }
    assert heart.engine.launches == 0
    await heart.close()


def test_what_lies_beside_the_memory_is_in_each_share() -> None:
    budget = MemoryBudget(1300, beside_mb=512)
    assert budget.share_mb(128) == 640
    assert budget.reserve(128)
    assert budget.reserve(128)
    assert not budget.reserve(64)
    budget.give_back(128)
    assert budget.free_mb == 660


async def test_a_function_that_fits_only_without_its_files_is_refused() -> None:
    heart = Heart(budget_mb=700)
    heart.budget.beside_mb = 512
    outcome = await heart.submit(BIG).future
    assert outcome.status_code == 432
    assert "it asks for 768 MB (512 MB of it for files in /tmp); raise" in outcome.body.decode()
    await heart.close()


async def test_idle_instances_make_room_for_the_files_of_others_too() -> None:
    heart = Heart(budget_mb=700)
    heart.budget.beside_mb = 512
    first = heart.submit(HELLO)
    (await heart.runtime(0)).ready().poll().answer()
    await first.future
    heart.submit(OTHER)
    await eventually(lambda: heart.engine.launches == 2)
    assert heart.budget.reserved_mb == 640
    await heart.close()


async def test_an_event_waits_for_memory_until_a_busy_instance_is_free() -> None:
    heart = Heart(budget_mb=128)
    first = heart.submit(HELLO)
    runtime = (await heart.runtime(0)).ready().poll()
    second = heart.submit(HELLO)
    await turns()
    assert heart.engine.launches == 1
    runtime.answer()
    runtime.poll()
    runtime.answer(b"second")
    assert (await first.future).body == b"done"
    assert (await second.future).body == b"second"
    await heart.close()


async def test_an_event_is_refused_when_its_patience_is_over() -> None:
    heart = Heart(budget_mb=128)
    heart.submit(HELLO)
    runtime = (await heart.runtime(0)).ready()
    patient, hasty = heart.submit(OTHER), heart.invocation(OTHER)
    hasty.patience_s = 1
    heart.pool.submit(hasty)
    await heart.time.advance(1.1)
    outcome = await hasty.future
    assert outcome.status_code == 432
    assert json.loads(outcome.body)["errorMessage"] == (
        "Function [ other ] concurrency exceeded region unreserved quota 128 MB"
    )
    assert not patient.future.done()
    runtime.container.end(Exit(0))
    (await heart.runtime(1)).ready().poll().answer()
    assert (await patient.future).ok
    await heart.close()


async def test_patience_is_for_waiting_not_for_running() -> None:
    heart = Heart()
    slow = function(timeout_s=900)
    invocation = heart.submit(slow)
    runtime = (await heart.runtime(0)).ready().poll()
    await heart.time.advance(301)
    runtime.answer()
    assert (await invocation.future).ok
    await heart.close()


async def test_the_oldest_idle_instance_of_others_makes_room() -> None:
    heart = Heart(budget_mb=256)
    heart.engine.on_release = echoing
    await heart.run(HELLO)
    await heart.run(OTHER)
    await heart.run(THIRD)
    alive = [container.spec.function_name for container in heart.engine.alive]
    assert alive == ["other", "third"]
    await heart.close()


async def test_as_many_make_room_as_are_needed() -> None:
    heart = Heart(budget_mb=512)
    heart.engine.on_release = echoing
    for name in ("one", "two", "three", "four"):
        await heart.run(function(name))
    await heart.run(BIG)
    alive = [container.spec.function_name for container in heart.engine.alive]
    assert alive == ["three", "four", "big"]
    await heart.close()


async def test_instances_standing_by_make_room_before_idle_ones() -> None:
    heart = Heart(budget_mb=256, standby=1)
    await heart.pool.prepare(HELLO, HELLO.latest)
    standing_by = await heart.container(0)
    other = heart.submit(OTHER)
    (await heart.runtime(1)).ready().poll().answer()
    assert (await other.future).ok
    third = heart.submit(THIRD)
    (await heart.runtime(2)).ready().poll().answer()
    assert (await third.future).ok
    assert not standing_by.alive
    assert heart.engine.containers[1].alive
    await heart.close()


async def test_the_longest_unused_standing_by_instance_makes_room_first() -> None:
    heart = Heart(budget_mb=256, standby=1)
    await heart.pool.prepare(HELLO, HELLO.latest)
    await heart.pool.prepare(OTHER, OTHER.latest)
    await heart.container(1)
    heart.submit(THIRD)
    await heart.container(2)
    assert [c.spec.function_name for c in heart.engine.alive] == ["other", "third"]
    await heart.close()


async def test_memory_on_its_way_back_is_counted_before_anyone_else_is_stopped() -> None:
    heart = Heart(budget_mb=256)
    heart.engine.on_release = echoing
    await heart.run(HELLO)
    await heart.run(OTHER)
    heart.engine.destroy_gate.clear()
    third, hello = heart.submit(THIRD), heart.submit(HELLO)
    await turns()
    states = {view.function: view.state for view in heart.pool.instances()}
    assert states == {"hello": "stopping", "other": "idle"}
    heart.engine.destroy_gate.set()
    assert (await third.future).ok
    assert (await hello.future).ok
    await heart.close()


async def test_memory_is_free_only_once_the_container_is_gone() -> None:
    heart = Heart(budget_mb=128)
    heart.engine.on_release = echoing
    await heart.run(HELLO)
    heart.engine.destroy_gate.clear()
    waiting = heart.submit(OTHER)
    await turns()
    assert heart.budget.free_mb == 0
    assert heart.engine.launches == 1
    heart.engine.destroy_gate.set()
    assert (await waiting.future).ok
    await heart.close()


async def test_a_busy_instance_that_becomes_idle_makes_room_for_who_waits() -> None:
    heart = Heart(budget_mb=128)
    first = heart.submit(HELLO)
    runtime = (await heart.runtime(0)).ready().poll()
    waiting = heart.submit(OTHER)
    await turns()
    runtime.answer()
    assert (await first.future).ok
    (await heart.runtime(1)).ready().poll().answer()
    assert (await waiting.future).ok
    assert not runtime.container.alive
    await heart.close()


async def test_a_container_that_comes_to_stand_by_makes_room_for_who_waits() -> None:
    heart = Heart(budget_mb=256, standby=1)
    heart.engine.gate.clear()
    await heart.pool.prepare(HELLO, HELLO.latest)
    await turns()
    heart.submit(BIG)
    await turns()
    heart.engine.gate.set()
    await eventually(lambda: heart.engine.launches == 2)
    assert (await heart.container(1)).spec.function_name == "big"
    await heart.close()


async def test_the_longest_waiting_function_starts_first_when_memory_is_free() -> None:
    heart = Heart(budget_mb=128)
    heart.submit(HELLO)
    runtime = (await heart.runtime(0)).ready().poll()
    second, third = heart.submit(OTHER), heart.submit(THIRD)
    runtime.answer()
    for number, event in ((1, second), (2, third)):
        (await heart.runtime(number)).ready().poll().answer()
        assert (await event.future).ok
    assert [c.spec.function_name for c in heart.engine.containers] == ["hello", "other", "third"]
    await heart.close()


async def test_instances_stand_by_only_out_of_memory_nobody_uses() -> None:
    heart = Heart(budget_mb=128, standby=2)
    await heart.pool.prepare(HELLO, HELLO.latest)
    await heart.container(0)
    heart.submit(HELLO)
    await heart.time.advance(1)
    assert heart.engine.launches == 1
    await heart.close()


# ---------------------------------------------------------------- what the queue asks


async def test_there_is_room_where_an_instance_is_idle_or_stands_by() -> None:
    heart = Heart(budget_mb=256, standby=1)
    await heart.pool.prepare(HELLO, HELLO.latest)
    await heart.container(0)
    assert heart.pool.has_room(HELLO, HELLO.latest)
    heart.submit(HELLO)
    Runtime(heart.engine.containers[0]).ready().poll().answer()
    assert heart.pool.has_room(HELLO, HELLO.latest)
    await heart.close()


async def test_there_is_room_while_memory_is_free_and_few_are_starting() -> None:
    heart = Heart(start_parallelism=2)
    heart.engine.gate.clear()
    rooms = []
    for _ in range(3):
        rooms.append(heart.pool.has_room(HELLO, HELLO.latest))
        heart.submit(HELLO)
    assert rooms == [True, True, False]
    await turns()
    heart.engine.gate.set()
    await heart.close()


async def test_without_free_memory_only_a_function_without_instances_is_let_in() -> None:
    heart = Heart(budget_mb=128)
    heart.submit(HELLO)
    (await heart.runtime(0)).ready()
    assert not heart.pool.has_room(HELLO, HELLO.latest)
    assert heart.pool.has_room(OTHER, OTHER.latest)
    heart.submit(OTHER)
    assert not heart.pool.has_room(OTHER, OTHER.latest)
    await heart.close()


async def test_the_queue_is_told_when_there_may_be_room_again() -> None:
    heart = Heart()
    told: list[str] = []

    def room() -> None:
        told.append(next((view.state for view in heart.pool.instances()), "gone"))

    heart.pool.on_room = room
    heart.submit(HELLO)
    runtime = (await heart.runtime(0)).ready().poll()
    runtime.answer()
    runtime.container.end(Exit(0))
    await eventually(lambda: "gone" in told)
    assert told == ["initialising", "idle", "gone"]
    await heart.close()


async def test_a_withdrawn_event_is_not_run() -> None:
    heart = Heart(budget_mb=128)
    heart.submit(HELLO)
    runtime = (await heart.runtime(0)).ready().poll()
    first, second = heart.submit(HELLO), heart.submit(HELLO)
    heart.pool.withdraw(first)
    heart.pool.withdraw(first)
    first.refuse(499, "not wanted any more")
    runtime.answer()
    runtime.poll()
    assert runtime.events[-1].request_id == second.request_id
    await heart.close()
