"""Signatures of requests: TC3-HMAC-SHA256 and the older HmacSHA1 and HmacSHA256.

Pure functions. Clients sign different texts: the host with or without its port, keys with ``_`` or
``.``. Each function yields every text that real clients sign. One match is enough.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from api.cloud.wire.request import Scheme
from sandbox.errors import AuthError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from api.cloud.wire.request import CloudRequest, RawRequest

#: How far a client's clock may be before or behind ours, seconds.
WINDOW_S = 300

UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"

_SCOPE = re.compile(
    r"TC3-HMAC-SHA256\s+Credential=(?P<id>[^/,\s]+)/(?P<date>\d{4}-\d{2}-\d{2})/"
    r"(?P<service>[^,\s]+)/tc3_request\s*,\s*SignedHeaders=(?P<headers>[^,\s]+)\s*,\s*"
)
_HEX = "0123456789abcdefABCDEF"


class Credential(NamedTuple):
    """The parts of a TC3 ``Authorization`` header."""

    secret_id: str
    date: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str


def verify(
    raw: RawRequest, request: CloudRequest, credentials: Mapping[str, str], now: float
) -> str:
    """Check a request's signature and return its SecretId.

    ``credentials`` maps SecretId to SecretKey; ``now`` is seconds since the epoch. Raises
    ``AuthError`` with ``AuthFailure.InvalidAuthorization`` (none, or unreadable),
    ``.SignatureExpire`` (clock), ``.SecretIdNotFound`` or ``.SignatureFailure``.
    """
    if request.scheme in (Scheme.NONE, Scheme.SKIP):
        raise AuthError(
            "the request is not signed: configure the client with a SecretId and SecretKey that"
            " the sandbox knows (SCF_CREDENTIALS), or run it with SCF_SIGNATURE=off",
            "AuthFailure.InvalidAuthorization",
        )
    if request.scheme is Scheme.TC3:
        return _verify_tc3(raw, request.timestamp, credentials, now)
    return _verify_v1(raw, request, credentials, now)


def read_authorization(header: str) -> Credential:
    """Take a TC3 ``Authorization`` header apart.

    The service is the text between date and ``tc3_request``. Some clients put a host and port
    there. Raises ``AuthFailure.InvalidAuthorization``.
    """
    scope, _, signature = header.rstrip().rpartition("Signature=")
    found = _read_scope(scope)
    if found is None or len(signature) != 64 or signature.strip(_HEX):
        raise AuthError(
            "the Authorization header cannot be read: it must be TC3-HMAC-SHA256"
            " Credential=<SecretId>/<date>/<service>/tc3_request,"
            " SignedHeaders=content-type;host, Signature=<hex>",
            "AuthFailure.InvalidAuthorization",
        )
    return Credential(*found, signature)


@lru_cache(256)
def _read_scope(text: str) -> tuple[str, str, str, tuple[str, ...]] | None:
    """The header before its signature. A client sends the same one for a day."""
    match = _SCOPE.fullmatch(text)
    if match is None:
        return None
    secret_id, date, service, listed = match.groups()
    names = tuple(listed.lower().split(";"))
    if "content-type" not in names or "host" not in names:
        return None
    return secret_id, date, service, names


def _verify_tc3(raw: RawRequest, timestamp: str, credentials: Mapping[str, str], now: float) -> str:
    credential = read_authorization(raw.headers.get("authorization", ""))
    if _date(_fresh(timestamp, now)) != credential.date:
        raise AuthError(
            f"the credential's date {credential.date} is not the UTC date of X-TC-Timestamp",
            "AuthFailure.SignatureExpire",
        )
    key = _tc3_key(_secret(credential.secret_id, credentials), credential.date, credential.service)
    scope = f"{credential.date}/{credential.service}/tc3_request"
    for canonical in canonical_requests(raw, credential.signed_headers):
        digest = hashlib.sha256(canonical.encode("latin-1")).hexdigest()
        keyed = key.copy()
        keyed.update(f"TC3-HMAC-SHA256\n{timestamp}\n{scope}\n{digest}".encode())
        if hmac.compare_digest(keyed.hexdigest(), credential.signature.lower()):
            return credential.secret_id
    raise _mismatch(credential.secret_id)


def canonical_requests(raw: RawRequest, signed_headers: tuple[str, ...]) -> Iterator[str]:
    """Every canonical request that a client may have signed, the most likely first.

    Values are Latin-1 text, as headers and query came over the wire.
    """
    headers = raw.headers
    unsigned = headers.get("x-tc-content-sha256") == UNSIGNED_PAYLOAD
    payload = hashlib.sha256(UNSIGNED_PAYLOAD.encode() if unsigned else raw.body).hexdigest()
    query = raw.query if raw.method == "GET" else ""
    names = ";".join(signed_headers)
    sent = headers.get("host", "")
    for host in hosts(sent):
        fields = headers if host == sent else {**headers, "host": host}
        exact = "".join([f"{name}:{fields.get(name, '').strip()}\n" for name in signed_headers])
        yield f"{raw.method}\n/\n{query}\n{exact}\n{names}\n{payload}"
        # The documentation signs values in lower case, the SDKs as they send them. Names are in
        # lower case.
        lower = exact.lower()
        if exact != lower:
            yield f"{raw.method}\n/\n{query}\n{lower}\n{names}\n{payload}"


@lru_cache(256)
def hosts(sent: str) -> tuple[str, ...]:
    """The host a client may have signed when it sent this one.

    Node SDKs sign it without the port. If the endpoint has a scheme, it is sent and signed with it.
    """
    bare = sent.partition("://")[2] or sent
    found = [sent, bare.rpartition(":")[0] if re.search(r":\d+$", bare) else bare, bare]
    return tuple(dict.fromkeys(found))


def _verify_v1(
    raw: RawRequest, request: CloudRequest, credentials: Mapping[str, str], now: float
) -> str:
    fields = request.signed
    _fresh(fields.get("Timestamp", ""), now)
    key = _secret(request.secret_id, credentials)
    digest = hashlib.sha1 if request.scheme is Scheme.HMAC_SHA1 else hashlib.sha256
    given = fields.get("Signature", "").encode("utf-8", "replace")
    for text in v1_texts(raw, fields):
        expected = base64.b64encode(hmac.digest(key.encode(), text.encode(), digest))
        if hmac.compare_digest(expected, given):
            return request.secret_id
    raise _mismatch(request.secret_id)


def v1_texts(raw: RawRequest, fields: Mapping[str, str]) -> Iterator[str]:
    """Every text that a v1 client may have signed: plain values, keys sorted.

    Some clients replace ``_`` in keys by ``.`` before they sort.
    """
    plain = {key: value for key, value in fields.items() if key != "Signature"}
    dotted = {key.replace("_", "."): value for key, value in plain.items()}
    for params in (dotted,) if dotted.keys() == plain.keys() else (dotted, plain):
        joined = "&".join(f"{key}={params[key]}" for key in sorted(params))
        for host in hosts(raw.headers.get("host", "")):
            yield f"{raw.method}{host}/?{joined}"


def _fresh(timestamp: str, now: float) -> int:
    moment = _moment(timestamp)
    if moment < 0:
        raise AuthError(
            "the request's Timestamp is missing or not a number of seconds",
            "AuthFailure.SignatureFailure",
        )
    if abs(now - moment) > WINDOW_S:
        raise AuthError(
            f"the signature is {now - moment:.0f} s old and good for {WINDOW_S} s either way: set"
            " the client's clock",
            "AuthFailure.SignatureExpire",
        )
    return moment


@lru_cache(8)
def _moment(timestamp: str) -> int:
    """Seconds since the epoch. -1 if the text is no such number."""
    good = timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 12
    return int(timestamp) if good else -1


def _secret(secret_id: str, credentials: Mapping[str, str]) -> str:
    try:
        return credentials[secret_id]
    except KeyError:
        raise AuthError(
            f"the SecretId {secret_id!r} is not known here: use one that SCF_CREDENTIALS lists",
            "AuthFailure.SecretIdNotFound",
        ) from None


def _mismatch(secret_id: str) -> AuthError:
    return AuthError(
        f"the signature does not match the request: check the SecretKey of {secret_id!r}, and that"
        " no proxy changed the Host header",
        "AuthFailure.SignatureFailure",
    )


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


@lru_cache(8)
def _date(moment: int) -> str:
    """The UTC date of a time since the epoch, in seconds."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d")


@lru_cache(256)
def _tc3_key(secret_key: str, date: str, service: str) -> hmac.HMAC:
    """A client's key for a day. Copy it, then feed it the text.

    It is cached because it takes four keyed hashes. It is an object because ``hmac.digest``
    releases the interpreter lock each time, which takes ten times as long as the hash.
    """
    key = _hmac(_hmac(_hmac(f"TC3{secret_key}".encode(), date), service), "tc3_request")
    return hmac.new(key, digestmod="sha256")
