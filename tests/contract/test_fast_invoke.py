"""The short way of an Invoke through the web server: as orderly and as guarded as the long one."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from tests.contract.front_kit import LIMIT, ORDINARY, chunked, front, invoke
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable


async def test_invokes_on_one_connection_are_answered_one_after_the_other() -> None:
    async with front() as web:
        for body in (b"1", b"2"):
            web.send(invoke(body))
            web.allow(body)
            assert await web.answer() == (200, b"answer to " + body)


async def test_answers_keep_the_order_of_requests_that_came_in_one_piece() -> None:
    async with front() as web:
        web.allow(b"fast")
        web.send(invoke(b"slow"), invoke(b"fast"), ORDINARY, invoke(b"fast"))
        await web.seen(b"slow")
        web.allow(b"slow")
        assert await web.answer() == (200, b"answer to slow")
        assert (await web.answer())[0] == 200
        assert await web.answer() == (200, b"ordinary")
        assert (await web.answer())[0] == 200


async def test_an_invoke_behind_an_ordinary_request_waits_for_its_answer() -> None:
    async with front() as web:
        web.allow(b"fast")
        web.send(ORDINARY, invoke(b"fast"))
        assert await web.answer() == (200, b"ordinary")
        assert (await web.answer())[0] == 200


@pytest.mark.parametrize("cut", [1, 50, 10_000])
async def test_a_request_that_offers_http_2_keeps_its_body(cut: int) -> None:
    """Java's own client makes this offer with its first request."""
    offer = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk")
    async with front() as web:
        web.allow(b"event")
        web.allow(b"next")
        sent = invoke(b"event", *offer) + chunked(b"next", *offer) + ORDINARY
        for at in range(0, len(sent), cut):
            web.send(sent[at : at + cut])
            await asyncio.sleep(0)
        assert await web.answer() == (200, b"answer to event")
        assert (await web.answer())[0] == 200
        assert await web.answer() == (200, b"ordinary")


async def test_a_page_from_elsewhere_cannot_invoke() -> None:
    async with front() as web:
        web.allow(b"stolen")
        web.send(invoke(b"stolen", b"Origin: http://evil.example"))
        status, body = await web.answer()
        assert status == 403
        assert b"may not use this sandbox" in body
        assert web.api.seen == []


@pytest.mark.parametrize(
    ("header", "told"),
    [
        (b"Sec-Fetch-Site: cross-site", b"may not use this sandbox"),
        (b"Sec-Fetch-Site: same-site", b"may not use this sandbox"),
        (b"Host: rebound.example\r\nHost: 127.0.0.1", b"SCF_ALLOWED_HOSTS=rebound.example"),
        (b"Host: rebound.example:9000", b"SCF_ALLOWED_HOSTS=rebound.example"),
        (b"Host: http://rebound.example:9000", b"SCF_ALLOWED_HOSTS=rebound.example"),
    ],
)
async def test_what_the_guard_refuses_cannot_invoke(header: bytes, told: bytes) -> None:
    async with front() as web:
        web.allow(b"stolen")
        web.send(invoke(b"stolen", header))
        status, body = await web.answer()
        assert status == 403
        assert told in body
        assert web.api.seen == []


async def test_every_name_of_ours_can_invoke_on_the_short_way() -> None:
    async with front() as web:
        web.allow(b"ours")
        for host in (b"127.0.0.1:9000", b"http://127.0.0.1:9000", b"LOCALHOST.", b"[::1]:9000"):
            web.send(invoke(b"ours").replace(b"Host: 127.0.0.1", b"Host: " + host))
            assert await web.answer() == (200, b"answer to ours")


async def test_an_invoke_under_way_is_answered_when_the_server_stops() -> None:
    async with front() as web:
        web.send(invoke(b"last"))
        await web.seen(b"last")
        web.server.should_exit = True
        await eventually(lambda: not web.server.servers[0].is_serving())
        web.allow(b"last")
        assert await web.answer() == (200, b"answer to last")
        assert await asyncio.wait_for(web.reader.read(), 10) == b""


async def test_a_caller_who_hangs_up_disturbs_nobody() -> None:
    async with front() as web:
        web.send(invoke(b"left"))
        await web.seen(b"left")
        web.writer.transport.abort()
        web.allow(b"left")
        web.reader, web.writer = await asyncio.open_connection("127.0.0.1", web.port)
        web.allow(b"next")
        web.send(invoke(b"next"))
        assert await web.answer() == (200, b"answer to next")


@pytest.mark.parametrize("request_of", [invoke, chunked])
async def test_an_invoke_above_the_limit_is_read_to_its_end_and_refused(
    request_of: Callable[..., bytes],
) -> None:
    async with front() as web:
        web.allow(b"next")
        web.send(request_of(bytes(LIMIT + 1)), invoke(b"next"))
        status, body = await web.answer()
        assert status == 200
        assert json.loads(body)["Response"]["Error"]["Code"] == "RequestSizeLimitExceeded"
        assert await web.answer() == (200, b"answer to next")
        assert web.api.seen == [b"next"]


@pytest.mark.parametrize("request_of", [invoke, chunked])
async def test_an_invoke_at_the_limit_is_not_refused(request_of: Callable[..., bytes]) -> None:
    async with front() as web:
        largest = bytes(LIMIT)
        web.allow(largest)
        web.send(request_of(largest))
        assert await web.answer() == (200, b"answer to " + largest)


async def test_a_refused_invoke_that_wants_it_so_is_the_last_of_its_connection() -> None:
    async with front() as web:
        web.send(invoke(bytes(LIMIT + 1), b"Connection: close"))
        assert b"RequestSizeLimitExceeded" in (await web.answer())[1]
        assert await asyncio.wait_for(web.reader.read(), 10) == b""


async def test_a_client_that_speaks_tls_is_told_of_in_the_log() -> None:
    async with front() as web:
        with capture_logs() as logs:
            web.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
            assert await web.end() == b""
    (told,) = [entry for entry in logs if entry["event"] == "tls_on_plain_port"]
    assert "http://" in told["hint"]


# ---------------------------------------------------------------- heads that are known


async def test_a_head_that_is_known_is_not_read_again_and_means_the_same() -> None:
    async with front() as web:
        web.api.open = True
        for body in (b"1", b"2", b"3"):
            web.send(invoke(body, b"X-Mine: yes"))
            assert await web.answer() == (200, b"answer to " + body)
        assert web.api.headers[2] is web.api.headers[0], "it was read once"
        web.send(invoke(b"longer", b"X-Mine: yes"))
        assert await web.answer() == (200, b"answer to longer")
        web.send(invoke(b"other!", b"X-Mine: no!"))
        assert await web.answer() == (200, b"answer to other!")
        assert web.api.headers[-1]["x-mine"] == "no!"


async def test_a_known_head_that_comes_in_two_pieces_is_read_as_ever() -> None:
    async with front() as web:
        web.api.open = True
        request = invoke(b"{}")
        for cut in range(1, len(request)):
            for _ in range(2):
                web.send(request)
                assert await web.answer() == (200, b"answer to {}")
            web.send(request[:cut])
            await web.writer.drain()
            await eventually(lambda: bool(web.protocol._intake.stage) or web.protocol._known)
            web.send(request[cut:])
            assert await web.answer() == (200, b"answer to {}")


async def test_what_comes_behind_a_known_head_while_it_runs_keeps_its_order() -> None:
    async with front() as web:
        for body in (b"1", b"2"):
            web.send(invoke(body))
            await web.seen(body)
            web.allow(body)
            await web.answer()
        web.send(invoke(b"3"))
        await web.seen(b"3")
        web.send(invoke(b"4"))
        web.send(ORDINARY)
        web.allow(b"4")
        web.allow(b"3")
        assert await web.answer() == (200, b"answer to 3")
        assert (await web.answer())[0] == 200
        assert await web.answer() == (200, b"ordinary")


@pytest.mark.parametrize(
    "again",
    [
        b"GET /ordinary HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        invoke(b"1").replace(b"127.0.0.1", b"evil.name"),
    ],
)
async def test_another_head_is_not_taken_for_a_known_one(again: bytes) -> None:
    async with front() as web:
        web.api.open = True
        web.send(invoke(b"1"))
        await web.answer()
        web.send(again)
        assert b"answer to" not in (await web.answer())[1]
        assert web.api.seen == [b"1"]


async def test_a_head_in_chunks_or_for_one_request_only_is_not_remembered() -> None:
    for request in (chunked(b"1"), invoke(b"1", b"Connection: close")):
        async with front() as web:
            web.api.open = True
            web.send(request)
            assert await web.answer() == (200, b"answer to 1")
            assert all(protocol._known is None for protocol in web.protocols)
