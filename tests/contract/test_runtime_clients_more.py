"""The other nine of the real clients of contract section 9, by the shape of their requests."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from tests.contract.runtime_clients import (
    CURL,
    DENO,
    FIBJS,
    GO,
    NODE,
    REQUESTS,
    Crash,
    Process,
    play,
)
from tests.contract.runtime_stage import ERROR, READY, RESPONSE, Reply
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from sandbox.invocation import Outcome

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"


def message(outcome: Outcome) -> str:
    text: str = json.loads(outcome.body)["errorMessage"]
    return text


# ---------------------------------------------------------------- 10


async def bilibili_tool(process: Process) -> None:
    """Client 10: writes to stdout and stderr in both phases, gives the event back."""
    process.print("[stdout] init\n[stderr] init\n")
    process.print((await process.ready(b" ", FORM)).body.decode())
    while True:
        event = (await process.next()).body
        told = json.loads(event).get("Message", "")
        process.print(f"[stdout] {told}\n[stderr] Logs/: Read-only file system\n[stdout] done\n")
        process.print((await process.respond(event, FORM)).body.decode())
        process.print("long-polling...\n")


async def test_client_10_bilibili_tool_logs_in_both_phases() -> None:
    event = b'{"Type":"Timer","TriggerName":"daily","Time":"2022-01-01T00:00:00Z","Message":"run"}'
    async with play(bilibili_tool, CURL) as running:
        first = await running.invoke(event)
        assert first.body == event
        await running.house.arrived()
        second = await running.invoke(event)
        await running.house.arrived()
        work = [
            "[stdout] run",
            "[stderr] Logs/: Read-only file system",
            "[stdout] done",
            "OK",
            "long-polling...",
        ]
        assert running.log(first) == ["[stdout] init", "[stderr] init", "OK", *work]
        assert running.log(second) == work


# ---------------------------------------------------------------- 11


async def tensorflow_demo(process: Process) -> None:
    """Client 11: a binary from a layer per event, its output is the result."""
    await process.ready(b" ", FORM)
    while True:
        event = (await process.next()).body
        await process.respond(b"\x89PNG" + bytes(range(256)) * 8 + event, FORM)


async def test_client_11_tensorflow_answers_with_what_a_binary_prints() -> None:
    async with play(tensorflow_demo, CURL) as running:
        for number in range(2):
            outcome = await running.invoke(b"%d" % number)
            assert outcome.body == b"\x89PNG" + bytes(range(256)) * 8 + b"%d" % number


# ---------------------------------------------------------------- 12


async def maimai_probe(process: Process) -> None:
    """Client 12: Python requests without a session; the event must be JSON."""
    await process.ready(b"", FORM)
    while True:
        event = json.loads((await process.next()).body)
        if "user" in event:
            await process.respond(json.dumps({"name": event["user"]}).encode(), JSON)
        else:
            await process.error(json.dumps({"msg": "KeyError('user')"}).encode(), JSON)


async def test_client_12_python_requests_makes_a_connection_a_call() -> None:
    async with play(maimai_probe, REQUESTS) as running:
        assert (await running.invoke(b'{"user":"x"}')).body == b'{"name": "x"}'
        failed = await running.invoke(b"{}")
        assert failed.status_code == 430
        assert json.loads(message(failed)) == {"msg": "KeyError('user')"}
        assert not (await running.invoke(b'{"user":"y"}')).cold_start
        assert running.processes[0].connections >= 7


# ---------------------------------------------------------------- 13


async def scf_watchdog(process: Process) -> None:
    """Client 13: reads no reply to its POSTs and never closes them; panics go to /error."""

    async def post(path: str, body: bytes, kind: str) -> None:
        await process.send(await process.connect(), "POST", path, body, kind)

    await post(READY, b"", JSON)
    while True:
        event = (await process.next()).body
        if event == b'"panic"':
            await post(ERROR, b"bad watchdog", JSON)
            raise Crash
        await post(RESPONSE, b"child said " + event, JSON)


async def test_client_13_watchdog_piles_up_connections_it_never_reads() -> None:
    async with play(scf_watchdog, GO) as running:
        for number in range(30):
            assert (await running.invoke(b"%d" % number)).body == b"child said %d" % number
        assert running.processes[0].connections > 30


async def test_client_13_watchdog_reports_a_panic_and_exits() -> None:
    async with play(scf_watchdog, GO) as running:
        assert (await running.invoke(b"1")).ok
        failed = await running.invoke(b'"panic"')
        # It does not wait for the reply: its error is pushed, or its exit comes first.
        assert failed.status_code in (430, 439)
        await eventually(lambda: running.house.heart.engine.alive == [])
        assert (await running.invoke(b"2")).cold_start


# ---------------------------------------------------------------- 14


async def typescript_runtime(process: Process) -> None:
    """Client 14: after one failure it pushes an error, leaves its loop and idles."""
    await process.ready(None)
    while True:
        event = json.loads((await process.next()).body)
        if not isinstance(event, dict):
            await process.error(b"TypeError: event is not an object", JSON)
            break
        await process.respond(json.dumps(event).encode(), JSON)
    await asyncio.Event().wait()


async def test_client_14_typescript_stops_polling_after_its_first_error() -> None:
    async with play(typescript_runtime, NODE) as running:
        assert (await running.invoke(b'{"a": 1}')).body == b'{"a": 1}'
        assert (await running.invoke(b"[]")).status_code == 430
        stuck = await running.timed_out(b'{"a": 2}')
        assert stuck.status_code == 433
        assert message(stuck).endswith("the runtime did not fetch the event")
        again = await running.invoke(b'{"a": 3}')
        assert (again.body, again.cold_start) == (b'{"a": 3}', True)


# ---------------------------------------------------------------- 15


async def fibjs_entry(process: Process) -> None:
    """Client 15: ready must be 200 with a body; polls again before it has answered."""
    reply = await process.call("POST", READY, b'{"msg":"fibjs ready"}', JSON)
    assert reply.status == 200
    assert len(reply.body) > 0
    answers: list[asyncio.Task[Any]] = []
    try:
        while True:
            first = await process.next()
            again = asyncio.ensure_future(process.next())
            answers = [asyncio.ensure_future(answer(process, first))]
            second = await again
            if second.header("request_id") == first.header("request_id"):
                answers.append(asyncio.ensure_future(answer(process, second)))
                await asyncio.gather(*answers)
            else:
                await asyncio.gather(*answers)
                await answer(process, second)
    finally:
        for task in answers:
            task.cancel()
        await asyncio.gather(*answers, return_exceptions=True)


async def answer(process: Process, event: Reply) -> None:
    if event.body == b'"bad"':
        await process.error(b'{"statusCode":500,"headers":{},"body":"bad"}', JSON)
    else:
        await process.respond(b"fib " + event.body, JSON)


async def test_client_15_fibjs_polls_again_before_it_answers() -> None:
    async with play(fibjs_entry, FIBJS) as running:
        for number in range(5):
            assert (await running.invoke(b"%d" % number)).body == b"fib %d" % number
        failed = await running.invoke(b'"bad"')
        assert failed.status_code == 430
        assert json.loads(message(failed))["statusCode"] == 500
        assert (await running.invoke(b"7")).body == b"fib 7"
        assert len(running.processes) == 1


# ---------------------------------------------------------------- 16


async def one_shot(process: Process) -> None:
    """Client 16: one event, then it exits."""
    await process.ready(b'{"msg":"ready"}', "text/plain;charset=UTF-8")
    event = await process.next()
    await process.respond(b"once " + event.body, "text/plain;charset=UTF-8")


async def test_client_16_one_shot_is_replaced_for_the_next_event() -> None:
    async with play(one_shot, DENO) as running:
        for number in range(4):
            outcome = await running.invoke(b"%d" % number)
            assert outcome.body == b"once %d" % number
        assert len(running.processes) == 4


# ---------------------------------------------------------------- 17


async def go_timer(process: Process) -> None:
    """Client 17: http.NoBody on ready; the result is the request id from ``Request_id``."""
    await process.ready(b"", "text/plain")
    while True:
        reply = await process.call("GET", "/runtime/invocation/next")
        if reply.status != 200:
            raise Crash
        request_id = reply.header("Request_id")
        await process.respond(request_id.encode(), "text/plain")


async def test_client_17_go_timer_answers_with_the_request_id() -> None:
    async with play(go_timer, GO) as running:
        for _ in range(3):
            outcome = await running.invoke(b'{"Type":"Timer"}')
            assert outcome.text == outcome.request_id
        assert running.processes[0].connections == 1


# ---------------------------------------------------------------- 18


async def onnx_model(process: Process) -> None:
    """Client 18: no error path; an exception ends the process in the middle of the event."""
    await process.ready(None)
    while True:
        event = json.loads((await process.next()).body)
        if "input" not in event:
            process.print("KeyError: 'input'\n")
            raise Crash
        await process.respond(json.dumps({"sum": sum(event["input"])}).encode(), JSON)


async def test_client_18_python_dies_of_an_exception_and_is_replaced() -> None:
    async with play(onnx_model, REQUESTS) as running:
        assert (await running.invoke(b'{"input":[1,2]}')).body == b'{"sum": 3}'
        failed = await running.invoke(b"{}")
        assert (failed.status_code, message(failed)) == (439, "User process exit when running")
        assert running.log(failed) == [
            "KeyError: 'input'",
            "[PLATFORM] the bootstrap ended with exit code 1",
        ]
        again = await running.invoke(b'{"input":[3]}')
        assert (again.body, again.cold_start) == (b'{"sum": 3}', True)
