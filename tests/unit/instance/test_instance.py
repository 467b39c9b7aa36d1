"""The life of an instance that goes well: start, init, events, logs, timeline."""

from __future__ import annotations

import pytest

from sandbox.engine.base import Exit
from sandbox.errors import IllegalTransitionError
from sandbox.instance.lifecycle import State
from sandbox.instance.rendezvous import Push
from sandbox.invocation import Cause
from tests.unit.instance.instance_kit import MB, InstanceBench, failure


@pytest.fixture
async def bench() -> InstanceBench:
    return InstanceBench()


async def test_a_started_container_waits_to_be_released(bench: InstanceBench) -> None:
    states = [bench.instance.state]
    bench.standing_by()
    states.append(bench.instance.state)
    released_before = bench.container.released
    bench.instance.release(bench.invocation())
    states.append(bench.instance.state)
    assert states == [State.STARTING, State.STANDING_BY, State.INITIALISING]
    assert (released_before, bench.container.released) == (False, True)


async def test_ready_dispatches_the_event_that_the_instance_was_started_for(
    bench: InstanceBench,
) -> None:
    bench.initialising()
    bench.poll()
    assert bench.got == []
    bench.instance.ready()
    assert bench.instance.state is State.BUSY
    (event,) = bench.got
    assert event == ("request-1", 128, 3000, b"{}")


async def test_only_the_first_report_of_ready_counts(bench: InstanceBench) -> None:
    bench.instance.ready()
    bench.initialising()
    bench.clock.tick(0.5)
    bench.instance.ready()
    bench.poll()
    bench.clock.tick(1)
    bench.instance.ready()
    invocation = bench.instance.invocation
    assert invocation is not None
    bench.push()
    bench.instance.ready()
    assert invocation.future.result().init_ms == 500
    assert bench.instance.state is State.IDLE


async def test_a_result_is_the_pushed_bytes_and_frees_the_instance(bench: InstanceBench) -> None:
    invocation = bench.busy()
    bench.poll()
    bench.clock.tick(0.0123456)
    assert bench.push(b"\xff raw \x00") is Push.ACCEPTED
    outcome = invocation.future.result()
    assert outcome.ok
    assert outcome.body == b"\xff raw \x00"
    assert outcome.text == "\ufffd raw \x00"
    assert outcome.duration_ms == 12.346
    assert outcome.bill_ms == 13
    assert outcome.memory_mb == 128
    assert outcome.instance_id == "f" * 32
    assert bench.idle == [bench.instance]
    assert bench.stopping == []


async def test_init_time_is_told_apart_from_duration(bench: InstanceBench) -> None:
    invocation = bench.initialising()
    bench.clock.tick(2)
    bench.instance.ready()
    bench.clock.tick(1)
    bench.poll()
    bench.push()
    outcome = invocation.future.result()
    assert (outcome.init_ms, outcome.duration_ms, outcome.cold_start) == (2000, 1000, True)


async def test_the_second_event_is_no_cold_start(bench: InstanceBench) -> None:
    bench.warm()
    invocation = bench.dispatch()
    bench.poll()
    bench.push()
    outcome = invocation.future.result()
    assert (outcome.cold_start, outcome.init_ms) == (False, 0)
    assert bench.instance.served == 2


async def test_an_instance_released_for_nobody_is_idle_when_it_is_ready(
    bench: InstanceBench,
) -> None:
    bench.standing_by()
    bench.instance.release(None)
    bench.instance.ready()
    assert bench.idle == [bench.instance]
    assert bench.instance.state is State.IDLE


async def test_memory_use_is_the_peak_the_container_saw(bench: InstanceBench) -> None:
    invocation = bench.busy()
    bench.container.peak = 30 * MB
    bench.container.look()
    bench.container.peak = 20 * MB
    bench.poll()
    bench.push()
    assert invocation.future.result().mem_usage == 30 * MB


async def test_the_timeline_of_a_cold_start_names_every_stage(bench: InstanceBench) -> None:
    bench.standing_by()
    bench.instance.prepared_at = bench.clock.now()
    invocation = bench.invocation()
    for step in (
        lambda: bench.instance.release(invocation),
        bench.instance.ready,
        bench.poll,
        bench.push,
    ):
        bench.clock.tick(1)
        step()
    start = bench.instance.transitions[0][1]
    assert {stage: at - start for stage, at in invocation.times.items()} == {
        "prepared": 0,
        "started": 0,
        "released": 1,
        "ready": 2,
        "dispatched": 2,
        "fetched": 3,
        "finished": 4,
    }
    states = [state for state, _ in bench.instance.transitions]
    assert states == [State.STARTING, State.STANDING_BY, State.INITIALISING, State.IDLE]


async def test_an_event_handed_to_a_parked_poll_is_fetched_at_dispatch(
    bench: InstanceBench,
) -> None:
    bench.warm()
    bench.poll()
    invocation = bench.dispatch()
    assert invocation.times["fetched"] == invocation.times["dispatched"]


async def test_only_the_first_fetch_is_in_the_timeline(bench: InstanceBench) -> None:
    invocation = bench.busy()
    bench.poll()
    fetched = invocation.times["fetched"]
    bench.clock.tick(1)
    bench.poll()
    assert invocation.times["fetched"] == fetched


async def test_a_poll_whose_connection_is_gone_is_forgotten(bench: InstanceBench) -> None:
    bench.warm()
    bench.got.clear()
    bench.poll()
    bench.instance.unpark(bench.got.append)
    invocation = bench.dispatch()
    assert bench.got == []
    assert "fetched" not in invocation.times


async def test_a_late_push_is_noted_in_the_log_and_changes_nothing(bench: InstanceBench) -> None:
    invocation = bench.busy()
    bench.poll(2)
    assert bench.push(b"first") is Push.ACCEPTED
    assert bench.push(b"second") is Push.IGNORED_LATE
    assert bench.push(b"third") is Push.IGNORED_ORPHAN
    assert invocation.future.result().body == b"first"
    assert bench.lines("request-1") == [
        "[PLATFORM] push ignored: the event has its result already",
        "[PLATFORM] push ignored: there is no event outstanding",
    ]


async def test_a_surplus_push_does_not_end_the_next_event(bench: InstanceBench) -> None:
    bench.busy()
    bench.poll(2)
    bench.push()
    second = bench.dispatch()
    bench.poll()
    assert bench.push(b"late") is Push.IGNORED_LATE
    assert not second.future.done()
    assert bench.push(b"mine") is Push.ACCEPTED
    assert second.future.result().body == b"mine"


async def test_timeout_starts_when_a_held_event_is_handed_out(bench: InstanceBench) -> None:
    bench.busy()
    bench.poll(2)
    bench.push()
    second = bench.dispatch()
    bench.poll()
    bench.clock.tick(0.1)
    await bench.time.advance(0.11)
    bench.clock.tick(0.5)
    bench.push()
    assert second.future.result().duration_ms == 500


async def test_lines_of_the_initialisation_belong_to_the_first_request(
    bench: InstanceBench,
) -> None:
    bench.initialising()
    bench.container.write("starting up\n")
    bench.instance.ready()
    bench.container.write("got it\n")
    bench.poll()
    bench.push()
    assert bench.lines("request-1") == ["starting up", "got it"]


async def test_lines_before_an_event_is_fetched_belong_to_the_one_before(
    bench: InstanceBench,
) -> None:
    bench.warm()
    bench.container.write("OK\n")
    bench.dispatch()
    bench.container.write("long-polling...\n")
    bench.poll()
    await bench.later(0.01)
    bench.container.write("second\n")
    assert bench.lines("request-1") == ["OK", "long-polling..."]
    assert bench.lines("request-2") == ["second"]


async def test_a_tail_is_kept_only_when_it_was_asked_for(bench: InstanceBench) -> None:
    bench.warm()
    with_tail = bench.dispatch(tail=True)
    bench.poll()
    bench.container.write("hello\n")
    bench.push()
    tail = with_tail.future.result().tail
    assert tail is not None
    assert [text for _, text in tail.lines] == ["hello"]
    without = bench.dispatch()
    bench.poll()
    await bench.later(0.01)
    bench.push()
    assert without.future.result().tail is None


async def test_a_caller_who_went_away_does_not_disturb_the_instance(bench: InstanceBench) -> None:
    invocation = bench.busy()
    invocation.future.cancel()
    bench.poll()
    assert bench.push() is Push.ACCEPTED
    assert bench.idle == [bench.instance]


async def test_an_idle_instance_stops_once(bench: InstanceBench) -> None:
    bench.warm()
    bench.instance.stop()
    bench.instance.stop()
    bench.container.end(Exit(137))
    assert bench.stopping == [bench.instance]
    bench.instance.removed()
    bench.instance.stop()
    assert bench.instance.state is State.GONE
    assert bench.stopping == [bench.instance]


async def test_an_instance_takes_one_event_at_a_time(bench: InstanceBench) -> None:
    bench.busy()
    with pytest.raises(IllegalTransitionError):
        bench.dispatch()


async def test_cancel_ends_the_event_and_the_instance(bench: InstanceBench) -> None:
    bench.warm()
    bench.clock.tick(10)
    invocation = bench.dispatch()
    bench.clock.tick(1)
    bench.instance.cancel(Cause.SHUTDOWN, "the sandbox is stopping")
    assert failure(invocation)["statusCode"] == 499
    assert invocation.future.result().duration_ms == 1000
    assert bench.stopping == [bench.instance]


async def test_an_event_canceled_while_it_is_held_has_taken_no_time_of_the_one_before(
    bench: InstanceBench,
) -> None:
    bench.busy()
    bench.poll(2)
    bench.clock.tick(2)
    bench.push()
    bench.clock.tick(10)
    held = bench.dispatch()
    bench.instance.cancel(Cause.SHUTDOWN, "the sandbox is stopping")
    assert held.future.result().duration_ms == 0
