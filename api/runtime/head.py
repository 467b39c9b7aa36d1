"""Reads the head of a request (RFC 9112) when all of it has come. No I/O.

========== ====================================================================================
end        an empty line; lines end in CR LF, or in LF alone (scripts that write to /dev/tcp)
first line METHOD TARGET HTTP/1.x, one blank between them; empty lines before it are passed over
target     /path?query, or http://host:port/path?query (a client that was told of a proxy), whose
           host counts instead of the Host field; the query is nothing to us
fields     name ":" value; a line that begins with a blank goes on with the one before (obsolete)
body       Content-Length or "Transfer-Encoding: chunked"; with neither there is none
connection kept, unless "Connection: close" is there or the version is 1.0
upgrade    an offer of another protocol is passed over (Java's client makes one with every
           request), except where the server has one for that path
========== ====================================================================================

Everything else is refused, with a status and a line that says what is wrong. Every step takes time
in proportion to the head's length.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple

from sandbox.limits import KIB

#: The most bytes of a head. Real runtimes send a few hundred.
HEAD_BYTES = 64 * KIB

#: How many heads a server remembers, and the longest of them. A runtime sends the same head again
#: and again. Looking it up takes a tenth of the time.
REMEMBERED = 256
REMEMBERED_BYTES = KIB

#: A Content-Length of more digits is refused.
LENGTH_DIGITS = 18

LENGTH, LENGTH_END = b"\ncontent-length: ", b"ength: "
LENGTH_NAME = LENGTH.rstrip(b": ")
TOKEN_BYTES = frozenset(b"!#$%&'*+-.^_`|~0123456789") | frozenset(
    b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)
TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
FIRST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([!-~\x80-\xff]+) HTTP/1\.([0-9])")
FOLD = re.compile(rb"\n[ \t]+")
ABSOLUTE = re.compile(rb"https?://([^/?#]*)", re.IGNORECASE)


class Why(NamedTuple):
    """The refusal of a request: ``status`` as on the wire, ``line`` for the reader."""

    status: str
    line: str


class Refused(Exception):
    """This request is not taken."""

    def __init__(self, why: Why) -> None:
        super().__init__(f"{why.status}: {why.line}")
        self.why = why


def bad_request(line: str) -> Refused:
    """It cannot be understood."""
    return Refused(Why("400 Bad Request", line))


UNKNOWN_CODING = Why("501 Not Implemented", "the only transfer-encoding known is chunked")


class Call(Enum):
    """What a request asks for."""

    READY = "/runtime/init/ready"
    NEXT = "/runtime/invocation/next"
    RESPONSE = "/runtime/invocation/response"
    ERROR = "/runtime/invocation/error"
    WRONG_METHOD = "a path of ours, another method"
    TUNNEL = "CONNECT"
    UNKNOWN = "no path of ours"


CALLS = {call.value.encode(): call for call in Call if call.value.startswith("/")}


class Head(NamedTuple):
    """A request without its body. ``length`` is None if the body comes in chunks.

    ``fields`` has names in lower case. The last of repeated names counts.
    """

    call: Call
    method: bytes
    path: bytes
    host: str
    length: int | None
    keep: bool
    expects_continue: bool
    fields: dict[bytes, bytes]


class Heads:
    """Reads heads, and remembers the short ones.

    ``known`` has heads without a Content-Length by their bytes. A runtime's other heads differ only
    in the digits of their length. They are remembered by their bytes without these digits.
    """

    def __init__(self) -> None:
        self.known: dict[bytes, Head] = {}
        self._of_any_length: dict[bytes, Head] = {}

    def read(self, raw: bytes) -> tuple[Head, int | None]:
        """The head with these bytes, including its last line, and the length of its body. The
        length is None if the body comes in chunks. ``Refused`` if the head cannot be read."""
        head = self.known.get(raw)
        if head is not None:
            return head, head.length
        at = raw.find(LENGTH_END) + len(LENGTH_END)
        end = raw.find(b"\r", at)
        digits = raw[at:end]
        if not digits.isdigit() or len(digits) > LENGTH_DIGITS or len(raw) > REMEMBERED_BYTES:
            head = read_head(raw)
            _remember(self.known, raw, head)
            return head, head.length
        key = raw[:at] + raw[end:]
        known = self._of_any_length.get(key)
        if known is not None:
            return known, int(digits)
        head = read_head(raw)
        lowered = raw.lower()
        if lowered.count(LENGTH_NAME) == 1 and lowered.rfind(LENGTH, 0, at) == at - len(LENGTH):
            _remember(self._of_any_length, key, head)
        return head, head.length


def _remember(heads: dict[bytes, Head], key: bytes, head: Head) -> None:
    if len(key) > REMEMBERED_BYTES:
        return
    if len(heads) >= REMEMBERED:
        heads.clear()
    heads[key] = head


def end_of_head(data: bytes | bytearray, start: int = 0) -> int:
    """The end of the first empty line that ends after ``start``. -1 if there is none."""
    crlf = data.find(b"\n\r\n", start)
    bare = data.find(b"\n\n", start, crlf + 1 if crlf >= 0 else len(data))
    if bare >= 0:
        return bare + 2
    return crlf + 3 if crlf >= 0 else -1


def read_head(raw: bytes) -> Head:
    """See ``Heads.read``."""
    text = raw.replace(b"\r\n", b"\n")
    if b"\r" in text or b"\0" in text:
        raise bad_request("a head has no bare CR and no NUL")
    first, *lines = FOLD.sub(b" ", text).rstrip(b"\n").split(b"\n")
    match = FIRST_LINE.fullmatch(first)
    if match is None:
        raise bad_request("the first line is METHOD /path HTTP/1.1")
    method, target, minor = match.groups()
    fields = _fields(lines)
    host = fields.get(b"host", b"")
    if target[:1] != b"/" and (absolute := ABSOLUTE.match(target)):
        host = absolute[1].rpartition(b"@")[2]
        target = target[absolute.end() :]
    path = target.partition(b"?")[0]
    one_one = minor != b"0"
    close = b"close" in fields.get(b"connection", b"").lower().replace(b",", b" ").split()
    return Head(
        call=_call(method, path),
        method=method,
        path=path,
        host=_host_name(host),
        length=_length(fields),
        keep=one_one and not close,
        expects_continue=one_one and fields.get(b"expect", b"").lower() == b"100-continue",
        fields=fields,
    )


def _fields(lines: list[bytes]) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or TOKEN.fullmatch(name) is None:
            raise bad_request("every line after the first is NAME: VALUE")
        name, value = name.lower(), value.strip(b" \t")
        if fields.setdefault(name, value) != value:
            if name in (b"host", b"content-length", b"transfer-encoding"):
                raise bad_request(f"{name.decode()} comes twice, and differs")
            fields[name] = value
    return fields


def _length(fields: dict[bytes, bytes]) -> int | None:
    length, coding = fields.get(b"content-length"), fields.get(b"transfer-encoding")
    if coding is not None:
        if length is not None:
            raise bad_request("content-length and transfer-encoding exclude each other")
        if coding.lower() != b"chunked":
            raise Refused(UNKNOWN_CODING)
        return None
    if length is None:
        return 0
    if not length.isdigit() or len(length) > LENGTH_DIGITS:
        raise bad_request("content-length is a number of bytes")
    return int(length)


def _call(method: bytes, path: bytes) -> Call:
    if method == b"CONNECT":
        return Call.TUNNEL
    call = CALLS.get(path, Call.UNKNOWN)
    if call is Call.UNKNOWN:
        return call
    return call if method == (b"GET" if call is Call.NEXT else b"POST") else Call.WRONG_METHOD


def _host_name(host: bytes) -> str:
    name, _, port = host.decode("latin-1").lower().rpartition(":")
    return name or port
