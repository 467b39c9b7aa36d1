"""The subtle behaviours that a naive emulator gets wrong: contract section 10, item by item."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from sandbox.engine.base import Exit
from tests.contract.runtime_stage import ERROR, NEXT, READY, RESPONSE, Stage, Wire, stage
from tests.support.functions import function
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sandbox.invocation import Outcome


@pytest.fixture
async def house() -> AsyncIterator[Stage]:
    async with stage() as built:
        yield built


def message(outcome: Outcome) -> str:
    text: str = json.loads(outcome.body)["errorMessage"]
    return text


async def another(house: Stage, wire: Wire) -> Wire:
    """One more connection of the same instance."""
    container = house.heart.engine.containers[0]
    assert container.runtime_host == wire.host
    return await house.connect(container)


async def test_item_1_timeout_starts_at_dispatch_not_at_the_fetch(house: Stage) -> None:
    """Item 1: a runtime that is slow to poll loses that time."""
    invocation = house.invoke()
    wire = await house.ready()
    await house.heart.time.advance(2)
    assert (await wire.next()).status == 200
    await house.heart.time.advance(1.1)
    outcome = await house.outcome(invocation)
    assert outcome.status_code == 433
    assert message(outcome) == "Invoking task timed out after 3 seconds"


async def test_item_1_an_event_never_fetched_has_a_timeout_of_its_own(house: Stage) -> None:
    """Item 1: there are two timeouts; one is for a runtime that does not poll."""
    invocation = house.invoke()
    await house.ready()
    await house.heart.time.advance(3.1)
    outcome = await house.outcome(invocation)
    assert outcome.status_code == 433
    assert message(outcome).endswith(": the runtime did not fetch the event")


async def test_item_2_a_repeated_poll_gets_the_same_event_at_once(house: Stage) -> None:
    """Item 2: same Request_Id, same bytes, also on other connections."""
    invocation, wire = await house.served(b'{"n":1}')
    other = await another(house, wire)
    for again in (wire, other, wire):
        reply = await again.next()
        assert reply.body == b'{"n":1}'
        assert reply.header("request_id") == invocation.request_id


async def test_item_3_a_poll_before_ready_is_held(house: Stage) -> None:
    """Item 3: answered when the runtime is ready, not refused."""
    invocation = house.invoke(b"early")
    early = await house.connect(await house.container())
    await early.request("GET", NEXT)
    await house.arrived()
    assert early.quiet
    await (await another(house, early)).ready()
    assert (await early.reply()).body == b"early"
    await early.respond()
    assert (await house.outcome(invocation)).ok


async def test_item_4_ready_may_be_reported_again_at_any_time(house: Stage) -> None:
    """Item 4: the first report counts; later ones are answered alike."""
    invocation, wire = await house.served()
    assert (await wire.ready()).status == 200
    await wire.respond()
    assert (await wire.ready()).status == 200
    assert (await house.outcome(invocation)).ok
    again = house.invoke(b"2")
    assert (await wire.next()).body == b"2"
    await wire.respond()
    assert not (await house.outcome(again)).cold_start


async def test_item_5_the_first_push_wins_and_the_rest_are_acknowledged(house: Stage) -> None:
    """Item 5: a push after the first is answered 200 and changes nothing."""
    invocation, wire = await house.served()
    assert (await wire.respond(b"first")).status == 200
    for path in (RESPONSE, ERROR, RESPONSE):
        assert (await wire.call("POST", path, b"more")).status == 200
    assert (await house.outcome(invocation)).body == b"first"
    assert house.log(invocation) == ["[PLATFORM] push ignored: there is no event outstanding"] * 3


async def test_item_5_a_late_push_does_not_leak_into_the_next_invocation(house: Stage) -> None:
    """Item 5: an event fetched three times is answered three times; the next one is not touched."""
    first, wire = await house.served()
    await wire.next()
    await wire.next()
    await wire.respond(b"first")
    second = house.invoke(b"2")
    poll = await another(house, wire)
    await poll.request("GET", NEXT)
    await house.arrived()
    assert poll.quiet
    for _ in range(2):
        assert (await wire.respond(b"surplus")).status == 200
    assert (await poll.reply()).body == b"2"
    await poll.respond(b"second")
    assert (await house.outcome(first)).body == b"first"
    assert (await house.outcome(second)).body == b"second"


async def test_item_5_pushes_that_never_come_hold_the_next_event_only_shortly(
    house: Stage,
) -> None:
    """Item 5: a client that fetches twice and answers once is not waited for."""
    _, wire = await house.served()
    await wire.next()
    await wire.respond()
    house.invoke(b"2")
    await wire.request("GET", NEXT)
    await house.arrived()
    await house.heart.time.advance(0.1)
    assert (await wire.reply()).body == b"2"


async def test_item_5_a_push_before_any_event_was_fetched_ends_nothing(house: Stage) -> None:
    """Item 5: client 5 pushes even when its fetch has failed."""
    invocation = house.invoke()
    wire = await house.ready()
    assert (await wire.respond(b"of nothing")).status == 200
    assert (await wire.next()).body == b"{}"
    await wire.respond(b"of the event")
    assert (await house.outcome(invocation)).body == b"of the event"


async def test_item_6_after_the_end_of_an_event_a_poll_waits_for_a_new_one(house: Stage) -> None:
    """Item 6: the old event is not handed out again."""
    _, wire = await house.served()
    await wire.respond()
    await wire.request("GET", NEXT)
    await house.arrived()
    assert wire.quiet
    house.invoke(b"2")
    assert (await wire.reply()).body == b"2"


async def test_item_6_a_new_event_goes_to_every_poll_in_flight_and_is_answered_once(
    house: Stage,
) -> None:
    """Item 6: a duplicate poll of the old event neither eats the new one nor runs it twice."""
    _, wire = await house.served()
    await wire.respond()
    polls = [await another(house, wire) for _ in range(3)]
    for poll in polls:
        await poll.request("GET", NEXT)
    await house.arrived()
    second = house.invoke(b"2")
    assert [(await poll.reply()).body for poll in polls] == [b"2"] * 3
    for number, poll in enumerate(polls):
        await poll.respond(b"%d" % number)
    assert (await house.outcome(second)).body == b"0"
    third = house.invoke(b"3")
    assert (await wire.next()).body == b"3"
    await wire.respond(b"third")
    assert (await house.outcome(third)).body == b"third"


async def test_item_7_reply_bodies_are_short_stable_and_not_empty(house: Stage) -> None:
    """Item 7: the bash bootstrap prints them into the function's log."""
    _, wire = await house.served()
    bodies = {(await wire.call("POST", path, b"")).body for path in (READY, RESPONSE, ERROR)}
    assert bodies == {b"OK\n"}


async def test_item_8_an_idle_poll_is_never_answered_or_closed() -> None:
    """Item 8: a runtime may wait for its next event for days."""
    async with stage(idle_timeout=1e9) as house:
        _, wire = await house.served()
        await wire.respond()
        await wire.request("GET", NEXT)
        await house.arrived()
        await house.heart.time.advance(7 * 86_400)
        await house.arrived()
        assert wire.quiet


async def test_item_9_a_form_is_stored_raw(house: Stage) -> None:
    """Item 9: curl's default content type is a form's."""
    invocation, wire = await house.served()
    body = b'{"a": "b&c=d%20+"}'
    await wire.send(
        b"POST /runtime/invocation/response HTTP/1.1\r\nHost: " + wire.host.encode() + b"\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 18\r\n\r\n" + body
    )
    assert (await wire.reply()).status == 200
    assert (await house.outcome(invocation)).body == body


@pytest.mark.parametrize("body", [b" ", b"", None, b'{"msg":"ready"}'])
async def test_item_9_ready_needs_no_body(house: Stage, body: bytes | None) -> None:
    """Item 9: blank, empty, missing or JSON, all are fine."""
    house.invoke()
    wire = await house.connect(await house.container())
    assert (await wire.call("POST", READY, body)).status == 200
    assert (await wire.next()).status == 200


async def test_item_10_curl_does_not_wait_for_its_100_continue(house: Stage) -> None:
    """Item 10: CentOS 7's curl asks above 1 KB, and would wait a second for the answer."""
    invocation, wire = await house.served()
    head = f"POST {RESPONSE} HTTP/1.1\r\nHost: {wire.host}\r\nContent-Length: 1025\r\n"
    await wire.send(head.encode() + b"Expect: 100-continue\r\n\r\n")
    async with asyncio.timeout(0.9):
        assert (await wire.reply()).head.startswith(b"HTTP/1.1 100 Continue")
    await wire.send(b"x" * 1025)
    assert (await wire.reply()).status == 200
    assert len((await house.outcome(invocation)).body) == 1025


async def test_item_11_header_names_are_spelled_as_scripts_grep_for_them(house: Stage) -> None:
    """Item 11: underscores, and this case."""
    house.invoke()
    wire = await house.ready()
    names = [name for name, _ in (await wire.next()).headers]
    assert {"Request_Id", "Memory_Limit_In_Mb", "Time_Limit_In_Ms"} <= set(names)


async def test_item_12_a_result_is_opaque(house: Stage) -> None:
    """Item 12: it need not be JSON, and is not encoded again."""
    invocation, wire = await house.served()
    await wire.respond(b"Echoing request: '{\"a\":1}'\n")
    assert (await house.outcome(invocation)).text == "Echoing request: '{\"a\":1}'\n"


async def test_item_13_a_failed_init_is_an_init_timeout_with_its_output(house: Stage) -> None:
    """Item 13: what it wrote belongs to the request that started it."""
    slow, broken = house.invoke(), house.invoke(of=function("broken"))
    (await house.container(0)).write("still loading\n")
    crashing = await house.container(1)
    crashing.write("cannot open shared object\n")
    crashing.end(Exit(127))
    await house.heart.time.advance(66)
    for invocation, line in ((slow, "still loading"), (broken, "cannot open shared object")):
        assert (await house.outcome(invocation)).status_code == 450
        assert house.log(invocation) == [line]


async def test_item_13_init_output_belongs_to_the_first_request(house: Stage) -> None:
    """Item 13: no record of its own."""
    first = house.invoke()
    (await house.container()).write("hello from init\n")
    wire = await house.ready()
    await wire.next()
    await wire.respond()
    second = house.invoke()
    await wire.next()
    assert (house.log(first), house.log(second)) == (["hello from init"], [])


async def test_item_15_a_pushed_error_keeps_the_instance(house: Stage) -> None:
    """Item 15: 430, and the next event is no cold start."""
    invocation, wire = await house.served()
    await wire.call("POST", ERROR, b"it went wrong")
    outcome = await house.outcome(invocation)
    assert (outcome.status_code, message(outcome)) == (430, "it went wrong")
    house.invoke(b"2")
    assert (await wire.next()).body == b"2"
    assert house.heart.engine.launches == 1


@pytest.mark.parametrize("status", [433, 434, 439])
async def test_item_15_timeout_memory_and_exit_recycle_the_instance(
    house: Stage, status: int
) -> None:
    """Item 15: the next event is a cold start in another container."""
    invocation, _ = await house.served()
    container = house.heart.engine.containers[0]
    if status == 433:
        await house.heart.time.advance(3.1)
    elif status == 434:
        container.end(Exit(137, oom_killed=True))
    else:
        container.end(Exit(1))
    assert (await house.outcome(invocation)).status_code == status
    house.invoke(b"2")
    wire = await house.ready(1)
    assert (await wire.next()).body == b"2"
    await eventually(lambda: not container.alive)


async def test_item_16_parallel_events_have_parallel_instances(house: Stage) -> None:
    """Item 16: one event at a time each, none sees the other's."""
    events = [house.invoke(b"%d" % number) for number in range(3)]
    wires = [await house.ready(number) for number in range(3)]
    for number, wire in enumerate(wires):
        assert (await wire.next()).body == b"%d" % number
    for number, wire in reversed(list(enumerate(wires))):
        await wire.respond(b"answer %d" % number)
    bodies = [(await house.outcome(event)).body for event in events]
    assert bodies == [b"answer 0", b"answer 1", b"answer 2"]


async def test_item_21_the_time_limit_is_told_in_milliseconds(house: Stage) -> None:
    """Item 21: configured in seconds; memory in MB."""
    house.invoke(of=function(timeout_s=900, memory_mb=256))
    reply = await (await house.ready()).next()
    assert reply.header("time_limit_in_ms") == "900000"
    assert reply.header("memory_limit_in_mb") == "256"


async def test_item_32_duration_on_timeout_is_the_limit_and_init_is_told_apart(
    house: Stage,
) -> None:
    """Item 32: 3000 ms exactly."""
    invocation = house.invoke()
    await house.container()
    await house.heart.time.advance(2)
    wire = await house.ready()
    await wire.next()
    await house.heart.time.advance(4)
    outcome = await house.outcome(invocation)
    assert (outcome.duration_ms, outcome.bill_ms) == (3000, 3000)
    assert 2000 <= outcome.init_ms < 3000
