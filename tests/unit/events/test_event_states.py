"""Asynchronous execution: states of events, their termination, instances after a failure."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.clock import new_request_id
from sandbox.errors import ConflictError, IllegalTransitionError, NotFoundError
from sandbox.events.model import TRANSITIONS, EventStep, Phase, QueuedEvent, TracedEvent, TraceQuery
from sandbox.invocation import InvokeOptions
from tests.support.clock import EPOCH
from tests.support.waiting import DEADLINE_S, eventually, turns
from tests.unit.events.event_kit import QUEUE, TRACED, QueueBench

if TYPE_CHECKING:
    from tests.unit.events.conftest import Make


async def test_any_invoke_of_a_function_with_asynchronous_execution_only_accepts_the_event(
    make: Make,
) -> None:
    bench = await make()
    bench.function(**TRACED)
    options = InvokeOptions(new_request_id())
    outcome = await bench.invoker.invoke("hello", b'{"n":1}', options)
    assert (outcome.status_code, outcome.body) == (202, b"")
    assert outcome.request_id == options.request_id
    await bench.over()
    assert bench.tries == [(b'{"n":1}', 0)]
    assert await bench.state(options.request_id) == ("FINISHED", 200)


async def test_a_traced_event_is_running_from_its_acceptance_on(make: Make) -> None:
    bench = await make()
    bench.function(**TRACED)
    bench.heart.engine.gate.clear()
    request_id = await bench.send()
    found = await bench.traces.get(request_id)
    assert found is not None
    assert (found.status, found.status_code, found.ended_at) == ("RUNNING", 202, 0)
    bench.heart.engine.gate.set()
    await bench.over()
    ended = await bench.traces.get(request_id)
    assert ended is not None
    assert ended.started_at == found.started_at <= ended.ended_at


async def test_errors_are_not_retried_with_asynchronous_execution(make: Make) -> None:
    bench = await make()
    bench.function(**TRACED, **QUEUE)
    bench.answer = lambda event: "broken"
    request_id = await bench.send()
    await bench.over()
    assert len(bench.tries) == 1
    assert await bench.state(request_id) == ("FAILED", 430)
    assert [letter.request_id for letter in await bench.dead()] == [request_id]


@pytest.mark.parametrize("async_run", [True, False])
async def test_any_failure_ends_the_instance_with_asynchronous_execution_only(
    make: Make, async_run: bool
) -> None:
    bench = await make()
    bench.function(async_run=async_run, retry_num=0)
    for failure in ("error", "too large"):
        if failure == "error":
            bench.answer = lambda event: "broken"
        else:
            bench.answer = lambda event: None
        await bench.send()
        if failure == "too large":
            await eventually(lambda: len(bench.tries) == 2)
            [container] = bench.heart.engine.alive
            container.instance.push_too_large()
        await bench.over()
        await eventually(lambda: len(bench.heart.engine.alive) == (0 if async_run else 1))
    assert bench.heart.engine.launches == (2 if async_run else 1)


async def test_a_success_keeps_the_instance_with_asynchronous_execution(make: Make) -> None:
    bench = await make()
    bench.function(async_run=True)
    for _ in range(3):
        await bench.send()
        await bench.over()
    assert bench.heart.engine.launches == 1


async def test_states_are_kept_for_three_days_from_an_events_end(make: Make) -> None:
    bench = await make()
    bench.function(**TRACED)
    request_id = await bench.send()
    await bench.over()
    await bench.heart.time.advance(3 * 86_400 - 10)
    assert await bench.traces.get(request_id) is not None
    await bench.heart.time.advance(20)
    assert await bench.traces.get(request_id) is None
    assert await bench.traces.find("default", "hello", TraceQuery()) == (0, [])


async def test_states_that_are_too_old_are_deleted_every_hour(make: Make) -> None:
    bench = await make()
    bench.function(**TRACED)
    request_id = await bench.send()
    await bench.over()

    def ended() -> bool:
        state = bench.repository.state(request_id)
        return state is not None and state.ended_at > 0

    await eventually(ended)
    await bench.heart.time.advance(4 * 86_400)
    # A look that began before the state was stored does not see it: the next one is an hour later.
    await bench.heart.time.advance_until(
        lambda: bench.repository.state(request_id) is None, step_s=3_601
    )


async def test_a_function_without_tracing_has_no_states(make: Make) -> None:
    bench = await make()
    bench.function(async_run=True)
    request_id = await bench.send()
    await bench.over()
    assert await bench.traces.get(request_id) is None


@pytest.fixture
async def listed(make: Make) -> QueueBench:
    """Ten states: events 0-9 of version 0 or 1, begun and ended at 100, 110, ..."""
    bench = await make()
    rows = [
        TracedEvent(
            f"id-{number}",
            "default",
            "hello" if number < 9 else "other",
            str(number % 2),
            "COS" if number % 3 else "API",
            "RUNNING" if number == 8 else ("FAILED" if number % 4 else "FINISHED"),
            202 if number == 8 else 200,
            EPOCH + 10 * number,
            0 if number == 8 else EPOCH + 200 - 10 * number,
        )
        for number in range(10)
    ]
    with bench.database.begin() as connection:
        bench.repository._states.run(connection, rows)
    return bench


async def ids(bench: QueueBench, **query: Any) -> list[int]:
    total, events = await bench.traces.find("default", "hello", TraceQuery(**query))
    assert total >= len(events)
    return [int(event.request_id.removeprefix("id-")) for event in events]


async def test_states_are_listed_newest_first_by_start_or_by_end(listed: QueueBench) -> None:
    assert await ids(listed) == [8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert await ids(listed, descending=False) == [0, 1, 2, 3, 4, 5, 6, 7, 8]
    assert await ids(listed, by_end=True) == [0, 1, 2, 3, 4, 5, 6, 7, 8]
    assert await ids(listed, by_end=True, descending=False) == [8, 7, 6, 5, 4, 3, 2, 1, 0]


async def test_states_are_listed_by_every_filter(listed: QueueBench) -> None:
    assert await ids(listed, version="1") == [7, 5, 3, 1]
    assert await ids(listed, request_id="id-3") == [3]
    assert await ids(listed, invoke_types=("API",)) == [6, 3, 0]
    assert await ids(listed, invoke_types=("API", "COS"), statuses=("FINISHED",)) == [4, 0]
    assert await ids(listed, statuses=("RUNNING",)) == [8]
    assert await ids(listed, started=(EPOCH + 20, EPOCH + 40)) == [3, 2]
    assert await ids(listed, ended=(EPOCH + 180, EPOCH + 200)) == [2, 1]
    assert await ids(listed, ended=(0, EPOCH + 10_000)) == [7, 6, 5, 4, 3, 2, 1, 0]


async def test_states_are_listed_by_page_with_the_total(listed: QueueBench) -> None:
    total, page = await listed.traces.find("default", "hello", TraceQuery(offset=7, limit=5))
    assert total == 9
    assert [event.request_id for event in page] == ["id-1", "id-0"]


# ---------------------------------------------------------------- the end of its version


async def test_an_event_whose_version_is_deleted_by_force_is_over(make: Make) -> None:
    bench = await make()
    bench.function(**TRACED, **QUEUE)
    bench.answer = lambda event: None
    request_id = await bench.send()
    await eventually(lambda: len(bench.tries) == 1)
    await bench.heart.pool.kill("default", "hello", "$LATEST")
    await bench.over()
    assert await bench.state(request_id) == ("FAILED", 499)
    assert bench.on_disk() == []
    assert [letter.request_id for letter in await bench.dead()] == [request_id]
    with pytest.raises(ConflictError):
        await asyncio.wait_for(bench.queue.terminate("default", "hello", request_id), DEADLINE_S)


async def test_an_event_that_waits_for_an_instance_of_a_version_deleted_by_force_is_over(
    make: Make,
) -> None:
    bench = await make()
    bench.function()
    bench.heart.engine.gate.clear()
    request_id = await bench.send()
    await turns()
    await bench.heart.pool.kill("default", "hello", "$LATEST")
    await bench.over()
    with pytest.raises(NotFoundError):
        await asyncio.wait_for(bench.queue.terminate("default", "hello", request_id), DEADLINE_S)


async def test_a_termination_waits_for_the_end_that_a_deletion_by_force_is_making(
    make: Make,
) -> None:
    bench = await make()
    bench.function(**TRACED)
    bench.answer = lambda event: None
    request_id = await bench.send()
    await eventually(lambda: len(bench.tries) == 1)
    await bench.heart.pool.kill("default", "hello", "$LATEST")
    await asyncio.wait_for(bench.queue.terminate("default", "hello", request_id), DEADLINE_S)
    assert await bench.state(request_id) == ("FAILED", 499)


async def test_an_event_that_a_stopping_pool_ends_is_run_again_by_the_next_process(
    make: Make,
) -> None:
    bench = await make()
    bench.function()
    bench.answer = lambda event: None
    request_id = await bench.send()
    await eventually(lambda: len(bench.tries) == 1)
    await bench.heart.pool.close()
    await turns(50)
    assert [event.request_id for event in bench.on_disk()] == [request_id]
    assert await bench.dead() == []


# ---------------------------------------------------------------- phases


def a_queued_event(phase: Phase) -> QueuedEvent:
    return QueuedEvent(
        seq=1,
        request_id="id",
        namespace="default",
        function_name="hello",
        function_id="lam-hello",
        qualifier="$LATEST",
        version="$LATEST",
        invocation_type="Event",
        source="API",
        routing_key="",
        accepted_at=0.0,
        traced=False,
        phase=phase,
    )


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("step", EventStep)
def test_an_event_changes_its_phase_by_the_table_only(phase: Phase, step: EventStep) -> None:
    event = a_queued_event(phase)
    if (phase, step) in TRANSITIONS:
        event.step(step)
        assert event.phase is TRANSITIONS[phase, step]
    else:
        with pytest.raises(IllegalTransitionError):
            event.step(step)
        assert event.phase is phase


def test_an_event_that_is_over_stays_so() -> None:
    assert {phase for phase, _ in TRANSITIONS} == set(Phase) - {Phase.OVER}
