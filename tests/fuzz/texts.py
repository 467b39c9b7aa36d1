"""Texts that are read at once: requests, signatures, timer expressions."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from api.cloud.wire.params import parse
from api.cloud.wire.request import RawRequest
from api.cloud.wire.signing import verify
from sandbox.cron import Cron
from sandbox.errors import SandboxError

if TYPE_CHECKING:
    from tests.fuzz.targets import Take

KINDS = (
    "application/json",
    "application/json; charset=utf-8",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/octet-stream",
    "text/plain",
    "",
)
TC3 = (
    "TC3-HMAC-SHA256 Credential=SecretId/2026-11-26/scf/tc3_request,"
    " SignedHeaders=content-type;host, Signature="
)
NOW = 1_764_000_000.0
KEYS = {"SecretId": "secretKey"}


def request_of(data: bytes) -> RawRequest:
    """Three bytes choose its form; a line is the query, the next one a header, the rest the
    body."""
    form, kind, signed = data[0], data[1], data[2]
    query, _, rest = data[3:].partition(b"\n")
    header, _, body = rest.partition(b"\n")
    name, _, value = header.partition(b":")
    headers = [(b"content-type", KINDS[kind % len(KINDS)].encode()), (b"host", b"127.0.0.1:9000")]
    if signed & 1:
        headers.append((b"authorization", TC3.encode() + value))
        headers.append((b"x-tc-timestamp", b"%d" % NOW))
    headers.append((name.lower(), value))
    return RawRequest.build("GET" if form & 1 else "POST", query, headers, body)


def forms() -> Take:
    """A request is understood, or refused with a code."""

    def take(data: bytes) -> None:
        if len(data) < 4:
            return
        with suppress(SandboxError):
            parse(request_of(data))

    return take


def signatures() -> Take:
    """No made-up signature is taken, and none makes trouble."""

    def take(data: bytes) -> None:
        if len(data) < 4:
            return
        raw = request_of(data)
        try:
            request = parse(raw)
            verify(raw, request, KEYS, NOW)
        except SandboxError:
            return
        raise AssertionError("a signature that nobody has made is taken")

    return take


def cron() -> Take:
    """An expression has a next time in the future, or none, or is refused."""

    def take(data: bytes) -> None:
        try:
            expression = Cron(data.decode())
        except (UnicodeDecodeError, SandboxError):
            return
        at = expression.next_after(NOW)
        assert at is None or at > NOW

    return take
