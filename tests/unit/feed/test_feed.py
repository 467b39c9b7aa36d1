"""The feed: numbers, bounds, listeners that are slow, observers that fail."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from sandbox.errors import EngineError
from sandbox.feed import AT_ONCE, Feed, Filter
from sandbox.feed.facts import (
    FACTS,
    EventQueued,
    Fact,
    InvocationBegan,
    InvocationEnded,
    LinesWritten,
    NodeUp,
    view,
    weight,
)
from sandbox.invocation import InvokeOptions
from sandbox.invoker import Invoker
from sandbox.records.record import InvocationRecord
from tests.support.clock import EPOCH
from tests.support.engine import echoing
from tests.support.functions import FakeFunctions, function
from tests.support.pool import Heart
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence

SECRET = "0123456789ab" + "f" * 20


def began(number: int, function: str = "hello", namespace: str = "default") -> Fact:
    request_id = f"request-{number}"
    return InvocationBegan(EPOCH, namespace, function, "$LATEST", request_id, "$LATEST", "Event", 0)


def lines(text: str, request_id: str = "request-1") -> LinesWritten:
    return LinesWritten(
        EPOCH, "default", "hello", "$LATEST", request_id, SECRET[:12], 0, [(EPOCH, text)]
    )


def ended(result: str = "", **more: str) -> InvocationEnded:
    record = InvocationRecord("request-1", "default", "hello", "$LATEST", "$LATEST")
    return InvocationEnded(record._replace(ret_msg=result, instance_id=SECRET, ended_at=EPOCH))


def numbers(facts: Sequence[tuple[int, Fact]]) -> list[int]:
    return [number for number, _ in facts]


# ---------------------------------------------------------------- the ring


async def test_a_listener_reads_what_is_published_after_it_came() -> None:
    feed = Feed()
    feed.publish(began(1))
    listener = feed.listen()
    feed.publish(began(2))
    feed.publish(began(3))
    batch = await listener.get()
    assert batch == ([(2, began(2)), (3, began(3))], 0, 3)
    assert listener.read() == ([], 0, 3)


def test_a_listener_can_go_back_as_far_as_the_ring_reaches() -> None:
    feed = Feed(facts=1000)
    feed.listen()
    for number in range(1, 1001):
        feed.publish(began(number))
    batch = feed.listen(after=0).read(at_most=2000)
    assert (numbers(batch.facts), batch.missed) == (list(range(1, 1001)), 0)
    batch = feed.listen(after=990).read(at_most=3)
    assert (numbers(batch.facts), batch.place) == ([991, 992, 993], 993)


def test_the_ring_is_bound_by_the_number_of_facts() -> None:
    feed = Feed(facts=100)
    feed.listen()
    for number in range(1, 1001):
        feed.publish(began(number))
    batch = feed.listen(after=0).read(at_most=2000)
    assert 100 <= len(batch.facts) <= 100 + AT_ONCE
    assert batch.missed == 1000 - len(batch.facts)
    assert numbers(batch.facts)[-1] == feed.last == 1000


def test_the_ring_is_bound_by_bytes_however_few_facts_these_are() -> None:
    feed = Feed(size=1024 * 1024)
    feed.listen()
    for _ in range(10 * AT_ONCE):
        feed.publish(ended("x" * 64 * 1024))
        feed.publish(lines("y" * 8 * 1024))
        feed.gather()
    batch = feed.listen(after=0).read(at_most=10_000)
    assert 10 <= len(batch.facts) <= 32
    assert sum(weight(fact) for _, fact in batch.facts) <= 1024 * 1024


def test_one_fact_larger_than_the_ring_leaves_it_empty() -> None:
    feed = Feed(size=1000)
    listener = feed.listen()
    feed.publish(lines("x" * 1000))
    assert listener.read() == ([], 1, 1)


def test_nothing_is_kept_before_the_first_listener() -> None:
    feed = Feed()
    for number in range(3):
        feed.publish(began(number))
    assert feed.listen(after=0).read() == ([], 3, 3)
    feed.publish(began(4))
    assert feed.listen(after=0).read() == ([(4, began(4))], 3, 4)


def test_no_fact_is_asked_for_until_somebody_listens_or_observes() -> None:
    feed = Feed()
    assert feed.asked == frozenset()
    feed.observe(lambda _: None, [InvocationEnded])
    assert feed.asked == {InvocationEnded}
    feed.listen(Filter(function="hello"))
    assert feed.asked == frozenset(FACTS.values())


# ---------------------------------------------------------------- listeners


async def test_a_slow_listener_is_told_how_many_facts_it_missed() -> None:
    feed = Feed(facts=100)
    slow, quick = feed.listen(), feed.listen()
    for number in range(1, 1001):
        feed.publish(began(number))
        assert (await quick.get()).missed == 0
    batch = await slow.get(at_most=2000)
    assert batch.missed == numbers(batch.facts)[0] - 1 == 1000 - len(batch.facts)
    feed.publish(began(1001))
    assert await slow.get() == ([(1001, began(1001))], 0, 1001)


async def test_listeners_wait_for_what_they_want_and_get_nothing_else() -> None:
    feed = Feed()
    listener = feed.listen(Filter(function="other"))
    waiting = asyncio.create_task(listener.get())
    for number in range(3):
        feed.publish(began(number))
        await asyncio.sleep(0)
    feed.publish(began(4, "other"))
    assert (await asyncio.wait_for(waiting, 5)).facts == [(4, began(4, "other"))]


async def test_a_wait_ends_without_facts_when_its_time_is_over() -> None:
    feed = Feed()
    assert await feed.listen().get(within_s=0.001) == ([], 0, 0)
    assert await feed.listen().get(within_s=0) == ([], 0, 0)


async def test_a_listener_that_goes_away_while_it_waits_leaves_nothing_behind() -> None:
    feed = Feed()
    waiting = asyncio.create_task(feed.listen().get())
    await eventually(lambda: feed._awaited)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert not feed._waiting
    assert not feed._awaited
    feed.publish(began(1))
    assert feed._alarm is None


async def test_all_who_wait_are_woken_together() -> None:
    feed = Feed()
    listeners = [asyncio.create_task(feed.listen().get()) for _ in range(3)]
    await eventually(lambda: len(feed._waiting) == 3)
    feed.publish(began(1))
    feed.publish(began(2))
    batches = await asyncio.wait_for(asyncio.gather(*listeners), 5)
    assert [numbers(batch.facts) for batch in batches] == [[1, 2]] * 3


async def test_closing_ends_every_listener_those_to_come_too() -> None:
    feed = Feed()
    listener = feed.listen()

    async def everything() -> list[int]:
        return [number async for batch in listener for number in numbers(batch.facts)]

    reading = asyncio.create_task(everything())
    feed.publish(began(1))
    await eventually(lambda: listener.place == 1)
    feed.close()
    assert await asyncio.wait_for(reading, 5) == [1]
    assert [batch async for batch in feed.listen()] == []


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Filter(), [1, 2, 3, 4, 5, 6]),
        (Filter(function="hello"), [1, 4, 5]),
        (Filter(namespace="ns"), [3]),
        (Filter(namespace="default", function="other"), [2]),
        (Filter(request_id="request-1"), [1, 4, 5]),
        (Filter(types=frozenset({LinesWritten, NodeUp})), [5, 6]),
        (Filter(types=frozenset({LinesWritten}), function="other"), []),
    ],
)
def test_filters_pick_by_name_request_and_type(wanted: Filter, expected: list[int]) -> None:
    feed = Feed()
    listener = feed.listen(wanted)
    for fact in (
        began(1),
        began(2, "other"),
        began(3, namespace="ns", function="third"),
        ended(),
        lines("text"),
        NodeUp(EPOCH, "here", "fake", 1024),
    ):
        feed.publish(fact)
    assert numbers(listener.read().facts) == expected


# ---------------------------------------------------------------- observers


def test_observers_get_every_fact_in_order_without_anybody_looking() -> None:
    feed, seen = Feed(), list[Fact]()
    feed.observe(seen.extend, [InvocationBegan])
    facts = [began(number) for number in range(3 * AT_ONCE)]
    for fact in facts[:-1]:
        feed.publish(fact)
    assert len(seen) >= 2 * AT_ONCE
    feed.publish(facts[-1])
    feed.gather()
    assert seen == facts


def test_an_observer_that_fails_is_logged_and_harms_nobody() -> None:
    feed, seen = Feed(), list[Fact]()

    def fail(_: Sequence[Fact]) -> None:
        raise ValueError("broken")

    feed.observe(fail, FACTS.values())
    feed.observe(seen.extend, FACTS.values())
    listener = feed.listen()
    with capture_logs() as logs:
        feed.publish(began(1))
        assert listener.read().facts == [(1, began(1))]
    assert seen == [began(1)]
    assert [entry["event"] for entry in logs] == ["feed_observer_failed"]


# ---------------------------------------------------------------- what is told


def test_a_view_is_plain_data_and_tells_no_more_of_an_instance_than_is_shown() -> None:
    shown = view(ended("the result"))
    assert shown["type"] == "invocation_ended"
    assert shown["instance_id"] == "0123456789ab"
    assert "the result" not in json.dumps(shown)
    assert view(lines("text"))["lines"] == [{"time": EPOCH, "text": "text"}]
    queued = view(EventQueued(EPOCH, "default", "hello", "1", "request-1", "API"))
    assert queued == {
        "type": "event_queued",
        "time": EPOCH,
        "namespace": "default",
        "function": "hello",
        "version": "1",
        "request_id": "request-1",
        "source": "API",
    }


async def test_an_invocation_is_told_from_its_begin_to_its_end() -> None:
    heart = Heart()
    listener = heart.feed.listen()
    hello = function(environment={"KEY": "secret-value"})

    def greet(container: object) -> None:
        heart.engine.containers[0].write("hi\n")
        echoing(heart.engine.containers[0])

    heart.engine.on_release = greet
    functions = FakeFunctions(hello)
    invoker = Invoker(functions, heart.pool, heart.time, heart.loop, heart.recorder)
    await invoker.invoke("hello", b'{"key": "secret-event"}', InvokeOptions("id"))
    await heart.close()
    told = [view(fact) for _, fact in listener.read().facts]
    assert [(fact["type"], fact.get("state", "")) for fact in told] == [
        ("invocation_began", ""),
        ("instance_changed", "starting"),
        ("instance_changed", "standing by"),
        ("instance_changed", "initialising"),
        ("invocation_dispatched", ""),
        ("lines_written", ""),
        ("instance_changed", "idle"),
        ("invocation_ended", ""),
        ("instance_changed", "stopping"),
        ("instance_changed", "gone"),
    ]
    assert {fact["request_id"] for fact in told if "request_id" in fact} == {"id"}
    assert {fact["function"] for fact in told} == {"hello"}
    text = json.dumps(told)
    assert "secret" not in text
    assert heart.engine.containers[0].spec.instance_id not in text


async def test_a_record_is_safe_before_its_end_is_told() -> None:
    heart = Heart()
    order: list[str] = []
    heart.kept.put = lambda record: order.append("kept")  # type: ignore[method-assign]
    publish = heart.feed.publish

    def told(fact: Fact) -> None:
        order.append(type(fact).__name__)
        publish(fact)

    heart.feed.publish = told  # type: ignore[method-assign]
    heart.recorder.ended(ended().record)
    assert order == ["kept", "InvocationEnded"]
    await heart.close()


async def test_an_instance_that_could_not_be_started_is_told_to_be_gone() -> None:
    heart = Heart()
    listener = heart.feed.listen()
    heart.engine.failures = [EngineError("no image")]
    assert (await heart.run(function())).status_code == 500
    told = [view(fact) for _, fact in listener.read().facts]
    assert [(f["state"], f["reason"]) for f in told] == [("starting", ""), ("gone", "no image")]
    await heart.close()


@pytest.mark.parametrize("name", FACTS)
def test_every_fact_is_in_the_documents(name: str) -> None:
    page = (Path(__file__).parents[3] / "docs" / "en" / "feed.md").read_text()
    [row] = [line for line in page.splitlines() if line.startswith(f"| `{name}` ")]
    shown = view(ended()) if name == "invocation_ended" else FACTS[name]._fields
    for field in set(shown) - {"type", "time", "namespace", "function", "version"}:
        assert f"`{field}`" in row
