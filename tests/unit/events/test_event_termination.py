"""Terminating an asynchronous event: while it waits, while it runs, twice at a time."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.clock import new_request_id
from sandbox.engine.base import Exit
from sandbox.errors import ConflictError, NotFoundError, PlatformError
from tests.support.waiting import DEADLINE_S, eventually, turns
from tests.unit.events.event_kit import TRACED

if TYPE_CHECKING:
    from sandbox.instance.rendezvous import Event
    from tests.unit.events.conftest import Make


async def test_a_running_event_is_ended_with_its_instance(make: Make) -> None:
    bench = await make()
    bench.function(**TRACED)
    bench.answer = lambda event: None
    request_id = await bench.send()
    await eventually(lambda: len(bench.tries) == 1)
    await bench.queue.terminate("default", "hello", request_id)
    assert await bench.state(request_id) == ("ABORTED", 499)
    assert bench.on_disk() == []
    await eventually(lambda: bench.heart.engine.alive == [])
    assert bench.records[-1].status_code == 499
    assert await bench.dead() == []


async def test_an_event_that_waits_for_its_turn_is_ended(make: Make) -> None:
    bench = await make(128)
    bench.function(**TRACED)
    bench.answer = lambda event: None
    await bench.send(b'"busy"')
    await eventually(lambda: len(bench.tries) == 1)
    request_id = await bench.send(b'"waits"')
    await bench.queue.terminate("default", "hello", request_id, graceful=True)
    assert await bench.state(request_id) == ("ABORTED", 499)
    assert [event.request_id == request_id for event in bench.on_disk()] == [False]
    [record] = [record for record in bench.records if record.request_id == request_id]
    assert record.status_code == 499
    bench.heart.engine.containers[0].instance.push(b"done")
    await bench.over()
    assert len(bench.tries) == 1


@pytest.mark.parametrize("graceful", [True, False])
async def test_an_event_that_waits_for_an_instance_is_ended(make: Make, graceful: bool) -> None:
    bench = await make()
    bench.function(**TRACED)
    bench.heart.engine.gate.clear()
    request_id = await bench.send()
    await turns()
    await bench.queue.terminate("default", "hello", request_id, graceful=graceful)
    assert await bench.state(request_id) == ("ABORTED", 499)
    bench.heart.engine.gate.set()
    await turns(50)
    assert bench.tries == []


async def test_an_event_that_waits_to_be_tried_again_is_ended(make: Make) -> None:
    bench = await make()
    bench.function()
    bench.answer = lambda event: "broken"
    request_id = await bench.send()
    await bench.tried(1)
    await bench.queue.terminate("default", "hello", request_id)
    await bench.later(61)
    assert bench.queue.depth == 0
    assert len(bench.tries) == 1
    assert bench.on_disk() == []


async def test_an_event_terminated_while_its_failure_is_being_stored_is_not_tried_again(
    make: Make,
) -> None:
    bench = await make()
    bench.function()
    bench.answer = lambda event: "broken"
    request_id = await bench.send()
    await eventually(lambda: any(record.status_code == 430 for record in bench.records))
    await bench.queue.terminate("default", "hello", request_id)
    assert bench.queue.depth == 0
    await bench.later(61)
    assert len(bench.tries) == 1


async def test_a_bug_while_an_end_is_stored_does_not_leave_who_waits_for_it_waiting(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = await make()
    bench.function()
    bench.answer = lambda event: None
    request_id = await bench.send()
    await eventually(lambda: len(bench.tries) == 1)

    async def broken(*_: Any, **__: Any) -> bool:
        raise RuntimeError("a bug")

    monkeypatch.setattr(bench.queue._settlement, "conclude", broken)
    await asyncio.wait_for(bench.queue.terminate("default", "hello", request_id), DEADLINE_S)
    assert bench.queue.depth == 0
    assert [event.request_id for event in bench.on_disk()] == [request_id]


async def test_a_graceful_end_is_a_signal_to_the_bootstrap_which_decides(make: Make) -> None:
    bench = await make()
    bench.function(**TRACED)
    bench.answer = lambda event: None
    request_id = await bench.send()
    await eventually(lambda: len(bench.tries) == 1)
    await bench.queue.terminate("default", "hello", request_id, graceful=True)
    [container] = bench.heart.engine.alive
    assert container.signals == [signal.SIGTERM]
    assert "[PLATFORM] Signal received successfully." in bench.heart.logged(request_id)
    assert await bench.state(request_id) == ("RUNNING", 202)
    container.instance.push(b"wound up")
    await bench.over()
    assert await bench.state(request_id) == ("FINISHED", 200)


async def test_a_bootstrap_that_a_signal_ends_fails_the_event_with_439(make: Make) -> None:
    bench = await make()
    bench.function(**TRACED)
    bench.answer = lambda event: None
    request_id = await bench.send()
    await eventually(lambda: len(bench.tries) == 1)
    await bench.queue.terminate("default", "hello", request_id, graceful=True)
    bench.heart.engine.alive[0].end(Exit(143))
    await bench.over()
    assert await bench.state(request_id) == ("FAILED", 439)
    assert len(bench.tries) == 1


async def test_a_signal_that_does_not_arrive_is_in_the_log(make: Make) -> None:
    bench = await make()
    bench.function(**TRACED)
    bench.answer = lambda event: None
    request_id = await bench.send()
    await eventually(lambda: len(bench.tries) == 1)
    [container] = bench.heart.engine.alive
    container.alive = False
    await bench.queue.terminate("default", "hello", request_id, graceful=True)
    container.alive = True
    assert "[PLATFORM] Signal reception failed." in bench.heart.logged(request_id)


async def test_the_word_of_a_signal_stays_in_its_events_log(make: Make) -> None:
    bench = await make()
    bench.function()
    first, second = await bench.send(b"1"), None
    await bench.over()
    second = await bench.send(b"2")
    await bench.over()
    bench.heart.engine.alive[0].instance.logs.note_for(first, "late")
    bench.heart.engine.alive[0].instance.logs.note_for(second, "present")
    assert bench.heart.logged(first) == ["late"]
    assert bench.heart.logged(second) == ["present"]


async def test_what_has_ended_cannot_be_terminated(make: Make) -> None:
    bench = await make()
    bench.function(**TRACED)
    request_id = await bench.send()
    await bench.over()
    with pytest.raises(ConflictError) as caught:
        await bench.queue.terminate("default", "hello", request_id)
    assert caught.value.code == "FailedOperation.AsyncEventStatus"


async def test_what_is_not_there_or_anothers_cannot_be_terminated(make: Make) -> None:
    bench = await make()
    bench.function()
    bench.heart.engine.gate.clear()
    request_id = await bench.send()
    for name, wanted in (("hello", new_request_id()), ("other", request_id)):
        with pytest.raises(NotFoundError) as caught:
            await bench.queue.terminate("default", name, wanted)
        assert caught.value.code == "ResourceNotFound.AsyncEvent"
    assert bench.queue.depth == 1


async def test_two_terminations_at_once_both_wait_for_the_end(make: Make) -> None:
    bench = await make()
    bench.function(**TRACED)
    bench.answer = lambda event: None
    request_id = await bench.send()
    await eventually(lambda: len(bench.tries) == 1)
    ends = [bench.queue.terminate("default", "hello", request_id) for _ in range(2)]
    await asyncio.gather(*ends)
    assert await bench.state(request_id) == ("ABORTED", 499)


async def test_a_second_termination_of_a_waiting_event_answers_once_its_end_is_on_disk(
    make: Make,
) -> None:
    bench = await make()
    bench.function()
    bench.answer = lambda event: "broken"
    request_id = await bench.send()
    await bench.tried(1)
    bench.repository.error = PlatformError("the disk is full")
    first, second = (
        asyncio.create_task(bench.queue.terminate("default", "hello", request_id)) for _ in range(2)
    )
    await turns(20)
    assert not first.done()
    assert not second.done()
    bench.repository.error = None
    with pytest.raises(ConflictError, match="has ended"):
        await second
    assert bench.on_disk() == []
    await first


async def test_two_terminations_while_a_failure_is_being_stored_both_wait_for_the_end(
    make: Make,
) -> None:
    bench = await make()
    bench.function()

    def fail(_: Event) -> str:
        bench.repository.error = PlatformError("the disk is full")
        return "broken"

    bench.answer = fail
    request_id = await bench.send()
    await eventually(lambda: any(record.status_code == 430 for record in bench.records))
    ends = [
        asyncio.create_task(bench.queue.terminate("default", "hello", request_id)) for _ in range(2)
    ]
    await turns(20)
    bench.repository.error = None
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    assert bench.on_disk() == []
    await asyncio.gather(*ends)
    assert len(bench.tries) == 1
