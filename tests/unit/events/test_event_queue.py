"""The queue of asynchronous events: acceptance, order, room, and what a restart finds."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.clock import new_request_id
from sandbox.errors import LimitError, PlatformError
from sandbox.invocation import InvokeOptions
from tests.support.waiting import DEADLINE_S, eventually, turns
from tests.unit.events.event_kit import QUEUE

if TYPE_CHECKING:
    from tests.unit.events.conftest import Make


async def test_an_accepted_event_is_on_disk_before_its_id_is_known(make: Make) -> None:
    bench = await make()
    bench.function()
    bench.heart.engine.gate.clear()
    request_id = await bench.send(b'{"key":"value"}', routing_key={"k": "v"})
    [event] = bench.on_disk()
    assert (event.request_id, event.qualifier, event.retry_num) == (request_id, "$LATEST", 0)
    assert json.loads(event.routing_key) == {"k": "v"}
    assert bench.repository.bodies([event.seq]) == {event.seq: b'{"key":"value"}'}


async def test_an_event_is_run_under_its_id_and_then_forgotten(make: Make) -> None:
    bench = await make()
    bench.function()
    request_id = await bench.send(b'{"n":1}')
    await bench.over()
    assert bench.tries == [(b'{"n":1}', 0)]
    assert bench.on_disk() == []
    running, ended = bench.records
    assert (running.status_code, ended.status_code) == (202, 200)
    assert running.request_id == ended.request_id == request_id
    assert running.instance_id == ended.instance_id != ""
    assert ended.invocation_type == "Event"
    assert ended.ret_msg == '{"n":1}'


async def test_many_events_are_accepted_in_few_transactions(make: Make) -> None:
    bench = await make()
    bench.function()
    bench.heart.engine.gate.clear()
    await asyncio.gather(*(bench.send(b"%d" % number) for number in range(300)))
    assert len(bench.on_disk()) == 300
    assert len(bench.repository.batches) < 10


async def test_an_event_that_cannot_be_stored_is_refused_and_not_run(make: Make) -> None:
    bench = await make()
    bench.function()
    bench.repository.error = PlatformError("the disk is full")
    with pytest.raises(PlatformError, match="the disk is full"):
        await bench.send()
    bench.repository.error = RuntimeError("a bug")
    with pytest.raises(PlatformError, match="a bug"):
        await bench.send()
    assert bench.queue.depth == 0
    assert bench.tries == []


async def test_an_outcome_that_cannot_be_stored_is_stored_later(make: Make) -> None:
    bench = await make()
    bench.function()
    gate: list[None] = []
    bench.answer = lambda event: event.body if gate else None
    await bench.send()
    await eventually(lambda: len(bench.tries) == 1)
    bench.repository.error = PlatformError("the disk is full")
    bench.heart.engine.containers[0].instance.push(b"done")
    await turns(50)
    assert len(bench.on_disk()) == 1
    bench.repository.error = None
    await bench.heart.time.advance(1)
    await bench.over()
    assert bench.on_disk() == []
    assert len(bench.tries) == 1


async def test_an_acceptance_is_completed_though_the_caller_goes_away(make: Make) -> None:
    bench = await make()
    bench.function()
    caller = asyncio.ensure_future(bench.send())
    await turns(3)
    caller.cancel()
    await asyncio.wait([caller])
    await bench.tried(1)
    await bench.over()


async def test_events_of_a_function_are_run_in_the_order_of_acceptance(make: Make) -> None:
    bench = await make(128)
    bench.function()
    for number in range(20):
        await bench.send(b"%d" % number)
    await bench.over()
    assert [int(body) for body, _ in bench.tries] == list(range(20))


async def test_a_function_with_many_events_does_not_hold_up_another(make: Make) -> None:
    bench = await make(128)
    bench.function("many")
    bench.function("few")
    bench.heart.engine.gate.clear()
    for _ in range(50):
        await bench.send(b'"many"', "many")
    await bench.send(b'"few"', "few")
    bench.heart.engine.gate.set()
    await bench.over()
    order = [body for body, _ in bench.tries]
    assert len(order) == 51
    assert order.index(b'"few"') < 10


async def test_events_wait_for_memory_and_are_not_refused(make: Make) -> None:
    bench = await make(256)
    bench.function()
    release: list[None] = []
    bench.answer = lambda event: None if not release else event.body
    for number in range(5):
        await bench.send(b"%d" % number)
    await eventually(lambda: len(bench.tries) == 2)
    await bench.heart.time.advance(1)
    assert bench.heart.engine.launches == 2
    assert bench.queue.depth == 5
    release.append(None)
    for container in bench.heart.engine.containers:
        container.instance.push(b"done")
        container.instance.poll(lambda event: None)
        container.end()
    await bench.over()
    assert len(bench.tries) == 5
    assert await bench.dead() == []


async def test_a_flood_starts_a_few_instances_at_a_time(make: Make) -> None:
    bench = await make(4096, start_parallelism=3)
    bench.function()
    bench.heart.engine.gate.clear()
    for _ in range(30):
        await bench.send()
    await turns()
    assert bench.heart.engine.launches == 3
    bench.heart.engine.gate.set()
    await bench.over()
    assert len(bench.tries) == 30


async def test_what_waits_for_a_caller_comes_before_what_nobody_waits_for(make: Make) -> None:
    bench = await make(128)
    hello = bench.function()
    bench.answer = lambda event: None
    await bench.send(b'"first"')
    await eventually(lambda: len(bench.tries) == 1)
    await bench.send(b'"later"')
    waiting = bench.heart.submit(hello, b'"caller"')
    bench.answer = lambda event: event.body
    container = bench.heart.engine.containers[0]
    container.instance.push(b"done")
    bench.heart.engine.on_release = bench._bootstrap
    container.end()
    await asyncio.wait_for(waiting.future, DEADLINE_S)
    await bench.over()
    assert [body for body, _ in bench.tries] == [b'"first"', b'"caller"', b'"later"']


async def test_a_restart_runs_what_was_not_over_in_the_old_order(make: Make) -> None:
    bench = await make(128)
    bench.function()
    bench.answer = lambda event: None
    ids = [await bench.send(b"%d" % number) for number in range(100)]
    await eventually(lambda: len(bench.tries) == 1)
    await bench.queue.close()
    assert [event.request_id for event in bench.on_disk()] == ids
    bench.answer = lambda event: event.body
    bench.heart.engine.containers[0].end()
    bench.tries.clear()
    await bench.open()
    await bench.over()
    assert [int(body) for body, _ in bench.tries] == list(range(100))


async def test_bodies_that_memory_has_no_room_for_are_read_from_disk(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.events.bodies.KEPT_BYTES", 10)
    monkeypatch.setattr("sandbox.events.bodies.READ_BYTES", 30)
    bench = await make(128)
    bench.function()
    bench.heart.engine.gate.clear()
    bodies = [b'"event number %03d"' % number for number in range(50)]
    for body in bodies:
        await bench.send(body)
    bench.heart.engine.gate.set()
    await bench.over()
    assert [body for body, _ in bench.tries] == bodies
    assert bench.queue._bodies._kept == 0


async def test_nothing_is_accepted_after_the_close(make: Make) -> None:
    bench = await make()
    bench.function()
    await bench.queue.close()
    with pytest.raises(PlatformError, match="stopping"):
        await bench.send()
    await bench.open()


async def test_above_the_limit_events_go_to_the_dead_letters(make: Make) -> None:
    bench = await make(async_queue_limit=3)
    bench.function(**QUEUE)
    bench.heart.engine.gate.clear()
    ids = [await bench.send(b"%d" % number) for number in range(5)]
    assert bench.queue.depth == 3
    letters = await bench.dead()
    assert {letter.request_id for letter in letters} == set(ids[3:])
    assert all(not letter.dropped and letter.status_code == 432 for letter in letters)
    assert "limit of 3" in letters[0].error_message
    bench.heart.engine.gate.set()
    await bench.over()
    assert len(bench.tries) == 3


async def test_above_the_limit_and_without_dead_letter_queue_events_are_refused(
    make: Make,
) -> None:
    bench = await make(async_queue_limit=2)
    bench.function()
    bench.heart.engine.gate.clear()
    sent = await asyncio.gather(*(bench.send() for _ in range(5)), return_exceptions=True)
    refused = [error for error in sent if isinstance(error, LimitError)]
    assert [error.code for error in refused] == ["LimitExceeded.Quota"] * 3
    assert bench.queue.depth == 2


async def test_an_invoker_without_a_queue_says_so(make: Make) -> None:
    bench = await make()
    bench.function()
    bench.invoker._queue = None
    with pytest.raises(PlatformError, match="without a queue"):
        await bench.invoker.invoke_async("hello", b"{}", InvokeOptions(new_request_id()))


async def test_bodies_that_cannot_be_read_are_read_later(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.events.bodies.KEPT_BYTES", 0)
    bench = await make()
    bench.function()
    attempts: list[int] = []
    read = bench.repository.bodies

    def failing(seqs: list[int]) -> dict[int, bytes]:
        attempts.extend(seqs)
        if len(attempts) == 1:
            raise PlatformError("the disk is gone")
        return read(seqs)

    monkeypatch.setattr(bench.repository, "bodies", failing)
    await bench.send(b'{"n":1}')
    await eventually(lambda: len(attempts) == 1)
    await turns()
    await bench.heart.time.advance(1.1)
    await bench.over()
    assert bench.tries == [(b'{"n":1}', 0)]


async def test_a_bug_while_bodies_are_read_does_not_hold_up_their_line_for_ever(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.events.bodies.KEPT_BYTES", 0)
    bench = await make()
    bench.function()
    attempts: list[int] = []
    read = bench.repository.bodies

    def broken_once(seqs: list[int]) -> dict[int, bytes]:
        attempts.extend(seqs)
        if len(attempts) == 1:
            raise RuntimeError("a bug")
        return read(seqs)

    monkeypatch.setattr(bench.repository, "bodies", broken_once)
    await bench.send(b'{"n":1}')
    await eventually(lambda: len(attempts) == 1)
    [line] = bench.queue._lanes._lanes.values()
    await eventually(lambda: not line.loading)
    await bench.heart.time.advance(5.1)
    await bench.over()
    assert bench.tries == [(b'{"n":1}', 0)]


@pytest.mark.parametrize("queue", [QUEUE, {}])
async def test_an_event_whose_body_is_missing_on_disk_is_given_up_and_not_run(
    make: Make, monkeypatch: pytest.MonkeyPatch, queue: dict[str, Any]
) -> None:
    monkeypatch.setattr("sandbox.events.bodies.KEPT_BYTES", 0)
    bench = await make()
    bench.function(**queue)
    lost = new_request_id()
    read = bench.repository.bodies

    def without_the_lost_one(seqs: list[int]) -> dict[int, bytes]:
        found = read(seqs)
        return {seq: body for seq, body in found.items() if body != b'"lost"'}

    monkeypatch.setattr(bench.repository, "bodies", without_the_lost_one)
    options = InvokeOptions(lost, invocation_type="Event")
    await bench.invoker.invoke_async("hello", b'"lost"', options)
    await bench.send(b'"there"')
    await bench.over()
    assert bench.tries == [(b'"there"', 0)]
    assert bench.on_disk() == []
    [record] = [record for record in bench.records if record.request_id == lost]
    assert record.status_code == 500
    assert "missing" in record.ret_msg
    [letter] = await bench.dead()
    assert (letter.request_id, letter.dropped) == (lost, not queue)
    assert "missing" in letter.error_message
    assert bench.queue._bodies._kept == 0


async def test_a_termination_does_not_hang_when_the_queue_closes(make: Make) -> None:
    bench = await make()
    bench.function()
    bench.answer = lambda event: None
    request_id = await bench.send()
    await eventually(lambda: len(bench.tries) == 1)
    bench.repository.error = PlatformError("the disk is full")
    ending = asyncio.ensure_future(bench.queue.terminate("default", "hello", request_id))
    await turns(50)
    await bench.queue.close()
    with pytest.raises(asyncio.CancelledError):
        await ending
    bench.repository.error = None
    assert len(bench.on_disk()) == 1
    await bench.open()


async def test_errors_of_the_database_are_the_sandboxs_own(make: Make) -> None:
    bench = await make()
    bench.function()
    with bench.database.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE events RENAME TO hidden")
    with pytest.raises(PlatformError, match="no such table: events"):
        await bench.send()
    with bench.database.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE hidden RENAME TO events")
