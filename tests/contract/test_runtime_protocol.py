"""The runtime API as bytes on a socket: what is understood, and what is answered."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from tests.contract.runtime_stage import (
    ERROR,
    NEXT,
    OK,
    READY,
    RESPONSE,
    Stage,
    Wire,
    connections,
    stage,
)
from tests.support.waiting import eventually, turns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MIB = 2**20


@pytest.fixture
async def house() -> AsyncIterator[Stage]:
    async with stage() as built:
        yield built


# ---------------------------------------------------------------- answers


async def test_an_event_is_handed_out_with_the_documented_header_names(house: Stage) -> None:
    invocation = house.invoke(b'{"k":"\xc3\xa9"}')
    wire = await house.ready()
    reply = await wire.next()
    assert reply.head == (
        b"HTTP/1.1 200 OK\r\n"
        b"Content-Type: application/json\r\n"
        b"Request_Id: " + invocation.request_id.encode() + b"\r\n"
        b"Memory_Limit_In_Mb: 128\r\n"
        b"Time_Limit_In_Ms: 3000\r\n"
        b"Content-Length: 10\r\n"
        b"\r\n"
    )
    assert reply.body == b'{"k":"\xc3\xa9"}'


async def test_accepted_calls_are_answered_with_a_short_line(house: Stage) -> None:
    house.invoke()
    wire = await house.connect(await house.container())
    for path in (READY, RESPONSE, ERROR):
        reply = await wire.call("POST", path, b"x")
        assert reply.head + reply.body == OK


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", READY, 200),
        ("GET", "/", 404),
        ("GET", "/runtime/invocation/next/", 404),
        ("POST", "/2018-06-01/runtime/init/error", 404),
        ("GET", READY, 405),
        ("POST", NEXT, 405),
        ("PUT", RESPONSE, 405),
        ("HEAD", ERROR, 405),
    ],
)
async def test_every_answer_has_a_body_that_ends_in_a_line_feed(
    house: Stage, method: str, path: str, status: int
) -> None:
    house.invoke()
    wire = await house.connect(await house.container())
    reply = await wire.call(method, path, b"")
    assert reply.status == status
    assert 1 < len(reply.body) < 80
    assert reply.body.endswith(b"\n")
    assert (await wire.ready()).status == 200


async def test_a_query_string_does_not_matter(house: Stage) -> None:
    house.invoke()
    wire = await house.connect(await house.container())
    assert (await wire.call("POST", READY + "?from=test", b"")).status == 200
    assert (await wire.call("GET", NEXT + "?")).body == b"{}"


@pytest.mark.parametrize(
    "garbage",
    [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"hello\r\n\r\n", b"GET / HTTP/9\r\n\r\n"],
    ids=["tls", "text", "version"],
)
async def test_what_is_not_http_is_answered_400_and_closed(house: Stage, garbage: bytes) -> None:
    house.invoke()
    wire = await house.connect(await house.container())
    await wire.send(garbage)
    reply = await wire.reply()
    assert (reply.status, reply.header("Connection")) == (400, "close")
    assert reply.body.endswith(b"\n")
    assert await wire.ended()


# ---------------------------------------------------------------- requests


async def test_requests_may_arrive_byte_by_byte(house: Stage) -> None:
    invocation = house.invoke()
    wire = await house.connect(await house.container())
    host = wire.host.encode()
    for request in (
        b"POST /runtime/init/ready HTTP/1.1\r\nHost: " + host + b"\r\nContent-Length: 1\r\n\r\n ",
        b"GET /runtime/invocation/next HTTP/1.1\r\nHOST:" + host + b":9001\r\n\r\n",
        b"POST /runtime/invocation/response HTTP/1.1\r\nhost: " + host + b"\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n3\r\none\r\n5\r\n, two\r\n0\r\n\r\n",
    ):
        for at in range(len(request)):
            await wire.send(request[at : at + 1])
            await asyncio.sleep(0)
        assert (await wire.reply()).status == 200
    assert (await house.outcome(invocation)).body == b"one, two"


async def test_requests_may_arrive_all_at_once(house: Stage) -> None:
    first = house.invoke(b"1")
    wire = await house.connect(await house.container())
    head = f"Host: {wire.host}\r\n"
    await wire.send(
        (
            f"POST {READY} HTTP/1.1\r\n{head}Content-Length: 0\r\n\r\n"
            f"GET {NEXT} HTTP/1.1\r\n{head}\r\n"
            f"POST {RESPONSE} HTTP/1.1\r\n{head}Content-Length: 4\r\n\r\ndone"
        ).encode()
    )
    assert [(await wire.reply()).body for _ in range(3)] == [b"OK\n", b"1", b"OK\n"]
    assert (await house.outcome(first)).body == b"done"


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "application/x-www-form-urlencoded",
        "application/json; charset=utf-8",
        "multipart/form-data; boundary=x",
        "text/plain;charset=UTF-8",
        "application/octet-stream",
        "no type at all",
    ],
)
async def test_any_content_type_or_none_leaves_the_body_as_it_was(
    house: Stage, content_type: str | None
) -> None:
    invocation, wire = await house.served()
    body = b"a=1&b=%20+\x00\xff\r\n--x--\r\n"
    head = f"POST {RESPONSE} HTTP/1.1\r\nHost: {wire.host}\r\nContent-Length: {len(body)}\r\n"
    if content_type is not None:
        head += f"Content-Type: {content_type}\r\n"
    await wire.send(head.encode() + b"\r\n" + body)
    assert (await wire.reply()).status == 200
    assert (await house.outcome(invocation)).body == body


@pytest.mark.parametrize(
    "length", [b"", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n"]
)
async def test_a_push_without_a_body_is_an_empty_result(house: Stage, length: bytes) -> None:
    invocation, wire = await house.served()
    end = b"0\r\n\r\n" if b"chunked" in length else b""
    head = f"POST {RESPONSE} HTTP/1.1\r\nHost: {wire.host}\r\n".encode()
    await wire.send(head + length + b"\r\n" + end)
    assert (await wire.reply()).status == 200
    assert (await house.outcome(invocation)).body == b""


@pytest.mark.parametrize("spelling", ["Expect: 100-continue", "expect: 100-Continue"])
async def test_a_client_that_expects_100_continue_gets_it(house: Stage, spelling: str) -> None:
    invocation, wire = await house.served()
    body = b"x" * 2000
    head = f"POST {RESPONSE} HTTP/1.1\r\nHost: {wire.host}\r\nContent-Length: 2000\r\n{spelling}"
    await wire.send(head.encode() + b"\r\n\r\n")
    interim = await wire.reply()
    assert interim.head == b"HTTP/1.1 100 Continue\r\n\r\n"
    await wire.send(body)
    assert (await wire.reply()).head + b"OK\n" == OK
    assert (await house.outcome(invocation)).body == body
    assert (await wire.call("POST", RESPONSE, b"late")).status == 200


async def test_other_expectations_are_passed_over(house: Stage) -> None:
    _, wire = await house.served()
    head = (
        f"POST {RESPONSE} HTTP/1.1\r\nHost: {wire.host}\r\nContent-Length: 0\r\nExpect: x\r\n\r\n"
    )
    await wire.send(head.encode())
    assert (await wire.reply()).status == 200


@pytest.mark.parametrize("size", [1, 50, 10_000])
async def test_an_offer_of_another_protocol_is_passed_over(house: Stage, size: int) -> None:
    """Java's HTTP client makes one with every request."""
    invocation = house.invoke()
    wire = await house.ready()
    offer = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\n"
    head = f"HTTP/1.1\r\nContent-Length: 2\r\nHost: {wire.host}\r\n{offer}\r\n"
    stream = f"GET {NEXT} {head}{{}}POST {RESPONSE} {head}hiGET {NEXT} {head}{{}}".encode()
    for at in range(0, len(stream), size):
        await wire.send(stream[at : at + size])
    assert [(await wire.reply()).body for _ in range(2)] == [b"{}", b"OK\n"]
    assert (await house.outcome(invocation)).body == b"hi"
    house.invoke(b"2")
    assert (await wire.reply()).body == b"2"


async def test_a_request_for_a_tunnel_is_refused(house: Stage) -> None:
    house.invoke()
    wire = await house.connect(await house.container())
    await wire.send(b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n")
    assert (await wire.reply()).status == 405
    assert await wire.ended()


@pytest.mark.parametrize("surplus", [0, 1])
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_result_of_6_mb_is_taken_and_one_byte_more_is_a_407(
    house: Stage, surplus: int, chunked: bool
) -> None:
    invocation, wire = await house.served()
    body = b"x" * (6 * MIB + surplus)
    head = f"POST {RESPONSE} HTTP/1.1\r\nHost: {wire.host}\r\n".encode()
    if chunked:
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        await wire.send(head + b"Transfer-Encoding: chunked\r\n\r\n" + body)
    else:
        await wire.send(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert (await wire.reply()).status == 200
    outcome = await house.outcome(invocation)
    if surplus:
        assert outcome.status_code == 407
        assert "6MB" in json.loads(outcome.body)["errorMessage"]
    else:
        assert (outcome.status_code, len(outcome.body)) == (200, 6 * MIB)
    again = house.invoke(b"again")
    assert (await wire.next()).body == b"again"
    await wire.respond()
    assert (await house.outcome(again)).ok


# ---------------------------------------------------------------- connections


async def test_one_connection_serves_many_events(house: Stage) -> None:
    invocation, wire = await house.served()
    for number in range(20):
        await wire.respond(b"%d" % number)
        assert (await house.outcome(invocation)).body == b"%d" % number
        invocation = house.invoke()
        await wire.next()
    assert house.heart.engine.launches == 1


async def test_a_connection_per_call_is_as_good(house: Stage) -> None:
    invocation = house.invoke()
    container = await house.container()

    async def call(method: str, path: str, body: bytes | None = None) -> bytes:
        wire = await house.connect(container)
        await wire.send(
            f"{method} {path} HTTP/1.1\r\nHost: {wire.host}\r\nConnection: close\r\n"
            f"Content-Length: {len(body or b'')}\r\n\r\n".encode()
            + (body or b"")
        )
        reply = await wire.reply()
        assert (reply.status, reply.header("Connection")) == (200, "close")
        assert await wire.ended()
        return reply.body

    assert await call("POST", READY, b"") == b"OK\n"
    assert await call("GET", NEXT) == b"{}"
    assert await call("POST", RESPONSE, b"done") == b"OK\n"
    assert (await house.outcome(invocation)).body == b"done"


async def test_a_parked_poll_with_connection_close_is_closed_after_its_event(house: Stage) -> None:
    _, wire = await house.served()
    await wire.respond()
    await wire.send(
        f"GET {NEXT} HTTP/1.1\r\nHost: {wire.host}\r\nConnection: close\r\n\r\n".encode()
    )
    await house.arrived()
    assert wire.quiet
    house.invoke(b"2")
    reply = await wire.reply()
    assert (reply.body, reply.header("Connection")) == (b"2", "close")
    assert await wire.ended()


async def test_http_1_0_without_a_host_is_known_by_its_address(house: Stage) -> None:
    invocation = house.invoke()
    container = await house.container()

    async def call(method: str, path: str, body: bytes = b"") -> bytes:
        wire = await house.connect(container)
        head = f"{method} {path} HTTP/1.0\r\nContent-Length: {len(body)}\r\n\r\n"
        await wire.send(head.encode() + body)
        reply = await wire.reply()
        assert reply.status == 200
        assert await wire.ended()
        return reply.body

    await call("POST", READY)
    assert await call("GET", NEXT) == b"{}"
    await call("POST", RESPONSE, b"ten")
    assert (await house.outcome(invocation)).body == b"ten"


async def test_an_idle_poll_is_parked_for_as_long_as_it_takes() -> None:
    async with stage(idle_timeout=1e9) as house:
        invocation, wire = await house.served()
        await wire.respond()
        await wire.request("GET", NEXT)
        await house.arrived()
        for _ in range(5):
            await house.heart.time.advance(86_400)
            await house.arrived()
        assert wire.quiet
        invocation = house.invoke(b"at last")
        assert (await wire.reply()).body == b"at last"
        await wire.respond()
        assert (await house.outcome(invocation)).ok


@pytest.mark.parametrize("abruptly", [False, True])
async def test_a_poll_whose_connection_is_dropped_takes_no_event(
    house: Stage, abruptly: bool
) -> None:
    _, wire = await house.served()
    await wire.respond()
    container = await house.container()
    poll = await house.connect(container)
    await poll.request("GET", NEXT)
    await house.arrived()
    if abruptly:
        poll.writer.transport.abort()
    else:
        poll.close()
    await eventually(lambda: sum(connections([container.server])) == 1)
    invocation = house.invoke(b"2")
    await turns()
    assert "fetched" not in invocation.times
    assert (await wire.next()).body == b"2"


async def test_a_connection_that_ends_without_a_poll_is_nothing_special(house: Stage) -> None:
    invocation, wire = await house.served()
    wire.close()
    again = await house.connect(await house.container())
    await again.respond()
    assert (await house.outcome(invocation)).ok


async def test_a_connection_outlives_its_instance_without_harm(house: Stage) -> None:
    invocation, wire = await house.served()
    await wire.respond()
    assert (await house.outcome(invocation)).ok
    (await house.container()).instance.stop()
    await eventually(lambda: house.heart.pool.instances() == [])
    assert (await wire.ready()).status == 200
    assert (await wire.respond()).status == 200
    await wire.request("GET", NEXT)
    await house.arrived()
    assert wire.quiet


async def test_a_fault_of_ours_is_reported_and_not_put_down_to_the_caller(house: Stage) -> None:
    house.invoke()
    wire = await house.connect(await house.container())
    reported: list[str] = []
    house.heart.loop.set_exception_handler(lambda _, context: reported.append(context["message"]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(house.heart.pool, "by_host", None)
        await wire.request("POST", READY, b"")
        assert await wire.ended()
    assert reported == ["Fatal error: protocol.data_received() call failed."]


# ---------------------------------------------------------------- who is who


async def two_instances(house: Stage) -> tuple[Wire, Wire]:
    house.invoke(b"1")
    house.invoke(b"2")
    return await house.ready(0), await house.ready(1)


async def test_each_instance_gets_its_own_event(house: Stage) -> None:
    first, second = await two_instances(house)
    assert (await first.next()).body == b"1"
    assert (await second.next()).body == b"2"


async def test_the_name_of_another_instance_is_refused(house: Stage) -> None:
    first, second = await two_instances(house)
    for method, path in (("POST", READY), ("GET", NEXT), ("POST", RESPONSE), ("POST", ERROR)):
        impostor = await house.connect(await house.container(0), host=second.host)
        reply = await impostor.call(method, path, b"")
        assert (reply.status, reply.body[-1:]) == (403, b"\n")
        assert await impostor.ended()
    assert (await second.next()).body == b"2"
    assert (await first.next()).body == b"1"


async def test_a_name_is_looked_at_anew_when_it_changes_on_a_connection(house: Stage) -> None:
    first, second = await two_instances(house)
    assert (await first.next()).status == 200
    first.host = second.host
    assert (await first.call("POST", RESPONSE, b"stolen")).status == 403
    assert (await second.next()).body == b"2"


@pytest.mark.parametrize("host", ["0" * 32 + ".scf", "x.scf", ".scf"])
async def test_a_name_that_no_instance_has_is_refused(house: Stage, host: str) -> None:
    house.invoke()
    wire = await house.connect(await house.container(), host)
    assert (await wire.ready()).status == 403


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "", "[::1]"])
async def test_a_client_with_an_address_built_in_is_known_by_its_own(
    house: Stage, host: str
) -> None:
    house.invoke()
    wire = await house.connect(await house.container(), host)
    assert (await wire.ready()).status == 200
    assert (await wire.next()).body == b"{}"


async def test_a_stranger_is_refused() -> None:
    async with stage() as house:
        wire = await house.call_from("127.0.0.1", await house.server.listen("127.0.0.1"))
        assert (await wire.ready()).status == 403


async def test_an_instance_whose_address_is_not_known_is_known_by_its_name_alone(
    house: Stage,
) -> None:
    house.heart.engine.hides_peers = True
    house.invoke(b"1")
    container = await house.container()
    server = await house.server.listen("0.0.0.0")
    nameless = await house.call_from(container.address, server)
    assert (await nameless.ready()).status == 403
    by_name = await house.call_from("127.0.0.1", server, container.runtime_host)
    assert (await by_name.ready()).status == 200
    assert (await by_name.next()).body == b"1"


async def test_away_from_loopback_an_instance_is_known_by_where_it_calls_from(
    house: Stage,
) -> None:
    house.invoke(b"1")
    house.invoke(b"2")
    one, two = await house.container(0), await house.container(1)
    server = await house.server.listen("0.0.0.0")
    by_name = await house.call_from(one.address, server, one.runtime_host)
    by_address = await house.call_from(two.address, server)
    impostor = await house.call_from(two.address, server, one.runtime_host)
    assert (await impostor.ready()).status == 403
    assert (await by_name.ready()).status == 200
    assert (await by_address.ready()).status == 200
    assert (await by_name.next()).body == b"1"
    assert (await by_address.next()).body == b"2"
