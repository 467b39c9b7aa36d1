"""``GET /events``: what happens, to whoever listens, as server-sent events."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from api.rest import feed as route
from sandbox.feed.facts import FACTS, LinesWritten
from tests.contract.feed_kit import Served, served
from tests.support.clock import EPOCH
from tests.support.engine import echoing
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sandbox.feed import Feed


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path) as sandbox:
        sandbox.engine.on_release = echoing
        yield sandbox


def write(feed: Feed, count: int, text: str = "a line", function: str = "hello") -> None:
    """``count`` facts of lines that some instance wrote."""
    for number in range(count):
        lines = [(EPOCH, text)]
        feed.publish(
            LinesWritten(EPOCH, "default", function, "1", "request", "instance", number, lines)
        )


async def test_a_function_is_told_from_its_creation_to_its_invocation(sandbox: Served) -> None:
    async with sandbox.stream("/events?function=hello") as events:
        assert events.response.headers["content-type"].startswith("text/event-stream")
        await sandbox.create(environment={"KEY": "secret-value"})
        request_id = await sandbox.invoke()
        told = [await events.event()]
        while told[-1]["event"] != "invocation_ended":
            told.append(await events.event())
    names = [event["event"] for event in told]
    assert names[0] == "function_changed"
    assert [name for name in names if name.startswith("invocation")] == [
        *("invocation_began", "invocation_dispatched", "invocation_ended")
    ]
    assert told[-1]["data"]["request_id"] == request_id
    assert told[-1]["data"]["status"] == 200
    assert {event["data"]["type"] for event in told} == set(names)
    assert "secret-value" not in str(told)
    numbers = [int(event["id"].partition("-")[2]) for event in told]
    assert numbers == sorted(set(numbers))


async def test_facts_are_picked_by_type_function_and_request(sandbox: Served) -> None:
    await sandbox.create()
    await sandbox.create("other")
    path = "/events?type=invocation_ended&type=function_changed&function=other"
    async with sandbox.stream(path) as events:
        await sandbox.invoke()
        request_id = await sandbox.invoke("other")
        event = await events.event()
    assert (event["event"], event["data"]["request_id"]) == ("invocation_ended", request_id)
    async with sandbox.stream("/events?request_id=request&namespace=default") as events:
        await sandbox.invoke()
        write(sandbox.plane.feed, 1)
        assert (await events.event())["event"] == "lines_written"


async def test_a_type_that_there_is_none_of_is_refused(sandbox: Served) -> None:
    answer = await sandbox.client.get("/events?type=invocation_ended&type=everything")
    assert answer.status_code == 400
    assert "everything" in answer.json()["error"]["message"]
    assert "node_down" in answer.json()["error"]["message"]


@pytest.mark.parametrize(("by", "missed"), [("header", 10_000), ("query", 3)])
async def test_a_listener_goes_on_where_it_was(sandbox: Served, by: str, missed: int) -> None:
    feed = sandbox.plane.feed
    async with sandbox.stream("/events?type=lines_written") as events:
        write(feed, 3)
        seen = [await events.event() for _ in range(2)]
    write(feed, missed - 1)
    last = seen[-1]["id"]
    path = "/events?type=lines_written" + ("" if by == "header" else f"&last_event_id={last}")
    async with sandbox.stream(path, last if by == "header" else None) as events:
        place = int(last.partition("-")[2])
        for number in range(place + 1, place + missed + 1):
            assert (await events.event())["id"] == f"{feed.run}-{number}"


async def test_a_listener_that_comes_back_too_late_is_told_what_it_missed(
    sandbox: Served,
) -> None:
    feed = sandbox.plane.feed
    async with sandbox.stream("/events?type=lines_written") as events:
        write(feed, 1)
        last = (await events.event())["id"]
    write(feed, 20_000)
    async with sandbox.stream("/events", last) as events:
        gap, first = await events.event(), await events.event()
    missed = gap["data"]["missed"]
    assert gap["event"] == "gap"
    assert gap["data"]["reason"] == "slow"
    assert 9_000 < missed <= 10_000
    assert int(first["id"].partition("-")[2]) == int(last.partition("-")[2]) + missed + 1


@pytest.mark.parametrize("last", ["00000000-17", "nonsense", "{run}-999999", "{run}-", "{run}-x"])
@pytest.mark.parametrize("listened", [True, False], ids=["listened before", "first listener"])
async def test_an_id_that_is_not_of_this_run_gets_a_gap_and_all_that_there_is(
    sandbox: Served, last: str, listened: bool
) -> None:
    feed = sandbox.plane.feed
    write(feed, 3)  # nobody listens: they are not kept
    if listened:
        feed.listen()
    write(feed, 2)
    async with sandbox.stream("/events?type=lines_written", last.format(run=feed.run)) as events:
        gap = await events.event()
        assert (gap["event"], gap["data"]) == ("gap", {"reason": "restarted", "missed": None})
        write(feed, 1)
        told = [await events.event() for _ in range(3 if listened else 1)]
    kept = range(feed.last - len(told) + 1, feed.last + 1)
    assert [(event["event"], event["id"]) for event in told] == [
        ("lines_written", f"{feed.run}-{number}") for number in kept
    ]


async def test_a_listener_that_does_not_read_holds_up_no_invoke(sandbox: Served) -> None:
    feed = sandbox.plane.feed
    await sandbox.create()
    async with sandbox.stream("/events?type=lines_written") as slow:
        for _ in range(40):
            write(feed, 500, "x" * 1000)
            await sandbox.invoke()
        assert sandbox.plane.feed.last > 20_000
        held = sum(len(block.facts) for block in feed._ring)
        assert held <= 10_000 + 128
        names = {(await slow.event())["event"]}
        while "gap" not in names:
            names.add((await slow.event())["event"])
    assert names == {"lines_written", "gap"}


async def test_a_quiet_stream_is_kept_alive_and_its_place_moves_on(
    sandbox: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(route, "HEARTBEAT_S", 0.01)
    feed = sandbox.plane.feed
    async with sandbox.stream("/events?function=other") as events:
        write(feed, 5)
        await events.past(f"id: {feed.run}-{feed.last}")


async def test_facts_that_come_together_are_written_together(sandbox: Served) -> None:
    feed = sandbox.plane.feed
    async with sandbox.client.stream("GET", "/events?type=lines_written") as response:
        chunks = response.aiter_raw()
        await anext(chunks)
        write(feed, 20)
        chunk = await asyncio.wait_for(anext(chunks), 10)
    assert chunk.count(b"event: lines_written") == 20


async def test_the_stop_of_the_sandbox_ends_the_streams(sandbox: Served) -> None:
    async with (
        sandbox.stream("/events") as one,
        sandbox.stream("/events?function=none") as other,
    ):
        await eventually(lambda: len(sandbox.plane.feed._waiting) == 2)
        sandbox.server.should_exit = True
        await one.rest()
        await other.rest()
        assert sandbox.plane.ready  # it waits for nothing but the server


async def test_the_openapi_page_names_every_fact(sandbox: Served) -> None:
    document = (await sandbox.client.get("/openapi.json")).json()
    [types] = [
        parameter
        for parameter in document["paths"]["/events"]["get"]["parameters"]
        if parameter["name"] == "type"
    ]
    assert types["schema"]["items"]["enum"] == list(FACTS)
