"""The forms that a lawful request can have, and that it does not matter how it arrives."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from api.runtime.callers import Callers
from api.runtime.head import Head, Heads
from api.runtime.protocol import RuntimeProtocol, Shared, Upgrade
from api.runtime.server import RuntimeServer
from api.runtime.sockets import QUICKACK
from sandbox.instance.rendezvous import Event
from tests.contract.runtime_stage import NEXT, READY, RESPONSE, Stage, stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

NAME = "a" * 32 + ".scf"


@pytest.fixture
async def house() -> AsyncIterator[Stage]:
    async with stage() as built:
        yield built


# ---------------------------------------------------------------- forms


@pytest.mark.parametrize(
    ("target", "end", "version"),
    [
        ("{path}", "\r\n", "1.1"),
        ("{path}", "\n", "1.1"),
        ("http://{host}:9001{path}", "\r\n", "1.1"),
        ("HTTP://{host}{path}?a=b", "\n", "1.1"),
        ("{path}", "\n", "1.0"),
    ],
)
async def test_every_lawful_form_of_a_request_is_taken(
    house: Stage, target: str, end: str, version: str
) -> None:
    invocation, wire = await house.served()
    wire = await house.connect(await house.container())
    line = f"POST {target.format(host=wire.host, path=RESPONSE)} HTTP/{version}"
    fields = [f"Host: {wire.host}", "X-Folded: one", "\ttwo", "Content-Length: 6"]
    await wire.send(end.join([line, *fields, "", ""]).encode() + b"ok\n\r\n!")
    assert (await wire.reply()).status == 200
    assert (await house.outcome(invocation)).body == b"ok\n\r\n!"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("get", NEXT, 405), ("post", READY, 405), ("brew", READY, 405), ("get", "/", 404)],
)
async def test_a_method_in_small_letters_is_another_method(
    house: Stage, method: str, path: str, status: int
) -> None:
    _, wire = await house.served()
    assert (await wire.call(method, path, b"x")).status == status
    assert (await wire.ready()).status == 200


@pytest.mark.parametrize("lines", ["GET /\r\n", "GET / HTTP/1.1\r\nno colon\r\n", "\0"])
async def test_what_is_no_request_is_told_in_a_line(house: Stage, lines: str) -> None:
    _, wire = await house.served()
    await wire.send(lines.encode() + b"\r\n")
    reply = await wire.reply()
    assert (reply.status, reply.header("Connection")) == (400, "close")
    assert reply.body.count(b"\n") == 1
    assert await wire.ended()


# ---------------------------------------------------------------- how it arrives


class Tape:
    """A transport that keeps what is written to it, and an instance that always has an event."""

    invocation = None

    def __init__(self) -> None:
        self.written = b""
        self.pushed: list[bytes] = []
        self.by_host = {NAME: self}
        self.by_peer: dict[str, object] = {}
        self.container = self
        self.peer = None

    def poll(self, poller: Callable[[Event], None]) -> None:
        poller(Event("id", 128, 3000, b"{}"))

    def push(self, body: bytes | bytearray, *, error: bool) -> None:
        self.pushed.append(bytes(body) + (b" error" if error else b""))

    def ready(self) -> None:
        self.pushed.append(b"ready")

    def get_extra_info(self, name: str) -> Any:
        return self if name == "socket" else ("127.0.0.1", 1)

    def setsockopt(self, *_: int) -> None:
        pass

    def write(self, data: bytes) -> None:
        self.written += data

    def write_eof(self) -> None:
        self.written += b"<end>"

    def close(self) -> None:
        self.written += b"<close>"

    def abort(self) -> None:
        raise AssertionError("nobody waits so long")


def play(pieces: list[bytes]) -> tuple[bytes, list[bytes]]:
    """What is answered, and what reaches the instance, when a stream arrives in these pieces."""

    async def run() -> tuple[bytes, list[bytes]]:
        tape = Tape()
        callers = Callers(cast("Any", tape))
        played = RuntimeProtocol(Shared(Heads(), callers, lambda: None, {}))
        played.connection_made(cast("Any", tape))
        for piece in pieces:
            played.data_received(piece)
        played.connection_lost(None)
        return tape.written, tape.pushed

    return asyncio.run(run())


HOSTS = st.sampled_from([f"Host: {NAME}:9001", f"host:{NAME}", f"HOST: {NAME}\r\nX: a\r\n b"])
ENDS = st.sampled_from(["\r\n", "\n"])
BODIES = st.sampled_from([b"", b"x", b"\n\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"0\r\n\r\n"])
PATHS = st.sampled_from([READY, RESPONSE, NEXT, "/runtime/invocation/error", "/", "/?\r"])
WRONGS = st.sampled_from(
    [b"hello\r\n\r\n", b"\x16\x03\x01", b"get / HTTP/1.1\n\n", b"GET / HTTP/1.1\r\nHost: z.scf\n\n"]
)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    path, end, body = draw(PATHS), draw(ENDS), draw(BODIES)
    lines = ["GET" if path == NEXT else "POST", draw(HOSTS).replace("\r\n", end)]
    lines[0] += f" {draw(st.sampled_from(['', f'http://{NAME}:9001']))}{path} HTTP/1."
    lines[0] += draw(st.sampled_from("1110"))
    lines += draw(
        st.lists(st.sampled_from(["Expect: 100-continue", "Connection: close"]), max_size=1)
    )
    if draw(st.booleans()):
        lines.append("Transfer-Encoding: chunked")
        chunks = b"".join(
            b"1%b\r\n%c\r\n" % (draw(st.sampled_from([b"", b";x=y"])), c) for c in body
        )
        body = chunks + draw(st.sampled_from([b"0\r\n\r\n", b"0\nTrailer: x\r\n\n", b"g\r\n"]))
    elif body or draw(st.booleans()):
        lines.append(f"{draw(st.sampled_from(['Content-Length', 'content-length']))}: {len(body)}")
    return end.join([*lines, "", ""]).encode() + body


STREAMS = st.lists(st.one_of(requests(), requests(), requests(), WRONGS), max_size=4).map(b"".join)
ONE = f"POST {RESPONSE} HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 4\r\n\r\nhi\r\n".encode()


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STREAMS, st.lists(st.integers(1, 60), max_size=8))
@example(ONE + ONE, [1, 2, 3])
def test_every_split_of_a_stream_gives_the_same_answers(stream: bytes, sizes: list[int]) -> None:
    whole = play([stream]) if stream else (b"", [])
    bytewise = play([stream[at : at + 1] for at in range(len(stream))])
    assert bytewise == whole
    pieces, at = [], 0
    for size in sizes:
        pieces.append(stream[at : at + size])
        at += size
    assert play([piece for piece in [*pieces, stream[at:]] if piece]) == whole


def test_every_place_to_split_a_request_in_two_gives_the_same_answer() -> None:
    answer = play([ONE + ONE])
    assert answer[1] == [b"hi\r\n", b"hi\r\n"]
    for at in range(1, len(ONE)):
        assert play([ONE[:at], ONE[at:] + ONE]) == answer


# ---------------------------------------------------------------- head and body apart


@pytest.mark.skipif(not QUICKACK, reason="only Linux can be asked to confirm at once")
async def test_what_has_come_of_a_request_is_confirmed_at_once(house: Stage) -> None:
    """A client without TCP_NODELAY sends the body when the head is confirmed: 40 ms otherwise."""
    _, wire = await house.served()
    made: list[RuntimeProtocol] = []
    shared = house.server._shared

    def make() -> RuntimeProtocol:
        made.append(
            RuntimeProtocol(shared, wire.host and (house.heart.engine.containers[0].address))
        )
        return made[-1]

    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1")
    client = await house.call_from("127.0.0.1", server, wire.host)
    connection = cast("Any", client.writer.get_extra_info("socket"))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
    ours = made[0]._transport.get_extra_info("socket")
    for _ in range(3):
        ours.setsockopt(socket.IPPROTO_TCP, QUICKACK, 0)  # as it is after some answers
        await client.send(f"POST {READY} HTTP/1.1\r\nHost: {client.host}\r\n".encode())
        await house.arrived()
        assert ours.getsockopt(socket.IPPROTO_TCP, QUICKACK) == 1
        ours.setsockopt(socket.IPPROTO_TCP, QUICKACK, 0)
        await client.send(b"Content-Length: 1\r\n\r\n")
        await house.arrived()
        assert ours.getsockopt(socket.IPPROTO_TCP, QUICKACK) == 1
        await client.send(b"x")
        assert (await client.reply()).status == 200
    server.close()


# ---------------------------------------------------------------- another protocol


class Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.transport.write(data.upper())


@pytest.mark.parametrize("size", [1, 50, 10_000])
async def test_a_path_can_lead_to_another_protocol(size: int) -> None:
    heads: list[tuple[Head, str]] = []

    def accept(head: Head, peer: str) -> asyncio.Protocol | None:
        heads.append((head, peer))
        return Echo() if head.fields[b"x-secret"] == b"good" else None

    async with stage() as house:
        upgrade = Upgrade(b"echo/1", accept)
        server = RuntimeServer(house.heart.pool, 0, upgrades={b"/runtime/instance": upgrade})
        listener = await server.listen("127.0.0.1")

        async def ask(offer: str, secret: str, more: str = "") -> tuple[Any, int]:
            wire = await house.call_from("127.0.0.1", listener, "some-name")
            stream = (
                f"GET /runtime/instance HTTP/1.1\r\nHost: some-name\r\nConnection: Upgrade\r\n"
                f"X-Secret: {secret}\r\nUpgrade: {offer}\r\n\r\n{more}"
            ).encode()
            for at in range(0, len(stream), size):
                await wire.send(stream[at : at + size])
            return wire, (await wire.reply()).status

        wire, status = await ask("echo/1", "good", "first ")
        assert status == 101
        await wire.send(b"second")
        assert await wire.reader.readexactly(12) == b"FIRST SECOND"
        assert (heads[0][0].host, heads[0][1]) == ("some-name", "127.0.0.1")
        assert server._shared.callers.nameless == {}
        assert (await ask("echo/1", "bad"))[1] == 403
        assert (await ask("h2c", "good"))[1] == 403
        wire.close()
        await server.close()
