"""How heads and bodies of the runtime API are read: what is taken, and at what cost."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.runtime.body import LINE_BYTES, Body, Chunked, Counted
from api.runtime.head import (
    HEAD_BYTES,
    REMEMBERED,
    Call,
    Heads,
    Refused,
    end_of_head,
    read_head,
)
from sandbox.limits import RESPONSE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

NEXT = b"GET /runtime/invocation/next HTTP/1.1\r\n"

TOKENS = st.text("abcXYZ019-_!#$%&'*+.^`|~", min_size=1, max_size=12).map(str.encode)
VALUES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=30).map(str.encode)
FRAMING = (b"host", b"content-length", b"transfer-encoding", b"connection", b"upgrade", b"expect")
FIELDS = st.lists(
    st.tuples(TOKENS.filter(lambda name: name.lower() not in FRAMING), VALUES), max_size=6
)


class Library:
    """What httptools makes of a head."""

    def __init__(self, raw: bytes) -> None:
        self.url = b""
        self.fields: dict[bytes, bytes] = {}
        parser = httptools.HttpRequestParser(self)
        parser.feed_data(raw)
        self.method = parser.get_method()
        self.keep = parser.should_keep_alive()

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields[name.lower()] = value.strip()


@given(st.sampled_from([b"GET", b"POST", b"PUT", b"HEAD"]), FIELDS, st.sampled_from([b"0", b"1"]))
def test_what_a_library_reads_in_a_head_is_what_we_read(
    method: bytes, fields: list[tuple[bytes, bytes]], minor: bytes
) -> None:
    lines = b"".join(b"%b: %b\r\n" % field for field in fields)
    raw = b"%b /some/path HTTP/1.%b\r\n%b\r\n" % (method, minor, lines)
    theirs, ours = Library(raw), read_head(raw)
    assert (ours.method, ours.path, ours.keep) == (theirs.method, theirs.url, theirs.keep)
    assert ours.fields == theirs.fields


@pytest.mark.parametrize(
    ("raw", "call", "host"),
    [
        (NEXT + b"Host: a.scf:9001\r\n\r\n", Call.NEXT, "a.scf"),
        (NEXT + b"HOST:A.SCF\r\n\r\n", Call.NEXT, "a.scf"),
        (NEXT + b"\r\n", Call.NEXT, ""),
        (NEXT.replace(b"\r", b"") + b"host: [::1]:9001\n\n", Call.NEXT, "[::1]"),
        (b"GET /runtime/invocation/next HTTP/1.1\nA: b\r\nHost: c\n\r\n", Call.NEXT, "c"),
        (b"GET http://a.scf:9001/runtime/invocation/next HTTP/1.1\r\n\r\n", Call.NEXT, "a.scf"),
        (b"POST HTTP://u@a/runtime/init/ready?x HTTP/1.1\r\nHost: b\r\n\r\n", Call.READY, "a"),
        (b"GET http://a.scf HTTP/1.1\r\n\r\n", Call.UNKNOWN, "a.scf"),
        (b"GET * HTTP/1.1\r\n\r\n", Call.UNKNOWN, ""),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", Call.TUNNEL, "a"),
        (b"get /runtime/invocation/next HTTP/1.1\r\n\r\n", Call.WRONG_METHOD, ""),
        (b"POST /runtime/invocation/next HTTP/1.7\r\n\r\n", Call.WRONG_METHOD, ""),
        (NEXT + b"X: one\r\n two\r\nHost: a\r\n\r\n", Call.NEXT, "a"),
        (NEXT + b"Host:\r\n\ta\r\n\r\n", Call.NEXT, "a"),
    ],
)
def test_heads_of_all_lawful_forms_are_taken(raw: bytes, call: Call, host: str) -> None:
    head = read_head(raw)
    assert (head.call, head.host) == (call, host)
    assert end_of_head(raw) == end_of_head(raw + b"\n\n") == len(raw)


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (b"GET /\r\n", "400"),
        (b"GET / HTTP/2.0\r\n", "400"),
        (b"GET  / HTTP/1.1\r\n", "400"),
        (b"GET /a b HTTP/1.1\r\n", "400"),
        (b" GET / HTTP/1.1\r\n", "400"),
        (NEXT + b"no colon\r\n", "400"),
        (NEXT + b"name : value\r\n", "400"),
        (NEXT + b": value\r\n", "400"),
        (NEXT + b"a: b\rc: d\r\n", "400"),
        (NEXT + b"a: \0\r\n", "400"),
        (NEXT + b"Host: a\r\nHost: b\r\n", "400"),
        (NEXT + b"Content-Length: 1\r\nContent-Length: 2\r\n", "400"),
        (NEXT + b"Content-Length: -1\r\n", "400"),
        (NEXT + b"Content-Length: +1\r\n", "400"),
        (NEXT + b"Content-Length: 1, 1\r\n", "400"),
        (NEXT + b"Content-Length: " + b"9" * 5000 + b"\r\n", "400"),
        (NEXT + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", "400"),
        (NEXT + b"Transfer-Encoding: gzip, chunked\r\n", "501"),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(lines: bytes, status: str) -> None:
    with pytest.raises(Refused) as refused:
        read_head(lines + b"\r\n")
    assert refused.value.why.status.startswith(status)


@pytest.mark.parametrize(
    ("fields", "keep"),
    [
        (b"", True),
        (b"Connection: keep-alive\r\n", True),
        (b"Connection: Close\r\n", False),
        (b"Connection: Upgrade, close\r\n", False),
        (b"Connection: Upgrade,HTTP2-Settings\r\nUpgrade: h2c\r\n", True),
    ],
)
def test_a_connection_is_kept_unless_its_client_wants_it_closed(fields: bytes, keep: bool) -> None:
    assert read_head(NEXT + fields + b"\r\n").keep is keep
    assert not read_head(NEXT.replace(b"1.1", b"1.0") + fields + b"\r\n").keep


def post(length: str, field: str = "Content-Length") -> bytes:
    return f"POST /runtime/invocation/response HTTP/1.1\r\n{field}: {length}\r\n\r\n".encode()


def test_a_server_remembers_short_heads_and_not_too_many() -> None:
    heads = Heads()
    raw = NEXT + b"Host: a\r\n\r\n"
    assert heads.read(raw)[0] is heads.known[bytes(bytearray(raw))]
    assert heads.read(NEXT + b"A: " + b"x" * 2000 + b"\r\n\r\n")[0].host == ""
    for number in range(2 * REMEMBERED):
        heads.read(NEXT + b"Host: %d\r\n\r\n" % number)
    assert 0 < len(heads.known) <= REMEMBERED


def test_heads_that_differ_in_the_length_of_their_body_are_one_to_remember() -> None:
    heads = Heads()
    head, length = heads.read(post("5"))
    assert (head.call, length) == (Call.RESPONSE, 5)
    again, length = heads.read(post("6291456"))
    assert again is head
    assert length == 6291456


@pytest.mark.parametrize(
    "length", ["", "+5", "-5", "5 5", "0x5", "5\r\nContent-Length: 6", "9" * 19]
)
def test_a_length_that_is_none_is_refused_also_in_a_head_that_is_remembered(length: str) -> None:
    heads = Heads()
    heads.read(post("5"))
    heads.read(post("5\r\nContent-Length: 5"))
    with pytest.raises(Refused):
        heads.read(post(length))


def test_only_the_length_itself_is_taken_for_it() -> None:
    heads = Heads()
    for strength in ("1", "2"):
        assert heads.read(post(strength, "X-Strength"))[1] == 0
        raw = post(strength, "X-Strength").replace(b"X", b"Content-Length: 7\r\nX", 1)
        assert heads.read(raw)[1] == 7
        raw = post(strength, "X-Strength").replace(b"\r\n\r\n", b"\r\nContent-Length: 7\r\n\r\n")
        assert heads.read(raw)[1] == 7


def test_a_second_length_is_looked_at_in_every_head() -> None:
    """It was not, when it had no blank: any first length was taken from the second head on."""
    head = b"POST / HTTP/1.1\r\nContent-Length: %d\r\ncontent-length:12\r\n\r\n"
    heads = Heads()
    assert heads.read(head % 12)[1] == 12
    with pytest.raises(Refused):
        heads.read(head % 13)


def test_a_head_of_bare_lines_ends_before_a_body_that_begins_with_an_empty_line() -> None:
    """Two bytes of the body were taken for the head's, and two of the next request for the body."""
    head = b"POST /runtime/invocation/response HTTP/1.1\nContent-Length: 4\n\n"
    assert end_of_head(head + b"\r\n12") == len(head)


@given(st.lists(st.sampled_from([*b"012+ ,x", 13, 10]), max_size=4).map(bytes))
def test_what_is_remembered_changes_nothing(length: bytes) -> None:
    def read(heads: Heads, raw: bytes) -> object:
        try:
            head, length = heads.read(raw)
        except Refused as refused:
            return refused.why
        return head._replace(length=length, fields={})

    heads = Heads()
    for known in ("0", "5", "12"):
        read(heads, post(known))
    raw = post("LENGTH").replace(b"LENGTH", length)
    assert read(heads, raw) == read(Heads(), raw)


def quickest(work: Callable[[], object]) -> float:
    """The processor time of the quickest of five runs, in seconds: others may be at work too."""
    best = 1e9
    for _ in range(5):
        began = time.thread_time()
        work()
        best = min(best, time.thread_time() - began)
    return best


@pytest.mark.parametrize(
    "piece", [b"a:b\r\n", b" \t\r\n", b":", b"\r\n ", b" ", b"a: \r\n", b"\t", b"x"]
)
def test_a_head_costs_time_in_proportion_to_its_length(piece: bytes) -> None:
    def read(size: int) -> Callable[[], object]:
        raw = NEXT + b"a: b\r\nX: " + piece * (size // len(piece)) + b"\r\n\r\n"

        def work() -> None:
            with contextlib.suppress(Refused):
                read_head(raw)

        return work

    assert quickest(read(HEAD_BYTES)) < 40 * max(quickest(read(HEAD_BYTES // 8)), 1e-5)


# ---------------------------------------------------------------- bodies


def feed(body: Body, data: bytes, size: int) -> bytes:
    for at in range(0, len(data), size):
        rest = body.feed(data[at : at + size])
        if body.done:
            return rest + data[at + size :]
        assert rest == b""
    return b""


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_a_body_ends_where_it_says_and_the_rest_is_the_next_requests(size: int) -> None:
    counted = Counted(10, keep=True)
    assert feed(counted, b"0123456789GET /", size) == b"GET /"
    assert counted.kept == b"0123456789"
    chunked = Chunked(keep=True)
    raw = b'3\r\none\r\n05 ; why="x"\n, two\n0\r\nTrailer: x\r\n\r\nGET /'
    assert feed(chunked, raw, size) == b"GET /"
    assert chunked.kept == b"one, two"


@given(st.binary(max_size=300), st.lists(st.integers(1, 40), max_size=20), st.integers(1, 30))
def test_chunks_of_any_size_in_pieces_of_any_size_give_the_body(
    body: bytes, chunks: list[int], size: int
) -> None:
    at, raw = 0, b""
    for length in [*chunks, len(body)]:
        piece = body[at : at + length]
        if piece:
            raw += b"%X\r\n%b\r\n" % (len(piece), piece)
        at += len(piece)
    chunked = Chunked(keep=True)
    assert feed(chunked, raw + b"0\r\n\r\nrest", size) == b"rest"
    assert chunked.kept == body


@pytest.mark.parametrize("size", [1, 10, 10_000_000])
@pytest.mark.parametrize(
    "raw",
    [
        b"x\r\n",
        b"-1\r\n",
        b"0x1\r\n",
        b"1_0\r\n",
        b"\r\n",
        b"1\r\nab\r\n",
        b"1\r\na\rb\n",
        b"F" * 16 + b"\r\n",
        b"1;" + b"x" * LINE_BYTES + b"\r\n",
        b"1" * LINE_BYTES + b"11",
        b"0\r\n" + b"a: b\r\n" * 20_000,
    ],
)
def test_chunks_that_are_none_are_refused_however_they_arrive(raw: bytes, size: int) -> None:
    with pytest.raises(Refused):
        feed(Chunked(keep=True), raw, size)


def test_of_an_oversized_body_nothing_is_kept_and_all_is_counted() -> None:
    body = Chunked(keep=True)
    piece = b"40000\r\n" + b"x" * 0x40000 + b"\r\n"
    for _ in range(RESPONSE_BYTES // 0x40000):
        body.feed(piece)
    assert len(body.kept) == body.size == RESPONSE_BYTES
    body.feed(piece)
    assert (len(body.kept), body.size) == (0, RESPONSE_BYTES + 0x40000)
    body.feed(b"0\r\n\r\n")
    assert body.done


def test_a_body_that_nobody_wants_is_not_kept() -> None:
    body = Counted(100, keep=False)
    assert body.feed(b"x" * 101) == b"x"
    assert (len(body.kept), body.size, body.done) == (0, 100, True)
