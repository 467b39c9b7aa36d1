"""The first nine of the real clients of contract section 9, by the shape of their requests."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.runtime_clients import (
    CURL,
    DENO,
    DOTNET,
    DOTNET_ANEW,
    GO,
    REQWEST,
    SWIFT_NIO,
    UREQ,
    Crash,
    Process,
    play,
)
from tests.contract.runtime_stage import ERROR, NEXT, READY, RESPONSE, Reply
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from sandbox.invocation import Outcome

FORM = "application/x-www-form-urlencoded"


def message(outcome: Outcome) -> str:
    text: str = json.loads(outcome.body)["errorMessage"]
    return text


# ---------------------------------------------------------------- 1


async def official_bash_bootstrap(process: Process) -> None:
    """Client 1: curl prints the replies to pushes into the log, one connection a call."""
    process.print((await process.ready(b" ", FORM)).body.decode())
    while True:
        reply = await process.next()
        assert b"\r\nRequest_Id: " in reply.head
        process.print("handling\n")
        result = b"Echoing request: '" + reply.body + b"'"
        process.print((await process.respond(result, FORM)).body.decode())


async def test_client_1_bash_and_curl() -> None:
    async with play(official_bash_bootstrap, CURL) as running:
        for event in (b'{"key1":"test value 1"}', json.dumps("x" * 5000).encode()):
            outcome = await running.invoke(event)
            assert outcome.body == b"Echoing request: '" + event + b"'"
        await running.house.arrived()
        assert running.log(outcome) == ["handling", "OK"]
        assert len(running.processes) == 1
        assert running.processes[0].connections >= 5


# ---------------------------------------------------------------- 2


async def deno_demo(process: Process) -> None:
    """Client 2: waits neither for ready nor for its pushes; polls and answers the same again."""
    pushes: list[asyncio.Task[Any]] = []

    async def handle(event: Reply) -> None:
        await process.respond(b"deno saw " + event.body, "text/plain;charset=UTF-8")

    try:
        ready = process.ready(b'{"msg":"deno ready"}', "text/plain;charset=UTF-8")
        pushes.append(asyncio.ensure_future(ready))
        while True:
            pushes.append(asyncio.ensure_future(handle(await process.next())))
    finally:
        for push in pushes:
            push.cancel()
        await asyncio.gather(*pushes, return_exceptions=True)


async def test_client_2_deno_polls_and_pushes_many_times_for_one_event() -> None:
    async with play(deno_demo, DENO) as running:
        for number in range(10):
            outcome = await running.invoke(b"%d" % number)
            assert outcome.body == b"deno saw %d" % number
        assert len(running.processes) == 1


# ---------------------------------------------------------------- 3


async def dotnet_demo(process: Process) -> None:
    """Client 3: a new HttpClient a call, whose timeout of 100 s ends the process when idle."""
    await process.ready(b"dotnet ready", "text/plain; charset=utf-8")
    while True:
        try:
            reply = await idle_no_longer_than(100, process)
        except TimeoutError:
            raise Crash from None
        body = f"{reply.header('request_id')} {reply.header('memory_limit_in_mb')}"
        await process.respond(body.encode(), "text/plain; charset=utf-8")


async def idle_no_longer_than(seconds: float, process: Process) -> Reply:
    wire = await process.connect()
    await process.send(wire, "GET", NEXT, None, None)
    async with asyncio.timeout(seconds):
        assert await wire.reader.read(1) == b"H"
    head = b"H" + await wire.reader.readuntil(b"\r\n\r\n")
    headers = [tuple(line.split(": ", 1)) for line in head.decode().split("\r\n")[1:-2]]
    reply = Reply(int(head.split()[1]), [(h[0], h[1]) for h in headers], b"", head)
    reply.body = await wire.reader.readexactly(int(reply.header("content-length")))
    wire.close()
    assert reply.status == 200
    return reply


async def test_client_3_dotnet_makes_a_client_a_call_and_dies_of_idling() -> None:
    async with play(dotnet_demo, DOTNET_ANEW) as running:
        for _ in range(2):
            outcome = await running.invoke()
            assert outcome.text == f"{outcome.request_id} 128"
        await running.house.arrived()
        await running.house.heart.time.advance(101)
        await eventually(lambda: running.house.heart.engine.alive == [])
        outcome = await running.invoke()
        assert outcome.ok
        assert outcome.cold_start


# ---------------------------------------------------------------- 4


async def plain_loop(process: Process, ready: bytes | None, kind: str | None) -> None:
    """Ready, then one answer an event, strict about every status."""
    await process.ready(ready, kind)
    while True:
        event = await process.next()
        await process.respond(b'{"got":' + event.body + b"}", kind)


async def test_client_4_rust_demo_that_is_started_by_a_launcher() -> None:
    async with play(partial(plain_loop, ready=b"rust ready", kind=None), REQWEST) as running:
        outcomes = [await running.invoke(b"%d" % number) for number in range(3)]
        assert [outcome.body for outcome in outcomes] == [b'{"got":0}', b'{"got":1}', b'{"got":2}']
        assert running.processes[0].connections == 1


# ---------------------------------------------------------------- 5


NO_ANSWER = b'{"isBase64Encoded":false,"statusCode":200,"headers":{},"body":""}'


async def go_cqhttp(process: Process) -> None:
    """Client 5: empty Content-Type on ready; answers whatever came, also when nothing did."""
    await process.ready(b"", "")
    await process.respond(NO_ANSWER)
    while True:
        event = json.loads((await process.next()).body)
        answer = b'{"statusCode":200,"body":"pong"}' if "requestContext" in event else NO_ANSWER
        await process.respond(answer)
        if event.get("twice"):
            await process.respond(NO_ANSWER)


async def test_client_5_go_cqhttp_answers_more_than_it_is_asked() -> None:
    async with play(go_cqhttp, GO) as running:
        gateway = await running.invoke(b'{"requestContext":{},"twice":true}')
        assert gateway.body == b'{"statusCode":200,"body":"pong"}'
        assert (await running.invoke(b'{"Type":"Timer"}')).body == NO_ANSWER
        assert len(running.processes) == 1


# ---------------------------------------------------------------- 6


async def tencent_scf_crate(process: Process) -> None:
    """Client 6: any 4xx panics; the three headers must be there; bad events go to /error."""
    await process.ready(b" ")
    while True:
        reply = await process.next()
        assert reply.header("request_id")
        assert int(reply.header("memory_limit_in_mb")) == 128
        assert int(reply.header("time_limit_in_ms")) == 3000
        event = json.loads(reply.body)
        if isinstance(event, dict):
            await process.respond(json.dumps(event).encode(), "application/json")
        else:
            await process.error(b"invalid type: expected struct Event", "text/plain")


async def test_client_6_rust_crate_reports_what_it_cannot_parse_and_goes_on() -> None:
    async with play(tencent_scf_crate, UREQ) as running:
        assert (await running.invoke(b'{"a": 1}')).body == b'{"a": 1}'
        refused = await running.invoke(b"[]")
        assert (refused.status_code, message(refused)) == (
            430,
            "invalid type: expected struct Event",
        )
        again = await running.invoke(b'{"b": 2}')
        assert again.ok
        assert not again.cold_start


# ---------------------------------------------------------------- 7


async def tencent_scf_rust(process: Process) -> None:
    """Client 7: pushes nothing when it fails inside, polls again and wants the same event."""
    await process.ready(b'{"msg":"rust ready"}', "application/json")
    while True:
        first = await process.next()
        if b"fail once" in first.body:
            second = await process.next()
            assert second.body == first.body
            assert second.header("request_id") == first.header("request_id")
        await process.respond(first.body.upper())


async def test_client_7_rust_that_fetches_again_instead_of_answering() -> None:
    async with play(tencent_scf_rust, UREQ) as running:
        assert (await running.invoke(b'"fail once"')).body == b'"FAIL ONCE"'
        assert (await running.invoke(b'"next"')).body == b'"NEXT"'
        assert (await running.invoke(b'"fail once"')).body == b'"FAIL ONCE"'


async def unready(process: Process) -> None:
    await process.ready(b'{"msg":"rust ready"}', "application/json")
    assert (await process.call("POST", ERROR, b"next failed")).status == 200
    await process.respond((await process.next()).body)


async def test_client_7_reports_a_failed_fetch_without_ending_an_event() -> None:
    async with play(unready, UREQ) as running:
        assert (await running.invoke(b'"still here"')).body == b'"still here"'


# ---------------------------------------------------------------- 8


async def swift_runtime(process: Process, max_requests: int) -> None:
    """Client 8: one kept connection; every status exactly 200; stops after so many requests."""
    await process.ready(b"")
    for _ in range(max_requests):
        reply = await process.next()
        assert len(reply.body) > 0
        names = ("request_id", "memory_limit_in_mb", "time_limit_in_ms")
        assert all(reply.header(name) for name in names)
        if reply.body == b'"throw"':
            await process.error(b"SomeError(code: 1)")
        else:
            await process.respond(b"swift " + reply.body)
    assert process.connections == 1


@pytest.mark.parametrize("max_requests", [1, 3])
async def test_client_8_swift_that_stops_after_so_many_requests(max_requests: int) -> None:
    async with play(partial(swift_runtime, max_requests=max_requests), SWIFT_NIO) as running:
        for number in range(6):
            outcome = await running.invoke(b"%d" % number)
            assert outcome.body == b"swift %d" % number
            assert outcome.cold_start == (number % max_requests == 0)
            if (number + 1) % max_requests == 0:
                await eventually(lambda: running.house.heart.engine.alive == [])


async def test_client_8_swift_pushes_a_thrown_error_without_a_content_type() -> None:
    async with play(partial(swift_runtime, max_requests=9), SWIFT_NIO) as running:
        outcome = await running.invoke(b'"throw"')
        assert (outcome.status_code, message(outcome)) == (430, "SomeError(code: 1)")
        assert not (await running.invoke(b"1")).cold_start


# ---------------------------------------------------------------- 9


async def dotnet_runtime(process: Process) -> None:
    """Client 9: whatever goes wrong is pushed as an error, also after the result was pushed."""
    kind = "text/plain; charset=utf-8"
    assert (await process.call("POST", READY, b"", kind)).status == 200
    while True:
        event = (await process.next()).body
        if event != b'"fail"':
            assert (await process.call("POST", RESPONSE, b"net " + event, kind)).status == 200
        if event != b'"good"':
            await process.error(b"Object reference not set", kind)


async def test_client_9_dotnet_library_that_pushes_an_error_after_its_result() -> None:
    async with play(dotnet_runtime, DOTNET) as running:
        assert (await running.invoke(b'"late"')).body == b'net "late"'
        assert (await running.invoke(b'"good"')).body == b'net "good"'
        failed = await running.invoke(b'"fail"')
        assert (failed.status_code, message(failed)) == (430, "Object reference not set")
        assert len(running.processes) == 1
