"""What a function can have of the runtime port, and what becomes of who wants more."""

from __future__ import annotations

import asyncio
import resource
import tracemalloc
from typing import TYPE_CHECKING, Any, cast

import pytest

from api.runtime import protocol
from api.runtime.callers import CONNECTIONS, HELD_BYTES, NAMELESS_CONNECTIONS
from api.runtime.head import HEAD_BYTES
from tests.contract.runtime_stage import NEXT, OK, READY, RESPONSE, Stage, Wire, connections, stage
from tests.support.functions import function
from tests.support.waiting import eventually, turns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MIB = 2**20


@pytest.fixture
async def house() -> AsyncIterator[Stage]:
    async with stage() as built:
        yield built


def head(wire: Wire, path: str = RESPONSE, more: str = "") -> bytes:
    method = "GET" if path == NEXT else "POST"
    return f"{method} {path} HTTP/1.1\r\nHost: {wire.host}\r\n{more}".encode()


async def another(house: Stage, host: str | None = None) -> Wire:
    return await house.connect(await house.container(), host)


async def refused(wire: Wire, status: int) -> None:
    reply = await wire.reply()
    assert (reply.status, reply.header("Connection")) == (status, "close")
    assert reply.body.count(b"\n") == 1
    assert reply.body.endswith(b"\n")
    assert await wire.ended()


# ---------------------------------------------------------------- memory by announcement


async def test_announced_bodies_take_no_memory_before_they_come(house: Stage) -> None:
    await house.served()
    tracemalloc.start()
    try:
        for _ in range(60):
            wire = await another(house)
            await wire.send(head(wire, more="Content-Length: 6291456\r\n\r\nx"))
        await house.arrived()
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 16 * MIB  # 360 when each was given its place


async def test_small_chunks_take_the_memory_of_their_bytes(house: Stage) -> None:
    invocation = house.invoke(of=function(timeout_s=900))  # to be traced takes its time
    wire = await house.ready()
    assert (await wire.next()).status == 200
    tracemalloc.start()
    try:
        await wire.send(head(wire, more="Transfer-Encoding: chunked\r\n\r\n"))
        for _ in range(4):
            await wire.send(b"2\r\nab\r\n" * 2**14)
        await house.arrived()
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    await wire.send(b"0\r\n\r\n")
    assert (await wire.reply()).status == 200
    assert (await house.outcome(invocation)).body == b"ab" * 2**16
    assert used < 2 * MIB  # for 128 KB; 27 times as much when each piece was kept


async def test_an_instance_may_not_hoard_unfinished_results(house: Stage) -> None:
    _, first = await house.served()
    piece = b"x" * MIB
    wires = [first]
    length = "Content-Length: 6291456\r\n\r\n"
    await first.send(head(first, more=length))
    for _ in range(HELD_BYTES // (5 * MIB)):
        wire = await another(house)
        wires.append(wire)
        await wire.send(head(wire, more=length) + 5 * piece)
    last = await another(house)
    await last.send(head(last, more=length))
    await last.send(5 * piece)
    await refused(last, 503)
    wires[1].close()
    await house.arrived()
    await first.send(6 * piece)  # there is room again
    assert (await first.reply()).status == 200


async def test_an_oversized_result_is_a_407_whatever_its_length(house: Stage) -> None:
    invocation, wire = await house.served()
    await wire.send(head(wire, more=f"Content-Length: {40 * MIB}\r\n\r\n"))
    for _ in range(40):
        await wire.send(b"x" * MIB)
    assert (await wire.reply()).status == 200
    assert (await house.outcome(invocation)).status_code == 407
    assert (await wire.ready()).status == 200


# ---------------------------------------------------------------- heads


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("part", ["GET /", "GET / HTTP/1.1\r\nX: ", "GET / HTTP/1.1\r\n"])
async def test_a_head_above_64_kb_is_refused(house: Stage, part: str, at_once: bool) -> None:
    await house.served()
    wire = await another(house)
    filling = b"x" if not part.endswith("1.1\r\n") else b"x: y\r\n"
    raw = part.encode() + filling * (HEAD_BYTES // len(filling))
    size = len(raw) if at_once else 1000
    for at in range(0, len(raw), size):
        await wire.send(raw[at : at + size])
    await refused(wire, 431)


async def test_a_head_of_just_64_kb_is_taken(house: Stage) -> None:
    await house.served()
    wire = await another(house)
    raw = head(wire, READY, "X: ")
    await wire.send(raw + b"x" * (HEAD_BYTES - len(raw) - 4) + b"\r\n\r\n")
    assert (await wire.reply()).status == 200


async def test_a_head_has_ten_seconds_however_it_trickles(house: Stage) -> None:
    _, wire = await house.served()
    await wire.respond()
    for byte in b"GET /runt":
        await wire.send(bytes([byte]))
        await house.arrived()
        await house.heart.time.advance(1.05)
        assert wire.quiet
    await wire.send(b"i")
    await house.arrived()
    await house.heart.time.advance(1.05)
    await refused(wire, 408)


async def test_a_connection_that_an_instance_keeps_for_later_is_left_alone() -> None:
    async with stage(idle_timeout=1e9) as house:
        _, used = await house.served()
        await used.respond()
        fresh = await another(house)
        await house.arrived()
        for _ in range(3):
            await house.heart.time.advance(3600)
            await house.arrived()
        for wire in (fresh, used):
            assert wire.quiet
            assert (await wire.ready()).status == 200


# ---------------------------------------------------------------- strangers


async def test_a_stranger_is_refused_when_its_head_is_complete(house: Stage) -> None:
    await house.served()
    wire = await another(house, "x.scf")
    await wire.send(head(wire, more="Expect: 100-continue\r\nContent-Length: 6291456\r\n\r\n"))
    await refused(wire, 403)


async def test_a_stranger_who_says_nothing_is_hung_up_on(house: Stage) -> None:
    wire = await house.call_from("127.0.0.1", await house.server.listen("127.0.0.1"))
    await house.arrived()
    await house.heart.time.advance(9.9)
    assert wire.quiet
    await house.heart.time.advance(0.2)
    await refused(wire, 408)


async def test_who_is_refused_and_goes_on_sending_is_cut_off(house: Stage) -> None:
    await house.served()
    wire = await another(house, "x.scf")
    await wire.send(head(wire, more="Content-Length: 6291456\r\n\r\n" + "x" * 10_000))
    await refused(wire, 403)
    await wire.send(b"x" * 10_000)
    await house.arrived()
    server = (await house.container()).server
    assert sum(connections([server])) == 2
    await house.heart.time.advance(protocol.LINGER_S + 0.1)
    await eventually(lambda: sum(connections([server])) == 1)


# ---------------------------------------------------------------- connections


async def test_an_instance_has_64_connections_and_a_65th_is_refused(house: Stage) -> None:
    _, first = await house.served()
    wires = [first]
    for _ in range(CONNECTIONS - 1):
        wires.append(await another(house))
        assert (await wires[-1].ready()).status == 200
    surplus = await another(house)
    await surplus.request("POST", READY, b"")
    await refused(surplus, 503)
    wires.pop().close()
    await house.arrived()
    assert (await (await another(house)).ready()).status == 200
    assert (await first.ready()).status == 200


async def test_connections_without_a_request_have_their_limit_by_address(house: Stage) -> None:
    _, first = await house.served()
    wires = [await another(house) for _ in range(NAMELESS_CONNECTIONS)]
    await house.arrived()
    surplus = await another(house)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await surplus.ready()
    assert (await first.ready()).status == 200
    wires[0].close()
    await house.arrived()
    assert (await (await another(house)).ready()).status == 200


async def test_nothing_is_counted_any_more_when_all_have_gone(house: Stage) -> None:
    _, wire = await house.served()
    for more in ("Content-Length: 9\r\n\r\nx", "", "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"):
        other = await another(house)
        await other.send(head(other, more=more))
        house.keep(other)
    await house.arrived()
    callers = house.server._shared.callers
    [account] = callers.accounts.values()
    assert (account.connections, account.held) == (3, 2)
    assert list(callers.nameless.values()) == [1]
    for each in house.wires:
        each.close()
    await eventually(lambda: not callers.accounts and not callers.nameless)
    assert (wire.host, account.held) == (wire.host, 0)


# ---------------------------------------------------------------- unread answers


async def test_polls_whose_answers_are_not_read_are_not_answered_without_end(
    house: Stage,
) -> None:
    event = b'"' + b"x" * (2 * MIB) + b'"'
    invocation = house.invoke(event)
    wire = await house.connect(await house.container())
    assert (await wire.ready()).status == 200
    cast("Any", wire.writer.transport).pause_reading()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    polls = head(wire, NEXT) + b"\r\n"
    sending = asyncio.ensure_future(wire.send(polls * 40_000))
    await house.arrived()
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert (after - before) * 1024 < 40 * MIB  # and not 80 GB
    cast("Any", wire.writer.transport).resume_reading()
    for _ in range(3):
        assert (await wire.reply()).body == event
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    wire.writer.transport.abort()
    await (await another(house)).respond()
    assert (await house.outcome(invocation)).ok


async def test_what_is_sent_behind_a_poll_that_waits_is_answered_behind_it(house: Stage) -> None:
    invocation, wire = await house.served()
    await wire.respond()
    assert (await house.outcome(invocation)).ok
    await wire.send(head(wire, NEXT) + b"\r\n" + head(wire, RESPONSE) + b"Content-Length: 2\r\n\r")
    await house.arrived()
    assert wire.quiet
    second = house.invoke(b"2")
    assert (await wire.reply()).body == b"2"
    await wire.send(b"\nhi")
    reply = await wire.reply()
    assert reply.head + reply.body == OK
    assert (await house.outcome(second)).body == b"hi"


async def test_much_sent_behind_a_poll_that_waits_is_refused(house: Stage) -> None:
    invocation, wire = await house.served()
    await wire.respond()
    assert (await house.outcome(invocation)).ok
    await wire.send(head(wire, NEXT) + b"\r\n")
    await house.arrived()
    await wire.send(b"GET / HTTP/1.1\r\n\r\n" * (HEAD_BYTES // 16))
    await refused(wire, 400)
    second = house.invoke(b"2")
    await turns()
    assert "fetched" not in second.times
    assert (await (await another(house)).next()).body == b"2"


# ---------------------------------------------------------------- unfinished bodies


async def test_a_body_that_stops_is_refused_where_no_event_is_out(house: Stage) -> None:
    _, wire = await house.served()
    await wire.respond()
    await wire.send(head(wire, more="Content-Length: 3\r\n\r\nx"))
    await house.arrived()
    await house.heart.time.advance(29)
    await wire.send(b"y")
    await house.arrived()
    await house.heart.time.advance(29)
    assert wire.quiet
    await house.heart.time.advance(2)
    await refused(wire, 408)


async def test_a_result_may_be_sent_as_it_is_made_within_the_timeout() -> None:
    async with stage() as house:
        invocation = house.invoke(of=function(timeout_s=900))
        wire = await house.ready()
        assert (await wire.next()).status == 200
        await wire.send(head(wire, more="Transfer-Encoding: chunked\r\n\r\n3\r\none\r\n"))
        await house.arrived()
        for _ in range(8):
            await house.heart.time.advance(100)
        assert wire.quiet
        await wire.send(b"0\r\n\r\n")
        assert (await wire.reply()).status == 200
        assert (await house.outcome(invocation)).body == b"one"
