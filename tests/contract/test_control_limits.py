"""What strangers can cost the control port: bytes that came, within limits, for a while."""

from __future__ import annotations

import asyncio
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from api.intake import IntakeLimits
from tests.contract.front_kit import LIMIT, ORDINARY, chunked, front, invoke
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contract.front_kit import Front

KB = 1024
#: A head that never ends.
HEAD = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-TC-Action: Invoke\r\n"
SHORT = IntakeLimits(head_s=0.2, silence_s=0.2)


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


async def test_an_announced_length_takes_no_memory(traced: None) -> None:
    async with front() as web:
        before = tracemalloc.get_traced_memory()[0]
        writers = []
        for number in range(30):
            _, writer = await asyncio.open_connection("127.0.0.1", web.port)
            writer.write(HEAD + b"Content-Length: %d\r\n\r\nx" % (LIMIT - number))
            writers.append(writer)
        await eventually(lambda: sum(p._body is not None for p in web.protocols) == 30)
        assert tracemalloc.get_traced_memory()[0] - before < LIMIT
        for writer in writers:
            writer.transport.abort()


async def test_small_chunks_cost_what_they_hold(traced: None) -> None:
    async with front() as web:
        head = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
        web.send(head)
        await eventually(lambda: bool(web.protocols))
        held = 512 * KB
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(64):
            web.send(b"2\r\nab\r\n" * (held // 128))
            await web.writer.drain()
        await eventually(lambda: getattr(web.protocol._body, "size", 0) == held)
        assert tracemalloc.get_traced_memory()[0] - before < 3 * held
        web.allow(b"ab" * (held // 2))
        web.send(b"0\r\n\r\n")
        assert (await web.answer())[0] == 200


ENDLESS = {
    "a header": HEAD + b"X-Long: ",
    "a name": HEAD + b"X",
    "a URL": b"POST /?",
    "a trailer": HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX-Trailer: ",
    "a chunk's extension": HEAD + b"Transfer-Encoding: chunked\r\n\r\n2;x=",
    "an ordinary header": ORDINARY[:-2] + b"X-Long: ",
    "an ordinary trailer": HEAD.replace(b"Invoke", b"Other")
    + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX-Trailer: ",
}


@pytest.mark.parametrize("start", ENDLESS.values(), ids=ENDLESS.keys())
async def test_a_head_without_end_is_refused(start: bytes) -> None:
    async with front() as web:
        web.send(start)
        refused = asyncio.ensure_future(web.end())
        sent = 0
        while not refused.done() and sent < 4096 * KB:
            web.send(b"x" * 16 * KB)
            sent += 16 * KB
            await asyncio.wait([refused], timeout=0.02)
        assert b" 431 " in (await refused)[:40]


@pytest.mark.parametrize("many", [1, 700])
async def test_a_head_above_the_limit_is_refused_though_it_ends(many: int) -> None:
    async with front() as web:
        header = b"X-Long: " + b"x" * (70 * KB // many)
        web.send(invoke(b"never", *[header] * many))
        assert b" 431 " in (await web.end())[:40]
        assert web.api.seen == []


async def test_a_head_within_the_limit_is_taken() -> None:
    async with front() as web:
        web.allow(b"long")
        for _ in range(3):
            web.send(invoke(b"long", b"X-Long: " + b"x" * 63 * KB))
            assert await web.answer() == (200, b"answer to long")


async def test_a_head_in_single_bytes_costs_linear_time() -> None:
    async with front() as web:
        web.allow(b"slow")
        request = invoke(b"slow", b"X-Long: " + b"x" * 60 * KB)
        loop = asyncio.get_running_loop()
        await eventually(lambda: bool(web.protocols))

        def fed(data: bytes) -> float:
            began = loop.time()
            for at in range(len(data)):
                web.protocol.data_received(data[at : at + 1])
            return loop.time() - began

        half = len(request) // 2
        first = fed(request[:half])
        assert fed(request[half:]) < 4 * first
        assert await web.answer() == (200, b"answer to slow")


@pytest.mark.parametrize(
    "start",
    [HEAD, b"P", HEAD + b"Content-Length: 5\r\n\r\nab", ORDINARY[:-2]],
    ids=["head", "byte", "body", "ordinary"],
)
async def test_a_request_that_stays_unfinished_is_hung_up_on(start: bytes) -> None:
    async with front(SHORT) as web:
        web.send(start)
        assert b" 408 " in (await web.end())[:40]


async def test_a_head_that_trickles_is_hung_up_on() -> None:
    async with front(SHORT) as web:
        web.send(HEAD + b"X-Slow: ")
        ended = asyncio.ensure_future(web.end())
        while not ended.done():
            web.send(b"x")
            await asyncio.wait([ended], timeout=0.05)
        assert b" 408 " in ended.result()[:40]


async def test_a_body_that_goes_on_is_waited_for() -> None:
    async with front(SHORT) as web:
        web.allow(b"x" * 20)
        web.send(HEAD + b"Content-Length: 20\r\n\r\n")
        answered = asyncio.ensure_future(web.answer())
        for _ in range(20):
            web.send(b"x")
            await asyncio.wait([answered], timeout=0.05)
        assert await answered == (200, b"answer to " + b"x" * 20)


async def test_an_invoke_that_runs_for_long_is_not_hung_up_on() -> None:
    async with front(SHORT) as web:
        web.send(invoke(b"long"), HEAD)  # the next one's head does not end either
        await web.seen(b"long")
        for _ in range(3):  # three times as long as anyone is waited for
            reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
            writer.write(HEAD)
            assert await asyncio.wait_for(reader.read(), 20)
            writer.close()
        web.allow(b"long")
        assert await web.answer() == (200, b"answer to long")
        assert b" 408 " in (await web.end())[:40]


async def test_a_connection_without_a_request_is_hung_up_on_quietly() -> None:
    async with front() as web:
        assert await web.end() == b""  # after uvicorn's five seconds for idle ones


@pytest.mark.parametrize("action", [b"Invoke", b"GetFunction"])
async def test_a_trailer_is_no_header(action: bytes) -> None:
    async with front() as web:
        web.allow(b"body")
        trailer = b"0\r\nHost: rebound.example\r\nAuthorization: SKIP\r\n\r\n"
        request = chunked(b"body").replace(b"0\r\n\r\n", trailer)
        web.send(request.replace(b": Invoke", b": " + action))
        assert (await web.answer())[0] == 200
        assert web.api.headers[0]["host"] == "127.0.0.1"
        assert "authorization" not in web.api.headers[0]


async def test_answers_that_nobody_reads_stop_the_reading_of_requests() -> None:
    async with front() as web:
        web.api.open = True
        event, count = b"x" * 1024 * KB, 100
        sending = asyncio.ensure_future(_send(web, [invoke(event)] * count))
        await eventually(lambda: bool(web.api.seen) and web.protocol.flow.read_paused)
        assert web.protocol.transport.get_write_buffer_size() < 3 * len(event)
        assert len(web.api.seen) < count / 2
        for _ in range(count):
            assert await web.answer() in ((200, b"answer to " + event), (200, b"the long way"))
        await sending


async def test_requests_ahead_of_their_answers_are_not_piled_up() -> None:
    async with front() as web:
        count = 30_000
        sending = asyncio.ensure_future(_send(web, [ORDINARY * 1000] * (count // 1000)))
        most = 0
        for _ in range(count):
            assert await web.answer() == (200, b"ordinary")
            most = max(most, len(web.protocol.pipeline))
        await sending
        assert 256 * KB // len(ORDINARY) + 1 >= most > 0


async def test_a_client_that_leaves_its_answers_behind_is_no_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with front() as web:
        for _ in range(20):
            reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
            writer.write(ORDINARY * 10_000)
            await reader.readexactly(1)
            writer.transport.abort()
        await eventually(lambda: len(web.protocols) == 1)
        web.send(ORDINARY)
        assert await web.answer() == (200, b"ordinary")
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def _send(web: Front, pieces: list[bytes]) -> None:
    for piece in pieces:
        web.send(piece)
        await web.writer.drain()
