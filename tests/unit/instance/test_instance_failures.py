"""The ways in which an event or an instance fails, with status, text and what comes after."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from sandbox.engine.base import Exit
from sandbox.instance.lifecycle import State
from sandbox.instance.rendezvous import Push
from sandbox.invocation import Cause
from tests.unit.instance.instance_kit import MB, InstanceBench, failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.engine.base import InstanceSpec

OOM = Exit(137, oom_killed=True)
OOM_TEXT = "Task memory exceeded 128 MB"


@pytest.fixture
async def bench() -> InstanceBench:
    return InstanceBench()


# ---------------------------------------------------------------- 433, Timeout


async def test_a_fetched_event_without_a_result_times_out(bench: InstanceBench) -> None:
    invocation = bench.busy()
    bench.poll()
    await bench.time.advance(2.9)
    assert not invocation.future.done()
    bench.clock.tick(3.0123)
    await bench.time.advance(0.2)
    assert failure(invocation) == {
        "errorCode": -1,
        "errorMessage": "Invoking task timed out after 3 seconds",
        "statusCode": 433,
    }
    outcome = invocation.future.result()
    assert (outcome.duration_ms, outcome.bill_ms) == (3000, 3000)
    assert bench.stopping == [bench.instance]


async def test_an_event_that_nobody_fetched_times_out_with_a_text_of_its_own(
    bench: InstanceBench,
) -> None:
    invocation = bench.busy()
    await bench.time.advance(3.1)
    assert failure(invocation)["errorMessage"] == (
        "Invoking task timed out after 3 seconds: the runtime did not fetch the event"
    )
    assert invocation.future.result().status_code == 433
    assert invocation.future.result().duration_ms == 3000
    assert bench.stopping == [bench.instance]


async def test_a_result_in_time_leaves_no_timer_behind(bench: InstanceBench) -> None:
    bench.busy()
    bench.poll()
    bench.push()
    await bench.time.advance(10)
    assert bench.instance.state is State.IDLE
    assert bench.stopping == []


async def test_a_push_after_the_timeout_is_an_orphan(bench: InstanceBench) -> None:
    invocation = bench.busy()
    bench.poll()
    await bench.time.advance(3.1)
    assert bench.push() is Push.IGNORED_ORPHAN
    assert invocation.future.result().status_code == 433


# ---------------------------------------------------------------- initialisation


async def test_a_bootstrap_that_is_never_ready_runs_into_the_init_timeout(
    bench: InstanceBench,
) -> None:
    invocation = bench.initialising()
    bench.container.write("waiting for nothing\n")
    bench.clock.tick(5)
    await bench.time.advance(5.1)
    assert failure(invocation) == {
        "errorCode": -1,
        "errorMessage": (
            "Initialization timed out after 5 seconds: the bootstrap did not"
            " POST /runtime/init/ready in time: waiting for nothing"
        ),
        "statusCode": 450,
    }
    outcome = invocation.future.result()
    assert (outcome.duration_ms, outcome.bill_ms, outcome.init_ms) == (0, 0, 5000)
    assert bench.lines("request-1") == ["waiting for nothing"]
    assert bench.stopping == [bench.instance]


async def test_a_silent_initialisation_that_times_out_is_told_as_one(bench: InstanceBench) -> None:
    invocation = bench.initialising()
    await bench.time.advance(5.1)
    assert failure(invocation)["errorMessage"].endswith("in time, without any output")


async def test_ready_after_the_init_timeout_is_too_late(bench: InstanceBench) -> None:
    invocation = bench.initialising()
    bench.container.holds_flushes = True
    await bench.time.advance(5.02)
    bench.container.write("last words")
    bench.instance.ready()
    assert not invocation.over
    bench.container.answer()
    assert failure(invocation)["errorMessage"].endswith("in time: last words")


async def test_what_the_kernel_refuses_to_run_is_told(bench: InstanceBench) -> None:
    invocation = bench.initialising()
    bench.container.end(Exit(127, errno=2, stage="exec"))
    why = "the bootstrap cannot be started: No such file or directory"
    assert failure(invocation)["errorMessage"] == f"Initialization failed: {why}"
    assert bench.lines("request-1") == [f"[PLATFORM] {why}"]


class Explains:
    """Tells why when it is asked to."""

    def __init__(self) -> None:
        self.asked: list[tuple[Exit, str]] = []
        self.tells: list[Callable[[str], None]] = []

    def explain(
        self, spec: InstanceSpec, exit: Exit, output: str, tell: Callable[[str], None]
    ) -> None:
        self.asked.append((exit, output))
        self.tells.append(tell)


@pytest.mark.parametrize(
    ("exit", "message"),
    [
        (Exit(127, errno=2, stage="exec"), "Initialization failed: it is the line ends"),
        (
            Exit(127),
            "Initialization failed: the bootstrap ended with exit code 127 before it reported"
            " ready: last words; it is the line ends",
        ),
    ],
)
async def test_a_failed_start_waits_for_its_explanation(exit: Exit, message: str) -> None:
    explainer = Explains()
    bench = InstanceBench(explainer=explainer)
    invocation = bench.initialising()
    bench.container.write("last words")
    bench.clock.tick(0.25)
    bench.container.end(exit)
    assert explainer.asked == [(exit, "last words")]
    assert not invocation.over
    await bench.later(60)  # past the InitTimeout
    explainer.tells[0]("it is the line ends")
    assert failure(invocation)["errorMessage"] == message
    assert invocation.future.result().init_ms == 250
    assert bench.lines("request-1")[-1] == "[PLATFORM] it is the line ends"
    assert bench.stopping == [bench.instance]


async def test_an_explanation_that_comes_too_late_is_no_news() -> None:
    explainer = Explains()
    bench = InstanceBench(explainer=explainer)
    invocation = bench.initialising()
    bench.container.end(Exit(1))
    bench.instance.cancel(Cause.KILLED, "enough")
    explainer.tells[0]("it is the line ends")
    assert failure(invocation)["statusCode"] == 499


async def test_an_instance_released_for_nobody_can_time_out_too(bench: InstanceBench) -> None:
    bench.standing_by()
    bench.instance.release(None)
    await bench.time.advance(5.1)
    assert bench.stopping == [bench.instance]


async def test_ready_in_time_leaves_only_the_timeout_of_the_event(bench: InstanceBench) -> None:
    invocation = bench.initialising()
    await bench.time.advance(4)
    bench.instance.ready()
    bench.poll()
    await bench.time.advance(2)
    assert not invocation.future.done()


async def test_an_exit_before_ready_is_told_with_the_last_line(bench: InstanceBench) -> None:
    invocation = bench.initialising()
    bench.container.write("loading\nImportError: no module")
    bench.clock.tick(0.25)
    bench.container.end(Exit(1))
    assert failure(invocation) == {
        "errorCode": -1,
        "errorMessage": (
            "Initialization failed: the bootstrap ended with exit code 1 before it reported"
            " ready: ImportError: no module"
        ),
        "statusCode": 450,
    }
    assert invocation.future.result().init_ms == 250
    assert bench.lines("request-1") == ["loading", "ImportError: no module"]
    assert bench.stopping == [bench.instance]


@pytest.mark.parametrize(
    ("exit", "words"),
    [
        (Exit(139), "by signal 11"),
        (Exit(None), "for an unknown reason"),
        (Exit(None, reason="as the engine was stopped"), "as the engine was stopped"),
    ],
)
async def test_an_exit_before_ready_without_output_says_how_it_ended(
    bench: InstanceBench, exit: Exit, words: str
) -> None:
    invocation = bench.initialising()
    bench.container.end(exit)
    assert failure(invocation)["errorMessage"] == (
        f"Initialization failed: the bootstrap ended {words} before it reported ready,"
        " without any output"
    )


# ---------------------------------------------------------------- 434, memory


async def test_running_out_of_memory_while_initialising_ends_the_invocation(
    bench: InstanceBench,
) -> None:
    invocation = bench.initialising()
    bench.container.end(OOM)
    assert failure(invocation) == {"errorCode": -1, "errorMessage": OOM_TEXT, "statusCode": 434}
    assert invocation.future.result().mem_usage == 128 * MB
    assert bench.stopping == [bench.instance]


async def test_a_bootstrap_killed_for_memory_while_busy_ends_with_434(bench: InstanceBench) -> None:
    invocation = bench.busy()
    bench.poll()
    bench.container.end(OOM)
    assert failure(invocation)["statusCode"] == 434
    assert bench.stopping == [bench.instance]


async def test_a_bootstrap_killed_for_memory_while_idle_only_stops(bench: InstanceBench) -> None:
    bench.warm()
    bench.container.end(OOM)
    assert bench.stopping == [bench.instance]
    assert bench.instance.memory_use.peak == 128 * MB


@pytest.mark.parametrize("phase", ["initialising", "busy"])
async def test_a_child_killed_for_memory_ends_the_event_as_soon_as_it_is_known(
    bench: InstanceBench, phase: str
) -> None:
    invocation = getattr(bench, phase)()
    bench.container.peak, bench.container.kills = 128 * MB, 1
    bench.container.look()
    assert failure(invocation)["errorMessage"] == OOM_TEXT
    assert bench.stopping == [bench.instance]


async def test_a_result_after_a_child_was_killed_for_memory_is_not_taken(
    bench: InstanceBench,
) -> None:
    invocation = bench.busy()
    bench.poll()
    bench.container.peak, bench.container.kills = 127 * MB, 1
    bench.clock.tick(0.005)  # a shorter run cannot have filled its memory
    assert bench.push() is Push.ACCEPTED
    assert failure(invocation)["statusCode"] == 434
    assert bench.stopping == [bench.instance]


async def test_an_idle_instance_is_not_ended_by_looking(bench: InstanceBench) -> None:
    bench.warm()
    bench.container.peak, bench.container.kills = 128 * MB, 1
    bench.container.look()
    assert bench.instance.state is State.IDLE


async def test_much_memory_without_a_kill_is_no_failure(bench: InstanceBench) -> None:
    invocation = bench.busy()
    bench.poll()
    bench.container.peak = 128 * MB
    bench.push()
    assert invocation.future.result().ok


async def test_an_instance_without_a_container_has_no_memory_to_look_at(
    bench: InstanceBench,
) -> None:
    assert bench.instance.memory_use.peak == 0


# ---------------------------------------------------------------- 439, process exit


async def test_an_exit_during_an_event_ends_it_at_once(bench: InstanceBench) -> None:
    invocation = bench.busy()
    bench.poll()
    bench.container.end(Exit(3))
    assert failure(invocation) == {
        "errorCode": -1,
        "errorMessage": "User process exit when running",
        "statusCode": 439,
    }
    assert bench.lines("request-1") == ["[PLATFORM] the bootstrap ended with exit code 3"]
    assert bench.stopping == [bench.instance]


async def test_the_end_of_an_event_that_nobody_fetched_is_in_its_own_log(
    bench: InstanceBench,
) -> None:
    bench.warm()
    invocation = bench.invocation(tail=True)
    invocation.redispatched = True
    bench.instance.dispatch(invocation)
    bench.container.write("last words")
    bench.container.end(Exit(3))
    assert bench.lines("request-1") == ["last words"]
    assert bench.lines("request-2") == ["[PLATFORM] the bootstrap ended with exit code 3"]
    tail = invocation.future.result().tail
    assert tail is not None
    assert len(tail.lines) == 1


async def test_an_exit_while_idle_only_stops(bench: InstanceBench) -> None:
    bench.warm()
    bench.container.end(Exit(0))
    assert bench.stopping == [bench.instance]
    assert bench.unserved == []


async def test_an_event_nobody_fetched_is_given_back_by_an_instance_that_died_warm(
    bench: InstanceBench,
) -> None:
    bench.warm()
    invocation = bench.dispatch()
    bench.container.end(Exit(0))
    assert bench.unserved == [invocation]
    assert not invocation.future.done()
    assert bench.stopping == [bench.instance]


async def test_it_is_given_back_also_when_the_instance_died_of_memory(bench: InstanceBench) -> None:
    bench.warm()
    invocation = bench.dispatch()
    bench.container.end(OOM)
    assert bench.unserved == [invocation]


async def test_an_event_is_given_back_only_once(bench: InstanceBench) -> None:
    bench.warm()
    invocation = bench.invocation()
    invocation.redispatched = True
    bench.instance.dispatch(invocation)
    bench.container.end(Exit(0))
    assert bench.unserved == []
    assert failure(invocation)["statusCode"] == 439


async def test_an_event_that_was_fetched_is_never_given_back(bench: InstanceBench) -> None:
    bench.warm()
    invocation = bench.dispatch()
    bench.poll()
    bench.container.end(Exit(0))
    assert bench.unserved == []
    assert failure(invocation)["statusCode"] == 439


async def test_the_first_event_of_an_instance_is_never_given_back(bench: InstanceBench) -> None:
    invocation = bench.busy()
    bench.container.end(Exit(0))
    assert bench.unserved == []
    assert failure(invocation)["statusCode"] == 439


# ---------------------------------------------------------------- 430 and 407


async def test_a_pushed_error_is_the_message_of_a_430_and_keeps_the_instance(
    bench: InstanceBench,
) -> None:
    invocation = bench.busy()
    bench.poll()
    assert bench.push('{"msg":"bö\n"}'.encode() + b"\xff", error=True) is Push.ACCEPTED
    assert failure(invocation) == {
        "errorCode": -1,
        "errorMessage": '{"msg":"bö\n"}\ufffd',
        "statusCode": 430,
    }
    assert bench.idle == [bench.instance]
    assert bench.stopping == []


async def test_the_first_push_wins_be_it_error_or_result(bench: InstanceBench) -> None:
    invocation = bench.busy()
    bench.poll()
    bench.push(b"went wrong", error=True)
    bench.push(b"never mind")
    assert invocation.future.result().status_code == 430


async def test_a_result_over_the_limit_is_a_407_and_keeps_the_instance(
    bench: InstanceBench,
) -> None:
    invocation = bench.busy()
    bench.poll()
    assert bench.instance.push_too_large() is Push.ACCEPTED
    assert failure(invocation) == {
        "errorCode": -1,
        "errorMessage": "The size of response exceeds the upper limit (6MB)",
        "statusCode": 407,
    }
    assert bench.idle == [bench.instance]


async def test_a_result_over_the_limit_that_nobody_waits_for_is_noted(bench: InstanceBench) -> None:
    bench.warm()
    assert bench.instance.push_too_large() is Push.IGNORED_ORPHAN
    assert bench.lines("request-1") == ["[PLATFORM] push ignored: there is no event outstanding"]


# ---------------------------------------------------------------- asynchronous execution


@pytest.mark.parametrize("status", [430, 407])
async def test_with_asynchronous_execution_any_failure_recycles_the_instance(status: int) -> None:
    bench = InstanceBench(recycled_by_failure=True)
    invocation = bench.busy()
    bench.poll()
    if status == 430:
        bench.push(b"went wrong", error=True)
    else:
        bench.instance.push_too_large()
    assert failure(invocation)["statusCode"] == status
    assert bench.idle == []
    assert bench.stopping == [bench.instance]


async def test_with_asynchronous_execution_a_success_keeps_the_instance() -> None:
    bench = InstanceBench(recycled_by_failure=True)
    bench.warm()
    assert bench.idle == [bench.instance]


# ---------------------------------------------------------------- signals


async def test_a_signal_is_noted_in_the_log_of_the_event(bench: InstanceBench) -> None:
    bench.busy()
    assert bench.instance.send_signal(signal.SIGTERM)
    assert bench.container.signals == [signal.SIGTERM]
    assert bench.lines("request-1") == ["[PLATFORM] Signal received successfully."]


async def test_a_signal_that_finds_no_bootstrap_is_noted_too(bench: InstanceBench) -> None:
    bench.busy()
    bench.container.alive = False
    assert not bench.instance.send_signal(signal.SIGTERM)
    assert bench.lines("request-1") == ["[PLATFORM] Signal reception failed."]


# ---------------------------------------------------------------- refusal


async def test_an_invocation_that_has_ended_cannot_be_refused(bench: InstanceBench) -> None:
    invocation = bench.busy()
    bench.poll()
    bench.push()
    invocation.refuse(499, "too late")
    assert invocation.future.result().ok
