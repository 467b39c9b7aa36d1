"""Which instance takes an event: warm, standing by, new; and who waits for which."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandbox.engine.base import Exit
from tests.support.engine import FakeContainer, Runtime, echoing
from tests.support.functions import function
from tests.support.pool import Heart
from tests.support.waiting import eventually, turns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HELLO = function()


@pytest.fixture
async def heart() -> AsyncIterator[Heart]:
    heart = Heart()
    yield heart
    await heart.close()


async def test_the_first_event_starts_an_instance_cold(heart: Heart) -> None:
    heart.engine.on_release = echoing
    outcome = await heart.run(HELLO, b'"hi"')
    assert (outcome.status_code, outcome.body, outcome.cold_start) == (200, b'"hi"', True)
    (container,) = heart.engine.containers
    spec = container.spec
    assert outcome.instance_id == spec.instance_id
    assert len(bytes.fromhex(spec.instance_id)) == 16
    assert (spec.namespace, spec.function_name, spec.version) == ("default", "hello", "$LATEST")
    assert (spec.code_digest, spec.memory_mb, spec.layers) == ("c0de", 128, ())
    assert spec.environment["SCF_FUNCTIONNAME"] == "hello"


async def test_a_warm_instance_takes_the_next_event(heart: Heart) -> None:
    heart.engine.on_release = echoing
    outcomes = [await heart.run(HELLO) for _ in range(3)]
    assert [outcome.cold_start for outcome in outcomes] == [True, False, False]
    assert heart.engine.launches == 1


async def test_concurrent_events_run_on_an_instance_each(heart: Heart) -> None:
    events = [heart.submit(HELLO) for _ in range(3)]
    runtimes = [(await heart.runtime(number)).ready().poll() for number in range(3)]
    assert [len(runtime.events) for runtime in runtimes] == [1, 1, 1]
    for runtime in runtimes:
        runtime.answer(runtime.events[0].request_id.encode())
    for event in events:
        assert (await event.future).text == event.request_id


async def test_the_instance_used_last_is_used_first(heart: Heart) -> None:
    events = [heart.submit(HELLO) for _ in range(3)]
    runtimes = [(await heart.runtime(number)).ready().poll() for number in range(3)]
    for number in (1, 2, 0):
        runtimes[number].answer()
        runtimes[number].poll()
    for expected in (0, 2, 1):
        event = heart.submit(HELLO)
        assert runtimes[expected].events[-1].request_id == event.request_id
    assert heart.engine.launches == 3
    assert all(event.future.done() for event in events)


async def test_events_wait_first_in_first_out(heart: Heart) -> None:
    heart.engine.gate.clear()
    events = [heart.submit(HELLO) for _ in range(3)]
    heart.engine.gate.set()
    runtimes = [(await heart.runtime(number)).ready().poll() for number in range(3)]
    served = [runtime.events[0].request_id for runtime in runtimes]
    assert served == [event.request_id for event in events]


async def test_a_freed_warm_instance_serves_who_waits_before_a_starting_one(heart: Heart) -> None:
    heart.submit(HELLO)
    warm = (await heart.runtime(0)).ready().poll()
    heart.engine.gate.clear()
    second = heart.submit(HELLO)
    await turns()
    assert heart.engine.launches == 2
    warm.answer()
    warm.poll()
    assert warm.events[-1].request_id == second.request_id
    heart.engine.gate.set()
    started = await heart.container(1)
    released = [started.released]
    third = heart.submit(HELLO)
    released.append(started.released)
    assert released == [False, True]
    assert heart.engine.launches == 2
    Runtime(started).ready().poll().answer()
    assert (await third.future).cold_start


async def test_an_event_whose_caller_went_away_is_not_run(heart: Heart) -> None:
    heart.submit(HELLO)
    warm = (await heart.runtime(0)).ready().poll()
    heart.engine.gate.clear()
    gone, next_one, gone_too = (heart.submit(HELLO) for _ in range(3))
    gone.future.cancel()
    gone_too.future.cancel()
    warm.answer()
    warm.poll()
    assert warm.events[-1].request_id == next_one.request_id
    heart.engine.gate.set()
    for number in (1, 2, 3):
        assert not (await heart.container(number)).released
    warm.answer()
    assert next_one.future.done()


async def test_a_caller_who_goes_away_gives_up_the_place_in_the_queue(heart: Heart) -> None:
    heart.budget.reserve(heart.budget.total_mb)
    gone = heart.submit(HELLO)
    gone.future.cancel()
    await turns()
    heart.budget.give_back(heart.budget.total_mb)
    heart.engine.on_release = echoing
    await heart.run(HELLO)
    assert heart.engine.launches == 1


async def test_a_started_container_skips_who_has_gone_away(heart: Heart) -> None:
    heart.engine.gate.clear()
    gone, kept = heart.submit(HELLO), heart.submit(HELLO)
    await turns()
    heart.engine.gate.set()

    def leave(_container: FakeContainer) -> None:
        gone.future.cancel()

    heart.engine.on_launch = leave
    runtime = (await heart.runtime(0)).ready().poll()
    assert runtime.events[0].request_id == kept.request_id


async def test_other_functions_have_instances_of_their_own(heart: Heart) -> None:
    heart.engine.on_release = echoing
    await heart.run(HELLO)
    await heart.run(function("other"))
    assert [c.spec.function_name for c in heart.engine.containers] == ["hello", "other"]


async def test_a_record_written_anew_without_change_shares_the_instances(heart: Heart) -> None:
    heart.engine.on_release = echoing
    await heart.run(HELLO)
    await heart.run(function(description="new words"))
    assert heart.engine.launches == 1


@pytest.mark.parametrize(
    "changed",
    [
        function(environment={"A": "1"}),
        function(memory_mb=256),
        function(timeout_s=4),
        function(digest="0ther"),
        function(epoch=1),
    ],
    ids=["environment", "memory", "timeout", "code", "epoch"],
)
async def test_a_change_of_what_shapes_an_instance_starts_a_new_one(
    heart: Heart, changed: object
) -> None:
    heart.engine.on_release = echoing
    await heart.run(HELLO)
    outcome = await heart.run(changed)  # type: ignore[arg-type]
    assert outcome.cold_start
    assert heart.engine.launches == 2


async def test_instances_are_found_by_name_and_address_while_they_live(heart: Heart) -> None:
    heart.engine.on_release = echoing
    await heart.run(HELLO)
    (container,) = heart.engine.containers
    assert heart.pool.by_host == {container.runtime_host: container.instance}
    assert heart.pool.by_peer == {container.peer: container.instance}
    container.end(Exit(0))
    await eventually(lambda: not heart.pool.by_host)
    assert heart.pool.by_peer == {}


async def test_instances_are_listed_as_plain_data(heart: Heart) -> None:
    heart.engine.gate.clear()
    event = heart.submit(HELLO)
    await turns()
    (starting,) = heart.pool.instances()
    assert (starting.state, starting.container_id) == ("starting", "")
    assert starting.request_id == ""
    heart.engine.gate.set()
    runtime = (await heart.runtime(0)).ready()
    (busy,) = heart.pool.instances()
    assert busy.instance_id == runtime.container.spec.instance_id[:12]
    assert busy.container_id == "fake-0"
    assert (busy.namespace, busy.function, busy.version) == ("default", "hello", "$LATEST")
    assert (busy.state, busy.memory_mb, busy.served) == ("busy", 128, 0)
    assert busy.request_id == event.request_id
    assert busy.retired is False
    assert [transition.state for transition in busy.transitions] == [
        "starting",
        "standing by",
        "initialising",
        "idle",
    ]


# ---------------------------------------------------------------- death of an instance


async def test_an_instance_that_ended_idle_is_not_used(heart: Heart) -> None:
    heart.engine.on_release = echoing
    first = await heart.run(HELLO)
    heart.engine.containers[0].end(Exit(0))
    second = await heart.run(HELLO)
    assert second.cold_start
    assert second.instance_id != first.instance_id


async def test_an_event_that_met_a_dying_instance_goes_to_another(heart: Heart) -> None:
    heart.submit(HELLO)
    runtime = (await heart.runtime(0)).ready().poll()
    runtime.answer()
    event = heart.submit(HELLO)
    runtime.container.end(Exit(0))
    (await heart.runtime(1)).ready().poll().answer(b"from another")
    outcome = await event.future
    assert outcome.body == b"from another"
    assert outcome.cold_start


async def test_a_warm_event_that_meets_two_dying_instances_fails(heart: Heart) -> None:
    events = [heart.submit(HELLO) for _ in range(2)]
    runtimes = [(await heart.runtime(number)).ready().poll() for number in range(2)]
    for runtime in runtimes:
        runtime.answer()
    assert all(event.future.done() for event in events)
    event = heart.submit(HELLO)
    runtimes[1].container.end(Exit(0))
    runtimes[0].container.end(Exit(0))
    assert (await event.future).status_code == 439


# ---------------------------------------------------------------- standing by


async def test_a_prepared_function_has_an_instance_standing_by() -> None:
    heart = Heart(standby=2)
    await heart.pool.prepare(HELLO, HELLO.latest)
    assert heart.engine.prepared == [("c0de", ())]
    await heart.container(1)
    assert [c.released for c in heart.engine.containers] == [False, False]
    await heart.pool.prepare(HELLO, HELLO.latest)
    assert heart.engine.launches == 2
    await heart.close()


async def test_an_instance_standing_by_is_released_and_then_replaced() -> None:
    heart = Heart(standby=1)
    await heart.pool.prepare(HELLO, HELLO.latest)
    container = await heart.container(0)
    event = heart.submit(HELLO)
    assert container.released
    await heart.time.advance(0.2)
    assert heart.engine.launches == 1
    await heart.time.advance(0.1)
    await heart.container(1)
    assert not heart.engine.containers[1].released
    Runtime(container).ready().poll().answer()
    assert (await event.future).cold_start
    await heart.time.advance(10)
    assert heart.engine.launches == 2
    await heart.close()


async def test_containers_that_start_for_who_waits_do_not_count_as_standing_by() -> None:
    heart = Heart(standby=1)
    heart.engine.gate.clear()
    heart.submit(HELLO)
    await heart.pool.prepare(HELLO, HELLO.latest)
    await turns()
    assert heart.engine.launches == 2
    heart.engine.gate.set()
    await heart.container(1)
    assert [c.released for c in heart.engine.containers] == [True, False]
    await heart.close()


async def test_a_standing_by_instance_that_ends_is_gone(heart: Heart) -> None:
    heart.engine.gate.clear()
    event = heart.submit(HELLO)
    await turns()
    event.future.cancel()
    heart.engine.gate.set()
    container = await heart.container(0)
    container.end(Exit(1))
    await eventually(lambda: heart.pool.instances() == [])


async def test_code_no_longer_needed_is_forgotten_by_the_engine(heart: Heart) -> None:
    await heart.pool.forget_code("c0de")
    assert heart.engine.forgotten == ["c0de"]
