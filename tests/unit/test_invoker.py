"""From a request to its outcome and its record: checks, failures to load, tails, cancellation."""

from __future__ import annotations

import asyncio
import json
import signal
from typing import TYPE_CHECKING

import pytest

from sandbox.engine.base import Exit
from sandbox.errors import ConflictError, LimitError, NotFoundError, PlatformError, RequestError
from sandbox.invocation import Cause, InvokeOptions, Outcome
from sandbox.invoker import Invoker
from sandbox.packages.model import Bootstrap
from sandbox.records.report import render_log
from scf_sandbox.preflight import Finding, Level
from tests.support.engine import Runtime, echoing
from tests.support.functions import FakeFunctions, function
from tests.support.pool import Heart
from tests.support.waiting import eventually, turns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sandbox.functions.model import Function, FunctionVersion
    from sandbox.invocation import Invocation
    from sandbox.records.record import InvocationRecord
    from tests.support.engine import FakeContainer

MIB = 2**20


class FakeQueue:
    def __init__(self) -> None:
        self.accepted: list[tuple[str, bytes, str]] = []

    async def accept(
        self, function: Function, version: FunctionVersion, event: bytes, options: InvokeOptions
    ) -> None:
        self.accepted.append((function.name, event, options.request_id))


class Desk:
    """An invoker on a heart; what it recorded."""

    def __init__(self, budget_mb: int = 4096) -> None:
        self.heart = Heart(budget_mb)
        self.functions = FakeFunctions(function())
        self.queue = FakeQueue()
        self.records = self.heart.kept.records
        self.running = self.heart.kept.running
        self.invoker = Invoker(
            self.functions,
            self.heart.pool,
            self.heart.time,
            self.heart.loop,
            self.heart.recorder,
            queue=self.queue,
        )

    @property
    def hello(self) -> Function:
        return self.functions.get("default", "hello")

    async def invoke(self, event: bytes = b"{}", *, tail: bool = False) -> Outcome:
        outcome = await asyncio.wait_for(
            self.invoker.invoke("hello", event, InvokeOptions("id", tail=tail)), 5
        )
        await turns()
        return outcome

    def begin(self, invocation_type: str = "Event") -> Invocation:
        hello = self.hello
        options = InvokeOptions("id", invocation_type=invocation_type)
        return self.invoker.begin(hello, hello.latest, b"{}", options)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    desk = Desk()
    yield desk
    await desk.heart.close()


# ---------------------------------------------------------------- outcomes and records


async def test_an_outcome_is_given_back_and_recorded(desk: Desk) -> None:
    desk.heart.engine.on_release = echoing
    outcome = await desk.invoke(b'{"a":1}')
    assert (outcome.request_id, outcome.status_code, outcome.body) == ("id", 200, b'{"a":1}')
    (record,) = desk.records
    assert (record.request_id, record.function_name, record.namespace) == ("id", "hello", "default")
    assert (record.version, record.qualifier) == ("$LATEST", "$LATEST")
    assert (record.status_code, record.ret_msg, record.retry_num) == (200, '{"a":1}', 0)
    assert record.invocation_type == "RequestResponse"
    assert (record.duration_ms, record.bill_ms) == (outcome.duration_ms, outcome.bill_ms)
    assert (record.memory_mb, record.mem_usage) == (128, 7 * MIB)
    assert (record.cold_start, record.init_ms) == (True, outcome.init_ms)
    assert record.instance_id == outcome.instance_id
    assert record.started_at == record.timeline["received"]
    assert record.ended_at == record.timeline["finished"]
    assert desk.running == []


async def test_a_record_keeps_64_kb_of_a_result_the_caller_gets_all(desk: Desk) -> None:
    desk.heart.engine.on_release = echoing
    event = json.dumps("x" * 100_000).encode()
    outcome = await desk.invoke(event)
    assert outcome.body == event
    assert len(desk.records[0].ret_msg) == 64 * 1024


async def test_a_function_that_fails_is_an_outcome_not_an_error(desk: Desk) -> None:
    desk.heart.engine.on_release = lambda container: container.end(Exit(1))
    outcome = await desk.invoke()
    assert outcome.status_code == 450
    assert desk.records[0].status_code == 450
    assert desk.records[0].ret_msg == outcome.text


@pytest.mark.parametrize(
    ("bootstrap", "message"),
    [
        (Bootstrap.NOT_EXECUTABLE, "ReloadFail: Bootstrap not executable\n"),
        (Bootstrap.MISSING, "ReloadFail: Bootstrap does not exist\n"),
    ],
)
async def test_a_bootstrap_that_cannot_be_started_is_a_443_without_an_instance(
    desk: Desk, bootstrap: Bootstrap, message: str
) -> None:
    desk.functions.put(function(bootstrap=bootstrap))
    outcome = await desk.invoke(tail=True)
    assert json.loads(outcome.body) == {
        "errorCode": 1,
        "errorMessage": message,
        "requestId": "id",
        "statusCode": 443,
    }
    assert (outcome.duration_ms, outcome.bill_ms, outcome.mem_usage) == (0, 0, 0)
    assert (outcome.instance_id, outcome.log) == ("", "")
    assert desk.heart.engine.launches == 0
    (record,) = desk.records
    assert record.ended_at == record.started_at
    assert desk.invoker.can_begin(desk.hello, desk.hello.latest)


async def test_guesses_about_the_package_change_no_outcome(desk: Desk) -> None:
    guess = Finding(Level.WARNING, "a", None, "name-repeated", "twice", "keep one")
    desk.functions.put(function(bootstrap=Bootstrap.NOT_EXECUTABLE, guesses=(guess,)))
    outcome = await desk.invoke(tail=True)
    assert (outcome.status_code, outcome.log) == (443, "")


async def test_what_lies_there_instead_of_bootstrap_is_said_in_the_log(desk: Desk) -> None:
    """The message stays in the platform's words."""
    hello = function(bootstrap=Bootstrap.MISSING, instead="demo/bootstrap")
    desk.functions.put(hello)
    outcome = await desk.invoke(tail=True)
    assert json.loads(outcome.body)["errorMessage"] == "ReloadFail: Bootstrap does not exist\n"
    line = (
        "[PLATFORM] there is no file named bootstrap at the root of the zip: invocations will fail"
        " with 443; demo/bootstrap is there: zip what is in demo, not it"
    )
    assert outcome.log == f"{line}\n"
    (chunk,) = desk.heart.kept.chunks
    assert (chunk.request_id, [text for _, text in chunk.lines]) == ("id", [line])
    assert render_log(desk.records[0], chunk.lines) == f"{line}\n"


# ---------------------------------------------------------------- refusals


async def test_an_unknown_function_is_refused(desk: Desk) -> None:
    with pytest.raises(NotFoundError):
        await desk.invoker.invoke("other", b"{}", InvokeOptions("id"))
    with pytest.raises(NotFoundError):
        await desk.invoker.invoke_async("hello", b"{}", InvokeOptions("id", qualifier="7"))


async def test_a_function_that_is_not_ready_is_refused(desk: Desk) -> None:
    desk.functions.refusal = ConflictError("creating", "FailedOperation.FunctionStatusError")
    with pytest.raises(ConflictError):
        await desk.invoke()
    with pytest.raises(ConflictError):
        await desk.invoker.invoke_async("hello", b"{}", InvokeOptions("id"))
    assert desk.records == []


@pytest.mark.parametrize(
    "event",
    [b"", b"{", b"{'a':1}", b"undefined", b"NaN", b'{"a":Infinity}', b"\xff", b"[" * 100_000],
    ids=["empty", "open", "quotes", "word", "nan", "infinity", "bytes", "deep"],
)
async def test_an_event_that_is_not_json_is_refused(desk: Desk, event: bytes) -> None:
    with pytest.raises(RequestError) as refusal:
        await desk.invoke(event)
    assert refusal.value.code == "InvalidParameterValue.Param"
    assert "not standard JSON" in refusal.value.message


@pytest.mark.parametrize("event", [b'""', b"1", b"null", b"[]", b' {"a" : "\xc3\xa9"}\n'])
async def test_any_json_text_is_an_event_and_arrives_as_it_was_sent(
    desk: Desk, event: bytes
) -> None:
    desk.heart.engine.on_release = echoing
    assert (await desk.invoke(event)).body == event


async def test_an_event_of_6_mb_is_taken_and_one_byte_more_is_not(desk: Desk) -> None:
    desk.heart.engine.on_release = echoing
    event = b'"' + b"x" * (6 * MIB - 2) + b'"'
    assert (await desk.invoke(event)).body == event
    with pytest.raises(LimitError) as refusal:
        await desk.invoke(event[:-1] + b'x"')
    assert refusal.value.code == "InvalidParameter.RequestTooLarge"


async def test_an_asynchronous_event_may_have_128_kb(desk: Desk) -> None:
    event = b'"' + b"x" * (128 * 1024 - 2) + b'"'
    await desk.invoker.invoke_async("hello", event, InvokeOptions("id"))
    assert desk.queue.accepted == [("hello", event, "id")]
    with pytest.raises(LimitError):
        await desk.invoker.invoke_async("hello", event[:-1] + b'x"', InvokeOptions("id"))


async def test_a_function_with_asynchronous_execution_only_accepts(desk: Desk) -> None:
    desk.functions.put(function(async_run=True))
    outcome = await desk.invoke()
    assert (outcome.status_code, outcome.body) == (202, b"")
    assert desk.queue.accepted == [("hello", b"{}", "id")]
    assert desk.records == []


async def test_without_a_queue_no_asynchronous_event_is_accepted(desk: Desk) -> None:
    heart = desk.heart
    invoker = Invoker(desk.functions, heart.pool, heart.time, heart.loop, heart.recorder)
    with pytest.raises(PlatformError):
        await invoker.invoke_async("hello", b"{}", InvokeOptions("id"))


# ---------------------------------------------------------------- tails


async def test_there_is_no_log_unless_a_tail_was_asked_for(desk: Desk) -> None:
    desk.heart.engine.on_release = echoing
    assert (await desk.invoke()).log == ""


async def test_a_tail_has_the_lines_in_the_test_panels_dialect(desk: Desk) -> None:
    def run(container: object) -> None:
        runtime = Runtime(desk.heart.engine.containers[0])
        runtime.container.write("starting\n")
        runtime.ready().poll()
        runtime.container.write("working\n")
        runtime.answer()

    desk.heart.engine.on_release = run
    log = (await desk.invoke(tail=True)).log.splitlines()
    assert log[0:3] == ["START RequestId: id", "Event RequestId: id", "starting"]
    assert log[3].startswith("Init Report RequestId: id Coldstart: ")
    assert log[4:6] == ["working", "END RequestId: id"]
    assert log[6].startswith("Report RequestId: id Duration:")


async def test_a_tail_waits_for_lines_still_on_their_way(desk: Desk) -> None:
    def run(container: object) -> None:
        runtime = Runtime(desk.heart.engine.containers[0])
        runtime.ready().poll()
        runtime.container.holds_flushes = True
        runtime.answer()
        desk.heart.loop.call_later(0.002, arrive, runtime.container)

    def arrive(container: FakeContainer) -> None:
        container.write("written before the answer\n")
        container.answer()

    desk.heart.engine.on_release = run
    assert "written before the answer" in (await desk.invoke(tail=True)).log


async def test_a_tail_does_not_wait_for_ever_for_a_function_that_goes_on_writing(
    desk: Desk,
) -> None:
    def run(container: object) -> None:
        runtime = Runtime(desk.heart.engine.containers[0])
        runtime.ready().poll().answer()
        write(runtime)

    def write(runtime: Runtime) -> None:
        runtime.container.write("again\n")
        if runtime.container.alive:
            desk.heart.loop.call_later(0.001, write, runtime)

    desk.heart.engine.on_release = run
    assert "again" in (await desk.invoke(tail=True)).log
    desk.heart.engine.containers[0].end(Exit(0))
    await desk.heart.time.advance(0.01)


# ---------------------------------------------------------------- asynchronous runs


async def test_an_asynchronous_event_is_shown_as_running_once_an_instance_has_it(
    desk: Desk,
) -> None:
    invocation = desk.begin()
    runtime = await desk.heart.runtime(0)
    (running,) = desk.running
    assert (running.request_id, running.status_code, running.memory_mb) == ("id", 202, 128)
    assert running.instance_id == runtime.container.spec.instance_id
    runtime.ready().poll().answer()
    assert (await desk.invoker.outcome(invocation)).ok
    assert len(desk.running) == 1


async def test_a_synchronous_event_is_not_shown_as_running(desk: Desk) -> None:
    desk.begin("RequestResponse")
    (await desk.heart.runtime(0)).ready()
    assert desk.running == []


async def test_canceling_a_running_event_ends_its_instance(desk: Desk) -> None:
    invocation = desk.begin()
    runtime = (await desk.heart.runtime(0)).ready().poll()
    desk.invoker.cancel(invocation, Cause.TERMINATED, "terminated")
    outcome = await desk.invoker.outcome(invocation)
    assert outcome.status_code == 499
    assert json.loads(outcome.body)["errorMessage"] == "terminated"
    await eventually(lambda: not runtime.container.alive)


async def test_canceling_a_waiting_event_takes_it_out_of_the_queue() -> None:
    desk = Desk(budget_mb=128)
    desk.heart.submit(function("other"))
    (await desk.heart.runtime(0)).ready()
    invocation = desk.begin()
    desk.invoker.cancel(invocation, Cause.TERMINATED, "terminated")
    desk.invoker.cancel(invocation, Cause.TERMINATED, "terminated again")
    assert json.loads(invocation.future.result().body)["errorMessage"] == "terminated"
    desk.heart.engine.containers[0].end(Exit(0))
    await eventually(lambda: desk.heart.pool.instances() == [])
    assert desk.heart.engine.launches == 1
    await desk.heart.close()


async def test_a_running_event_can_be_signalled(desk: Desk) -> None:
    invocation = desk.begin()
    assert not desk.invoker.signal(invocation)
    runtime = (await desk.heart.runtime(0)).ready().poll()
    assert desk.invoker.signal(invocation)
    assert runtime.container.signals == [signal.SIGTERM]
    assert desk.heart.logged("id") == ["[PLATFORM] Signal received successfully."]
    runtime.answer()
    assert not desk.invoker.signal(invocation)


async def test_whether_an_event_can_begin_is_what_the_pool_says(desk: Desk) -> None:
    hello = desk.hello
    assert desk.invoker.can_begin(hello, hello.latest)
    desk.heart.budget.reserve(4096)
    desk.heart.submit(hello)
    assert not desk.invoker.can_begin(hello, hello.latest)
    desk.heart.budget.give_back(4096)


# ---------------------------------------------------------------- the short way


async def test_an_event_is_answered_within_its_end_when_its_record_is_safe(desk: Desk) -> None:
    desk.heart.engine.on_release = None
    order: list[str] = []
    desk.heart.kept.records = Ordered(order)  # type: ignore[assignment]
    options = InvokeOptions("id")
    assert desk.invoker.start("hello", b"{}", options, lambda o: order.append(o.text))
    runtime = (await desk.heart.runtime(0)).ready().poll()
    assert order == []
    runtime.answer(b"result")
    assert order == ["id", "result"]


class Ordered:
    """Notes which record was added when."""

    def __init__(self, order: list[str]) -> None:
        self._order = order

    def append(self, record: InvocationRecord) -> None:
        self._order.append(record.request_id)


async def test_a_failure_to_load_is_answered_at_once(desk: Desk) -> None:
    desk.functions.put(function(bootstrap=Bootstrap.MISSING))
    answers: list[Outcome] = []
    assert desk.invoker.start("hello", b"{}", InvokeOptions("id"), answers.append)
    assert [(a.status_code, len(desk.records)) for a in answers] == [(443, 1)]


async def test_what_takes_more_than_an_answer_is_not_begun(desk: Desk) -> None:
    def answer(_: Outcome) -> None:
        raise AssertionError("it was not begun")

    assert not desk.invoker.start("hello", b"{}", InvokeOptions("id", tail=True), answer)
    desk.functions.put(function(async_run=True))
    assert not desk.invoker.start("hello", b"{}", InvokeOptions("id"), answer)
    assert desk.heart.engine.launches == 0


async def test_the_short_way_refuses_what_the_long_one_refuses(desk: Desk) -> None:
    def start(name: str, event: bytes) -> None:
        desk.invoker.start(name, event, InvokeOptions("id"), lambda _: None)

    with pytest.raises(NotFoundError):
        start("other", b"{}")
    with pytest.raises(RequestError):
        start("hello", b"{")
    desk.functions.refusal = ConflictError("no")
    with pytest.raises(ConflictError):
        start("hello", b"{}")
