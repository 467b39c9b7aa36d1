"""Which events are tried again, when, and what is left of those that are given up."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.errors import EngineError, NotFoundError, RequestError
from sandbox.events.dead_letters import error_of
from sandbox.events.model import QueuedEvent
from sandbox.events.retry import Fault, fault_of, next_try
from sandbox.functions.model import EventInvokeConfig, FunctionStatus
from sandbox.packages.model import Bootstrap
from sandbox.status import StatusCode
from sandbox.store.events import SqlEventRepository
from tests.support.clock import EPOCH
from tests.support.waiting import eventually, turns
from tests.unit.events.event_kit import QUEUE, QueueBench

if TYPE_CHECKING:
    from tests.unit.events.conftest import Make


def queued(**fields: Any) -> QueuedEvent:
    given: dict[str, Any] = {
        "seq": 1,
        "request_id": "id",
        "namespace": "default",
        "function_name": "hello",
        "function_id": "lam-hello",
        "qualifier": "$LATEST",
        "version": "$LATEST",
        "invocation_type": "Event",
        "source": "API",
        "routing_key": "",
        "accepted_at": 0.0,
        "traced": False,
    }
    return QueuedEvent(**(given | fields))


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        (StatusCode.USER_CODE_EXCEPTION, Fault.RUN),
        (StatusCode.TIMEOUT, Fault.RUN),
        (StatusCode.OUT_OF_MEMORY, Fault.RUN),
        (StatusCode.PROCESS_EXIT, Fault.RUN),
        (StatusCode.USER_CODE_ERROR, Fault.RUN),
        (StatusCode.INIT_TIMEOUT, Fault.RUN),
        (StatusCode.RESPONSE_TOO_LARGE, Fault.RUN),
        (StatusCode.RESOURCE_LIMIT_REACHED, Fault.QUOTA),
        (StatusCode.INSUFFICIENT_RESOURCES, Fault.QUOTA),
        (StatusCode.INTERNAL_ERROR, Fault.SYSTEM),
        (StatusCode.FUNCTION_NOT_FOUND, Fault.REQUEST),
        (StatusCode.QUALIFIER_NOT_FOUND, Fault.REQUEST),
        (StatusCode.FUNCTION_STATUS, Fault.REQUEST),
    ],
)
def test_every_status_belongs_to_one_class_of_errors(status: int, fault: Fault) -> None:
    assert fault_of(status) is fault


def test_system_errors_are_tried_again_after_one_second_doubled_up_to_five_minutes() -> None:
    config = EventInvokeConfig()
    due = [
        next_try(Fault.SYSTEM, queued(delays=delays), config, 0.0, 60.0)
        for delays in (*range(10), 500)
    ]
    assert due == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_a_try_that_would_come_after_the_expiry_is_none() -> None:
    config = EventInvokeConfig(msg_ttl_s=120)
    for fault in (Fault.RUN, Fault.QUOTA):
        assert next_try(fault, queued(), config, 59.0, 60.0) == 119.0
        assert next_try(fault, queued(), config, 60.0, 60.0) is None
    assert next_try(Fault.REQUEST, queued(), config, 0.0, 60.0) is None


async def test_a_run_error_is_tried_twice_more_a_minute_apart_under_the_same_id(
    make: Make,
) -> None:
    """Contract 10, item 29."""
    bench = await make()
    bench.function()
    bench.answer = lambda event: "broken"
    request_id = await bench.send(b'{"n":1}')
    await bench.tried(1)
    await bench.later(59)
    assert len(bench.tries) == 1
    await bench.later(1.1)
    await bench.tried(2)
    await bench.later(60.1)
    await bench.over()
    assert bench.tries == [(b'{"n":1}', 0), (b'{"n":1}', 1), (b'{"n":1}', 2)]
    ended = [record for record in bench.records if record.status_code != 202]
    assert {record.request_id for record in ended} == {request_id}
    assert [record.retry_num for record in ended] == [0, 1, 2]
    assert [record.status_code for record in ended] == [430] * 3


async def test_new_events_go_on_while_others_wait_to_be_tried_again(make: Make) -> None:
    bench = await make()
    bench.function()
    bench.answer = lambda event: "broken" if event.body == b'"bad"' else event.body
    await bench.send(b'"bad"')
    await bench.tried(1)
    await bench.send(b'"good"')
    await bench.tried(2)
    assert bench.queue.depth == 1
    bench.answer = lambda event: event.body
    await bench.later(60.1)
    await bench.over()
    assert bench.tries == [(b'"bad"', 0), (b'"good"', 0), (b'"bad"', 1)]


@pytest.mark.parametrize("retry_num", [0, 1])
async def test_the_function_says_how_often_a_run_error_is_tried_again(
    make: Make, retry_num: int
) -> None:
    bench = await make()
    bench.function(retry_num=retry_num)
    bench.answer = lambda event: "broken"
    await bench.send()
    for number in range(retry_num):
        await bench.tried(number + 1)
        await bench.later(60.1)
    await bench.over()
    assert len(bench.tries) == retry_num + 1


async def test_a_change_of_the_retries_counts_from_the_next_failure_on(make: Make) -> None:
    bench = await make()
    bench.function()
    bench.answer = lambda event: "broken"
    await bench.send()
    await bench.tried(1)
    bench.function(retry_num=1)
    await bench.later(60.1)
    await bench.over()
    assert len(bench.tries) == 2


async def test_a_restart_goes_on_with_the_retries_where_they_were(make: Make) -> None:
    bench = await make()
    bench.function()
    bench.answer = lambda event: "broken"
    request_id = await bench.send(b'{"n":1}')
    await bench.tried(1)
    await bench.restart()
    [event] = bench.on_disk()
    assert (event.request_id, event.retry_num) == (request_id, 1)
    assert event.due_at == pytest.approx(bench.heart.time.now() + 60, abs=1)
    assert len(bench.tries) == 1
    await bench.later(60.1)
    await bench.tried(2)
    assert bench.tries[1] == (b'{"n":1}', 1)


async def test_a_function_over_its_quota_is_tried_every_minute_until_its_events_are_too_old(
    make: Make,
) -> None:
    bench = await make(128)
    bench.function(memory_mb=256, msg_ttl_s=300)
    await bench.send()
    for number in range(4):
        await recorded(bench, number + 1)
        await bench.settled()
        assert bench.queue.depth == 1
        await bench.later(60.1)
    await bench.over()
    ended = [record.status_code for record in bench.records]
    assert ended == [432] * 5
    assert {record.retry_num for record in bench.records} == {0}
    [letter] = await bench.dead(dropped=True)
    assert "exceeded region unreserved quota" in letter.error_message


async def test_a_failure_of_the_sandbox_is_tried_again_soon_and_then_later(make: Make) -> None:
    bench = await make()
    bench.function()
    bench.heart.engine.failures += [EngineError("no engine")] * 3
    await bench.send(b'{"n":1}')
    for number, delay in enumerate((1.1, 2.1, 4.1)):
        await delayed(bench, number + 1)
        await bench.later(delay)
    await bench.over()
    assert bench.tries == [(b'{"n":1}', 0)]


async def test_a_bug_while_an_event_is_run_counts_as_a_failure_of_the_sandbox(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = await make()
    bench.function()
    with monkeypatch.context() as patched:
        patched.setattr(type(bench.invoker), "outcome", _broken)
        await bench.send()
        await eventually(lambda: bench.on_disk()[0].delays == 1)
        await bench.settled()
    await bench.later(1.1)
    await bench.over()


async def recorded(bench: QueueBench, count: int) -> None:
    await eventually(lambda: len(bench.records) == count)


async def delayed(bench: QueueBench, count: int) -> None:
    """The sandbox has failed so often, and that is on disk."""
    await eventually(lambda: bench.on_disk()[0].delays == count)
    await bench.settled()


async def _broken(*_: object) -> None:
    raise RuntimeError("a bug")


async def test_an_event_that_finds_no_room_until_it_is_too_old_is_given_up(make: Make) -> None:
    bench = await make(128)
    bench.function(msg_ttl_s=60, timeout_s=900)
    bench.answer = lambda event: None
    await bench.send(b'"busy"')
    await eventually(lambda: len(bench.tries) == 1)
    request_id = await bench.send(b'"waits"')
    await bench.heart.time.advance(61)
    await eventually(lambda: bench.queue.depth == 1)
    [letter] = await bench.dead()
    assert (letter.request_id, letter.status_code) == (request_id, 432)
    assert letter.error_message == "the event was not run within its MsgTTL of 60 s"
    [record] = [record for record in bench.records if record.request_id == request_id]
    assert (record.status_code, record.instance_id) == (432, "")


async def test_an_event_that_became_too_old_between_two_tries_keeps_its_last_error(
    make: Make,
) -> None:
    bench = await make()
    bench.function(msg_ttl_s=120)
    bench.answer = lambda event: "broken"
    await bench.send()
    await bench.tried(1)
    await bench.later(500)
    await bench.over()
    assert len(bench.tries) == 1
    [letter] = await bench.dead()
    assert (letter.status_code, letter.error_message) == (430, "broken")


async def test_a_bootstrap_that_is_not_executable_fails_the_event_and_no_instance_is_started(
    make: Make,
) -> None:
    bench = await make()
    bench.function(bootstrap=Bootstrap.NOT_EXECUTABLE, retry_num=0)
    await bench.send()
    await bench.over()
    assert bench.heart.engine.launches == 0
    [letter] = await bench.dead(dropped=True)
    assert letter.error_message == "ReloadFail: Bootstrap not executable\n"


# ---------------------------------------------------------------- what is left of them


async def test_a_dead_letter_has_the_shape_that_the_platform_documents(make: Make) -> None:
    bench = await make()
    bench.function(**QUEUE, retry_num=0, msg_ttl_s=3600)
    bench.answer = lambda event: "Traceback: NameError"
    request_id = await bench.send(b'{"a": 1}')
    await bench.over()
    [letter] = await bench.dead(dropped=False)
    assert (letter.queue_type, letter.queue_name) == ("cmq-queue", "dead")
    message = json.loads(letter.message)
    body = message.pop("Body")
    assert message == {
        "RequestId": request_id,
        "ErrorCode": -1,
        "ErrorMessage": "Traceback: NameError",
    }
    stamp = int(body.pop("TimeStampForInvoker"))
    assert stamp == pytest.approx(EPOCH * 1000, abs=60_000)
    assert body.pop("PushTime").startswith("2023-11-15T06:13:")
    assert body == {
        "AppId": 1250000000,
        "Uin": "100000000001",
        "SubAccountUin": "100000000001",
        "RequestSource": "API",
        "FunctionName": "hello",
        "Namespace": "default",
        "Qualifier": "$LATEST",
        "InvocationType": "Event",
        "ClientContext": '{"a": 1}',
        "LogType": "",
        "RequestId": request_id,
        "RetryNum": 0,
        "Ttl": 3600,
    }


async def test_a_triggers_event_names_it_in_the_dead_letter(make: Make) -> None:
    bench = await make()
    bench.function(**QUEUE, retry_num=0)
    bench.answer = lambda event: "broken"
    await bench.send(source="TIMER")
    await bench.over()
    [letter] = await bench.dead()
    assert json.loads(letter.message)["Body"]["RequestSource"] == "TRIGGER_TIMER"


async def test_without_a_dead_letter_queue_only_the_fact_is_kept(make: Make) -> None:
    bench = await make()
    bench.function(retry_num=0)
    bench.answer = lambda event: "broken"
    request_id = await bench.send(b'{"secret": 1}')
    await bench.over()
    [letter] = await bench.dead(dropped=True)
    assert (letter.request_id, letter.status_code) == (request_id, 430)
    assert "secret" not in letter.message
    with pytest.raises(RequestError, match="DeadLetterConfig"):
        await bench.letters.redrive(request_id, bench.invoker)


async def test_a_dead_letter_can_be_invoked_again_and_then_is_gone(make: Make) -> None:
    bench = await make()
    bench.function(**QUEUE, retry_num=0)
    bench.answer = lambda event: "broken"
    request_id = await bench.send(b'{"n":1}')
    await bench.over()
    bench.answer = lambda event: event.body
    again = await bench.letters.redrive(request_id, bench.invoker)
    assert again != request_id
    await bench.over()
    assert bench.tries == [(b'{"n":1}', 0), (b'{"n":1}', 0)]
    assert await bench.dead() == []


async def test_dead_letters_are_listed_by_function_newest_first_and_deleted(make: Make) -> None:
    bench = await make()
    ids: dict[str, str] = {}
    bench.answer = lambda event: "broken"
    for name in ("one", "two", "three"):
        bench.function(name, **(QUEUE if name != "two" else {}), retry_num=0)
        ids[name] = await bench.send(name=name)
        await bench.over()
    assert [letter.function_name for letter in await bench.dead()] == ["three", "two", "one"]
    total, [letter] = await bench.letters.find("default", "two")
    assert (total, letter.request_id) == (1, ids["two"])
    total, page = await bench.letters.find(offset=1, limit=1)
    assert (total, [letter.function_name for letter in page]) == (3, ["two"])
    await bench.letters.delete(ids["two"])
    assert [letter.function_name for letter in await bench.dead()] == ["three", "one"]
    with pytest.raises(NotFoundError):
        await bench.letters.delete(ids["two"])
    with pytest.raises(NotFoundError):
        await bench.letters.redrive(ids["two"], bench.invoker)


async def test_a_deleted_functions_events_are_dropped(make: Make) -> None:
    bench = await make()
    bench.function(**QUEUE)
    bench.answer = lambda event: "broken"
    request_id = await bench.send()
    await bench.tried(1)
    bench.functions.by_key.clear()
    await bench.later(60.1)
    await bench.over()
    [letter] = await bench.dead()
    assert (letter.request_id, letter.dropped, letter.status_code) == (request_id, True, 435)
    assert letter.error_message == "the function was deleted"


async def test_a_function_made_anew_under_the_name_does_not_get_the_old_ones_events(
    make: Make,
) -> None:
    bench = await make()
    bench.function()
    bench.answer = lambda event: "broken"
    await bench.send()
    await bench.tried(1)
    new = bench.function().model_copy(update={"function_id": "lam-other"})
    bench.functions.put(new)
    await bench.later(60.1)
    await bench.over()
    assert len(bench.tries) == 1
    assert [letter.status_code for letter in await bench.dead()] == [435]


async def test_a_failure_after_the_functions_deletion_is_not_tried_again(make: Make) -> None:
    bench = await make()
    bench.function()

    def delete_and_fail(_event: object) -> str:
        bench.functions.by_key.clear()
        return "broken"

    bench.answer = delete_and_fail
    await bench.send()
    await bench.over()
    assert len(bench.tries) == 1


@pytest.mark.parametrize("gone", ["version", "status"])
async def test_an_event_whose_version_cannot_be_invoked_any_more_is_given_up(
    make: Make, gone: str
) -> None:
    bench = await make()
    hello = bench.function(**QUEUE)
    one = hello.latest.model_copy(update={"version": "1"})
    bench.functions.put(hello.with_version(one))
    bench.answer = lambda event: "broken"
    await bench.send(qualifier="1")
    await bench.tried(1)
    if gone == "version":
        bench.functions.put(hello)
    else:
        one = one.model_copy(update={"status": FunctionStatus.DELETING})
        bench.functions.put(hello.with_version(one))
    await bench.later(60.1)
    await bench.over()
    [letter] = await bench.dead(dropped=False)
    assert letter.status_code == (442 if gone == "version" else 438)


def test_an_error_that_is_no_error_object_is_told_as_it_is() -> None:
    assert error_of(b"plain", 430) == (-1, "plain")
    assert error_of(b"", 432) == (-1, "the event was given up with status 432")
    assert error_of(b'{"errorCode":1,"errorMessage":"x"}', 443) == (1, "x")


async def test_what_is_known_of_dropped_events_goes_after_three_days(make: Make) -> None:
    bench = await make()
    bench.function("kept", **QUEUE, retry_num=0)
    bench.function("dropped", retry_num=0)
    bench.answer = lambda event: "broken"
    await bench.send(name="kept")
    await bench.send(name="dropped")
    await bench.over()
    await turns()
    assert len(await bench.dead()) == 2
    bench.repository.prune(bench.heart.time.now() - 1)
    assert len(await bench.dead()) == 2
    bench.repository.prune(bench.heart.time.now() + 1)
    assert [letter.function_name for letter in await bench.dead()] == ["kept"]


async def test_a_clean_up_that_fails_is_tried_again(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[float] = []

    def prune(_: SqlEventRepository, ended_before: float) -> int:
        attempts.append(ended_before)
        raise ValueError("a bug")

    monkeypatch.setattr(SqlEventRepository, "prune", prune)
    monkeypatch.setattr("sandbox.events.queue.PRUNE_EVERY_S", 0.001)
    await make()
    await eventually(lambda: len(attempts) > 2)
