"""Borders: what waits until all that was written before is in the log, and what does not."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from sandbox.engine.base import Exit
from sandbox.instance.lifecycle import State
from sandbox.instance.rendezvous import Push
from tests.unit.instance.instance_kit import MB, InstanceBench, failure


@pytest.fixture
async def bench() -> InstanceBench:
    return InstanceBench()


async def test_lines_that_come_after_the_result_do_not_belong_to_the_next_event(
    bench: InstanceBench,
) -> None:
    bench.warm()
    bench.dispatch()
    bench.poll()
    bench.container.write("two, the first part\n")
    bench.push()
    bench.container.holds_flushes = True
    bench.poll()
    bench.dispatch()
    assert len(bench.got) == 2
    bench.container.write("two, the rest\n")
    bench.container.answer()
    assert len(bench.got) == 3
    bench.container.write("three\n")
    assert bench.lines("request-2") == ["two, the first part", "two, the rest"]
    assert bench.lines("request-3") == ["three"]


async def test_a_second_poll_without_a_push_asks_for_no_border(bench: InstanceBench) -> None:
    bench.warm()
    bench.container.holds_flushes = True
    bench.poll(2)
    assert len(bench.container.flushes) == 1
    bench.dispatch()
    bench.container.answer()
    assert len(bench.got) == 3
    bench.poll()
    assert len(bench.got) == 4
    assert bench.container.flushes == []


async def test_a_poll_whose_connection_is_gone_before_its_border_is_forgotten(
    bench: InstanceBench,
) -> None:
    bench.warm()
    bench.container.holds_flushes = True
    bench.poll()
    bench.instance.unpark(bench.got.append)
    bench.dispatch()
    bench.container.answer()
    assert len(bench.got) == 1


@pytest.mark.parametrize("dispatched", ["before the poll", "after the poll"])
async def test_time_in_which_a_border_is_waited_for_is_nobodys(
    bench: InstanceBench, dispatched: str
) -> None:
    bench.warm()
    bench.container.holds_flushes = True
    invocation = bench.dispatch() if dispatched == "before the poll" else None
    bench.poll()
    invocation = invocation or bench.dispatch()
    await bench.later(60)
    assert not invocation.over
    bench.container.answer()
    await bench.later(2.9)
    bench.container.holds_flushes = False
    bench.push()
    assert invocation.future.result().duration_ms == pytest.approx(2900)


async def test_the_timeout_goes_on_behind_the_border(bench: InstanceBench) -> None:
    bench.warm()
    bench.container.holds_flushes = True
    invocation = bench.dispatch()
    await bench.later(1)
    bench.poll()
    await bench.later(60)
    bench.container.answer()
    bench.container.holds_flushes = False
    await bench.later(1.9)
    assert not invocation.over
    await bench.later(0.2)
    assert invocation.future.result().status_code == 433


async def test_a_runtime_that_takes_its_time_gets_its_next_event_as_soon_as_it_asks(
    bench: InstanceBench,
) -> None:
    bench.warm()
    bench.container.write("OK\n")
    invocation = bench.dispatch()
    await bench.later(0.003)
    bench.poll()
    assert len(bench.got) == 2
    await bench.later(0.5)
    bench.push()
    assert invocation.future.result().duration_ms == pytest.approx(503)


async def test_an_event_that_nobody_asks_for_times_out(bench: InstanceBench) -> None:
    bench.warm()
    bench.container.write("OK\n")
    invocation = bench.dispatch()
    await bench.later(3.01)
    assert "did not fetch" in failure(invocation)["errorMessage"]


async def test_a_border_that_does_not_come_is_told_of_once(bench: InstanceBench) -> None:
    bench.warm()
    bench.container.holds_flushes = True
    bench.poll()
    bench.dispatch()
    with capture_logs() as logs:
        for _ in range(3):
            bench.clock.tick(1.5)
            bench.instance.borders.look()
    assert [(entry["event"], entry["instance"]) for entry in logs] == [
        ("flush_unanswered", "f" * 32)
    ]
    bench.container.answer()
    assert len(bench.got) == 2


async def test_all_that_was_written_before_ready_comes_before_the_first_event(
    bench: InstanceBench,
) -> None:
    invocation = bench.initialising()
    bench.container.holds_flushes = True
    bench.clock.tick(0.5)
    bench.instance.ready()
    bench.poll()
    bench.clock.tick(0.25)
    bench.container.write("last of the initialisation\n")
    states = [bench.instance.state]
    bench.container.answer()
    states.append(bench.instance.state)
    assert states == [State.INITIALISING, State.BUSY]
    (taken, _), *_ = [line for chunk in bench.kept.chunks for line in chunk.lines]
    assert taken <= invocation.times["ready"]
    assert len(bench.got) == 1
    bench.container.holds_flushes = False
    bench.push()
    assert invocation.future.result().init_ms == 500


async def test_ready_just_in_time_is_in_time_however_long_its_border_takes(
    bench: InstanceBench,
) -> None:
    bench.initialising()
    bench.container.holds_flushes = True
    bench.instance.ready()
    await bench.later(10)
    bench.container.answer()
    assert bench.instance.state is State.BUSY


async def test_a_tail_has_what_was_written_before_the_result(bench: InstanceBench) -> None:
    bench.warm()
    invocation = bench.dispatch(tail=True)
    bench.poll()
    bench.container.holds_flushes = True
    bench.clock.tick(0.001)
    bench.push(b"the result")
    bench.clock.tick(0.05)
    bench.container.write("under way\nand without a line end")
    assert not invocation.over
    bench.container.answer()
    outcome = invocation.future.result()
    assert outcome.tail is not None
    assert [text for _, text in outcome.tail.lines] == ["under way", "and without a line end"]
    assert outcome.duration_ms == pytest.approx(1)


async def test_a_tail_waits_a_tenth_of_a_second_at_most(bench: InstanceBench) -> None:
    bench.warm()
    invocation = bench.dispatch(tail=True)
    bench.poll()
    bench.container.holds_flushes = True
    bench.push()
    bench.poll()
    await bench.later(0.09)
    assert not invocation.over
    await bench.later(0.02)
    assert invocation.future.result().ok
    second = bench.dispatch()
    bench.container.answer()
    assert not second.over
    assert len(bench.got) == 3


async def test_a_push_that_comes_while_the_result_settles_is_late(bench: InstanceBench) -> None:
    bench.warm()
    bench.got.clear()
    invocation = bench.dispatch(tail=True)
    bench.poll(2)
    bench.container.holds_flushes = True
    assert bench.push(b"first") is Push.ACCEPTED
    assert bench.push(b"second") is Push.IGNORED_LATE
    bench.poll()
    assert len(bench.got) == 2
    bench.container.answer()
    assert invocation.future.result().body == b"first"


async def test_a_process_that_dies_behind_its_result_has_given_it(bench: InstanceBench) -> None:
    bench.warm()
    invocation = bench.dispatch(tail=True)
    bench.poll()
    bench.container.holds_flushes = True
    bench.push(b"the result")
    bench.container.end(Exit(1))
    assert invocation.future.result().body == b"the result"
    assert bench.stopping == [bench.instance]


@pytest.mark.parametrize(("seconds", "peak", "asked"), [(0.004, 7, 0), (0.006, 7, 1), (0, 120, 1)])
async def test_a_result_waits_for_its_memory_where_that_may_have_changed(
    bench: InstanceBench, seconds: float, peak: int, asked: int
) -> None:
    bench.warm()
    bench.container.peak = peak * MB
    bench.container.look()
    bench.dispatch()
    bench.poll()
    bench.container.holds_flushes = True
    bench.clock.tick(seconds)
    bench.push()
    assert len(bench.container.flushes) == asked


async def test_an_instance_that_rests_is_watched_again_with_the_next_event(
    bench: InstanceBench,
) -> None:
    bench.warm()
    bench.dispatch()
    bench.poll()
    bench.push()
    bench.instance.rest()
    bench.instance.rest()
    bench.dispatch()
    assert bench.container.watched == [False, True]
