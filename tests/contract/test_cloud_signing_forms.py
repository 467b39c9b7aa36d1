"""Forms of signatures that no client here makes, signed by the documentation's own procedure.

The signer below shares nothing with the sandbox's: it is the second reading of the same text.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import pytest

from api.cloud.wire import signing
from api.cloud.wire.params import parse
from api.cloud.wire.request import RawRequest
from sandbox.errors import AuthError
from tests.contract.cloud_requests import damaged
from tests.contract.sdk_kit import ID, KEY, Sdk, cloud_at_address

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_767_323_045
HOST = "127.0.0.1:9000"


def keyed(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def tc3(
    method: str = "POST",
    query: str = "",
    body: bytes = b'{"FunctionName": "f"}',
    *,
    service: str = "scf",
    signed: tuple[str, ...] = ("content-type", "host"),
    lower: bool = False,
    key: str = KEY,
    **headers: str,
) -> RawRequest:
    """A request as a client sends it, with names of headers in lower case."""
    sent = {
        "host": HOST,
        "content-type": "application/json",
        "x-tc-action": "GetFunction",
        "x-tc-version": "2018-04-16",
        "x-tc-timestamp": str(NOW),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    lines = "".join(
        f"{name}:{sent[name].strip().lower() if lower else sent[name].strip()}\n" for name in signed
    )
    payload = hashlib.sha256(body).hexdigest()
    canonical = f"{method}\n/\n{query}\n{lines}\n{';'.join(signed)}\n{payload}"
    date = datetime.fromtimestamp(NOW, UTC).date().isoformat()
    scope = f"{date}/{service}/tc3_request"
    text = f"TC3-HMAC-SHA256\n{NOW}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    secret = keyed(keyed(keyed(f"TC3{key}".encode(), date), service), "tc3_request")
    signature = hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()
    sent["authorization"] = (
        f"TC3-HMAC-SHA256 Credential={ID}/{scope}, SignedHeaders={';'.join(signed)},"
        f" Signature={signature}"
    )
    return RawRequest(method, query, sent, body)


def v1(method: str, algorithm: str | None, key: str = KEY) -> RawRequest:
    """An older request; without an algorithm in it, which means HmacSHA1."""
    fields = {
        "Action": "GetFunction",
        "FunctionName": "a b&c=中",
        "Nonce": "7",
        "Region": "na-toronto",
        "SecretId": ID,
        "Timestamp": str(NOW),
        "Version": "2018-04-16",
    }
    if algorithm:
        fields["SignatureMethod"] = algorithm
    joined = "&".join(f"{name}={fields[name]}" for name in sorted(fields))
    digest = hashlib.sha256 if algorithm == "HmacSHA256" else hashlib.sha1
    text = f"{method}{HOST}/?{joined}"
    signature = hmac.new(key.encode(), text.encode(), digest).digest()
    sent = {**fields, "Signature": base64.b64encode(signature).decode()}
    if method == "GET":
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in sent.items())
        return RawRequest(method, query, {"host": HOST}, b"")
    kind = "application/x-www-form-urlencoded"
    return RawRequest(method, "", {"host": HOST, "content-type": kind}, urlencode(sent).encode())


FORMS: dict[str, RawRequest] = {
    "python": tc3(),
    "java": tc3(service="127", content_type="application/json; charset=utf-8"),
    "go get": tc3(
        "GET", "FunctionName=f&Limit=1", b"", content_type="application/x-www-form-urlencoded"
    ),
    "node": tc3(service="localhost:9000"),
    "documentation": tc3(
        signed=("content-type", "host", "x-tc-action"),
        lower=True,
        content_type="application/json; charset=UTF-8",
    ),
    "more headers": tc3(
        signed=("content-type", "host", "x-tc-action", "x-tc-timestamp", "x-tc-token"),
        x_tc_token="  a token with blanks around it ",
    ),
    "no body": tc3(body=b""),
    "v1 post": v1("POST", "HmacSHA1"),
    "v1 post unnamed": v1("POST", None),
    "v1 post 256": v1("POST", "HmacSHA256"),
    "v1 get": v1("GET", "HmacSHA1"),
    "v1 get 256": v1("GET", "HmacSHA256"),
}


def verified(raw: RawRequest, keys: dict[str, str], now: float = NOW) -> str:
    return signing.verify(raw, parse(raw), keys, now)


@pytest.mark.parametrize("form", FORMS)
def test_a_request_signed_by_the_documentation_is_accepted(form: str) -> None:
    assert verified(FORMS[form], {"another": "x", ID: KEY}) == ID
    assert parse(FORMS[form]).action == "GetFunction"


@pytest.mark.parametrize("form", FORMS)
def test_any_signed_byte_counts(form: str) -> None:
    raw = FORMS[form]
    for changed in damaged(raw, parse(raw), HOST):
        with pytest.raises(Exception, match=r"^(AuthFailure|Invalid)"):
            verified(changed, {ID: KEY})


@pytest.mark.parametrize("name", ["x-tc-action", "x-tc-token"])
def test_whatever_header_is_signed_counts(name: str) -> None:
    raw = FORMS["more headers"]
    changed = replace(raw, headers={**raw.headers, name: raw.headers[name].replace("t", "T")})
    with pytest.raises(AuthError):
        verified(changed, {ID: KEY})


def test_a_signed_header_that_is_missing_is_no_signature() -> None:
    raw = FORMS["more headers"]
    left = {name: value for name, value in raw.headers.items() if name != "x-tc-token"}
    with pytest.raises(AuthError):
        verified(replace(raw, headers=left), {ID: KEY})


@pytest.mark.parametrize("raw", [tc3(key="wrong"), v1("POST", "HmacSHA1", "wrong")])
def test_only_a_comparison_in_constant_time_decides(
    raw: RawRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AuthError, match="does not match"):
        verified(raw, {ID: KEY})
    compared: list[tuple[Any, Any]] = []

    def note(one: Any, other: Any) -> bool:
        compared.append((one, other))
        return True

    monkeypatch.setattr("api.cloud.wire.signing.hmac.compare_digest", note)
    assert verified(raw, {ID: KEY}) == ID
    ((one, other),) = compared
    assert type(one) is type(other)
    assert len(one) == len(other)


async def test_each_of_several_pairs_of_keys_is_known_with_its_own_secret(tmp_path: Path) -> None:
    pairs = {"id-1": "key-1", "id-2": "key-2"}
    async with cloud_at_address(tmp_path, credentials=pairs) as (_, address):
        for pair in pairs.items():
            assert (await Sdk(address, secret=pair).call("ListFunctions")).TotalCount == 0
        crossed = await Sdk(address, secret=("id-1", "key-2")).error_of("ListFunctions")
        unknown = await Sdk(address, secret=("id-3", "key-1")).error_of("ListFunctions")
    assert crossed.code == "AuthFailure.SignatureFailure"
    assert unknown.code == "AuthFailure.SecretIdNotFound"


@pytest.mark.parametrize(
    ("ahead", "accepted"), [(298, True), (-298, True), (302, False), (-303, False)]
)
async def test_a_clock_may_be_five_minutes_away(
    tmp_path: Path, ahead: float, accepted: bool
) -> None:
    async with cloud_at_address(tmp_path) as (cloud, address):
        cloud.clock.ahead_s = ahead
        if accepted:
            await Sdk(address).call("ListFunctions")
            return
        late = await Sdk(address).error_of("ListFunctions")
    assert late.code == "AuthFailure.SignatureExpire"
