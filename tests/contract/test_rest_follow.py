"""``GET /functions/{name}/logs?follow=true``: a log as it is written."""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import TYPE_CHECKING

import pytest

from api.rest.follow import LiveLog
from sandbox.engine.base import Exit
from sandbox.feed.facts import LinesWritten
from sandbox.records.record import LogChunk
from tests.contract.feed_kit import Served, Stream, served
from tests.support.engine import Runtime, echoing
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import httpx

FOLLOW = "/functions/hello/logs?follow=true"
CHUNK = LogChunk("", "i" * 32, 0, [(0.0, "x" * 100)])


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path) as sandbox:
        await sandbox.create()
        yield sandbox


async def follows(sandbox: Served) -> None:
    """Until the stream has shown what there was, and waits."""
    await eventually(lambda: bool(sandbox.plane.feed._waiting))


async def begun(sandbox: Served, number: int = 0) -> tuple[asyncio.Task[httpx.Response], Runtime]:
    """An invocation under way on a new instance, which is being initialised."""
    answer = asyncio.create_task(sandbox.client.post("/functions/hello/invocations", content=b"{}"))
    await eventually(lambda: len(sandbox.engine.containers) > number)
    container = sandbox.engine.containers[number]
    await eventually(lambda: container.released)
    return answer, Runtime(container)


async def lines(stream: Stream, count: int) -> list[str]:
    return [await stream.line() for _ in range(count)]


async def test_lines_are_shown_while_an_initialisation_hangs(sandbox: Served) -> None:
    async with sandbox.stream(FOLLOW) as log:
        assert log.response.headers["content-type"] == "text/plain; charset=utf-8"
        await follows(sandbox)
        answer, runtime = await begun(sandbox)
        runtime.container.write("loading\n")
        start, line = await lines(log, 2)
        assert start.startswith("START RequestId:")
        assert line == "loading"
        runtime.container.write("still loading\n")
        assert await log.line() == "still loading"
        runtime.container.end(Exit(3))
        await answer
        error = await log.line()
        assert error.startswith("ERROR RequestId:")


async def test_a_line_arrives_within_50_ms(sandbox: Served) -> None:
    took = []
    async with sandbox.stream(FOLLOW) as log:
        await follows(sandbox)
        answer, runtime = await begun(sandbox)
        await log.line()  # START
        for number in range(21):
            written_at = time.monotonic()
            runtime.container.write(f"{number}\n")
            assert await log.line() == str(number)
            took.append(time.monotonic() - written_at)
        runtime.container.end(Exit(3))
        await answer
    # The machine may be busy for a moment: most lines show what the sandbox itself takes.
    assert statistics.median(took) < 0.05, took


async def test_an_invocation_is_shown_from_its_start_to_its_report(sandbox: Served) -> None:
    async with sandbox.stream(FOLLOW) as log:
        await follows(sandbox)
        answer, runtime = await begun(sandbox)
        runtime.container.write("starting\n")
        runtime.ready().poll()
        runtime.container.write("working\n")
        assert (await lines(log, 3))[1:] == ["starting", "working"]
        runtime.answer(b'"result"')
        request_id = (await answer).headers["X-Scf-Request-Id"]
        told = await lines(log, 4)
    assert told[0].startswith(f"Init Report RequestId: {request_id} Coldstart: ")
    assert told[1] == f'Response RequestId:{request_id} RetMsg:""result""'
    assert told[2] == f"END RequestId:{request_id}"
    assert told[3].startswith(f"Report RequestId:{request_id} Duration:")


async def test_what_there_was_comes_first_in_the_form_of_the_log_query(sandbox: Served) -> None:
    sandbox.engine.on_release = echoing
    ids = [await sandbox.invoke() for _ in range(3)]
    whole = (await sandbox.client.get("/functions/hello/logs?limit=2")).text.splitlines()
    async with sandbox.stream(FOLLOW + "&limit=2") as log:
        assert await lines(log, len(whole)) == whole
        assert whole[0] == f"START RequestId:{ids[1]}"
        await follows(sandbox)
        request_id = await sandbox.invoke()
        again = await lines(log, 4)
    assert [line.partition(" ")[0] for line in again] == ["START", "Response", "END", "Report"]
    assert all(request_id in line for line in again)


async def test_of_what_is_under_way_the_lines_so_far_come_first(sandbox: Served) -> None:
    answer, runtime = await begun(sandbox)
    runtime.ready().poll()
    runtime.container.write("one\n")
    async with sandbox.stream(FOLLOW) as log:
        assert (await lines(log, 2))[1] == "one"
        await follows(sandbox)
        runtime.container.write("two\n")
        assert await log.line() == "two"
        runtime.answer()
        await answer
        assert (await log.line()).startswith("Init Report")


def test_a_line_that_looks_like_an_earlier_one_is_another_line() -> None:
    live = LiveLog({"r": frozenset({(1.0, "tick")})}, set(), until=2)
    facts = [
        LinesWritten(at, "default", "hello", "1", "r", "i", number, [(at, "tick")])
        for number, at in enumerate((1.0, 1.5))
    ]
    shown = [list(live.lines(number, fact)) for number, fact in enumerate(facts, 1)]
    assert shown == [[], ["tick"]]


async def test_lines_of_several_invocations_are_told_apart(sandbox: Served) -> None:
    async with sandbox.stream(FOLLOW) as log:
        await follows(sandbox)
        (first_answer, first), (second_answer, second) = (
            await begun(sandbox),
            await begun(sandbox, 1),
        )
        one, other = [line.partition(":")[2] for line in await lines(log, 2)]
        for runtime in (first, second, first):
            runtime.container.write("a\n")
        first.container.write("b\n")
        assert await lines(log, 7) == [
            *(f"==> RequestId:{one}", "a"),
            *(f"==> RequestId:{other}", "a"),
            *(f"==> RequestId:{one}", "a", "b"),
        ]
        for runtime in (first, second):
            runtime.ready().poll().answer()
        await asyncio.gather(first_answer, second_answer)


async def test_one_request_can_be_followed(sandbox: Served) -> None:
    sandbox.engine.on_release = echoing
    await sandbox.invoke()
    async with sandbox.stream(FOLLOW + "&request_id=none") as log:
        await follows(sandbox)
        await sandbox.invoke()
        sandbox.server.should_exit = True
        assert await log.rest() == []


async def test_lines_outside_any_request_are_named_after_their_instance(sandbox: Served) -> None:
    sandbox.engine.on_release = echoing
    await sandbox.invoke()
    container = sandbox.engine.containers[0]
    async with sandbox.stream(FOLLOW + "&limit=1") as log:
        await follows(sandbox)
        sandbox.plane.recorder.lines(container.spec, CHUNK)
        shown = await lines(log, 7)
    assert shown[-2:] == [f"==> instance {'i' * 12}", "x" * 100]


async def test_a_reader_that_is_too_slow_is_told_so(sandbox: Served) -> None:
    sandbox.engine.on_release = echoing
    await sandbox.invoke()
    container = sandbox.engine.containers[0]
    async with sandbox.stream(FOLLOW) as log:
        await follows(sandbox)
        for _ in range(20_000):
            sandbox.plane.recorder.lines(container.spec, CHUNK)
            if sandbox.plane.feed.last % 1000 == 0:
                await asyncio.sleep(0)
        line = await log.line()
        while not line.endswith("facts were missed"):
            line = await log.line()
        assert line.startswith("==> ")


async def test_the_stop_of_the_sandbox_ends_a_followed_log(sandbox: Served) -> None:
    async with sandbox.stream(FOLLOW) as log:
        await follows(sandbox)
        sandbox.server.should_exit = True
        assert await log.rest() == []
        assert sandbox.plane.ready


async def test_nothing_is_followed_of_a_function_that_there_is_none_of(sandbox: Served) -> None:
    answer = await sandbox.client.get(FOLLOW.replace("hello", "none"))
    assert answer.status_code == 404
