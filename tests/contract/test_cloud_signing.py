"""Signatures: what real clients sign is accepted, and nothing else."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs
from tencentcloud.common import credential
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.scf.v20180416 import models, scf_client

from api.cloud.wire.params import parse
from api.cloud.wire.policy import Policy
from api.cloud.wire.request import RawRequest, Scheme
from api.cloud.wire.signing import WINDOW_S, hosts, read_authorization, verify
from sandbox.errors import AuthError, SandboxError
from sandbox.settings import Settings
from tests.contract.cloud_kit import response_of, running_cloud, served
from tests.contract.cloud_requests import damaged, golden, golden_ids, raw_of
from tests.support.clock import FakeClock

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.types import Receive, Scope, Send

SIGNED = [item for item in golden() if item["expect"]["ok"]]
SIGNED_IDS = [name for name, item in zip(golden_ids(), golden(), strict=True) if item in SIGNED]

ID, KEY = "AKIDtest", "secret-of-the-test"


def check(raw: RawRequest, credentials: dict[str, str], now: float) -> str:
    return verify(raw, parse(raw), credentials, now)


def refused(raw: RawRequest, credentials: dict[str, str], now: float) -> str:
    with pytest.raises(SandboxError) as caught:
        check(raw, credentials, now)
    return caught.value.code


@pytest.mark.parametrize("item", SIGNED, ids=SIGNED_IDS)
def test_a_captured_request_is_accepted_as_it_is(item: dict[str, Any]) -> None:
    raw = raw_of(item)
    known = {item["secret_id"]: item["secret_key"]}
    assert check(raw, known, item["timestamp"]) == item["secret_id"]
    assert parse(raw).scheme == item["expect"]["scheme"]


@pytest.mark.parametrize("item", SIGNED, ids=SIGNED_IDS)
def test_a_captured_request_is_refused_with_one_signed_byte_changed(item: dict[str, Any]) -> None:
    raw, now = raw_of(item), item["timestamp"]
    known = {item["secret_id"]: item["secret_key"]}
    note = item["expect"]["notes"][0]
    signed_host = note.split("signed host='")[1].split("'")[0]
    for changed in damaged(raw, parse(raw), signed_host):
        refused(changed, known, now)
    assert refused(raw, {item["secret_id"]: item["secret_key"] + "x"}, now) == (
        "AuthFailure.SignatureFailure"
    )
    assert refused(raw, {"other": item["secret_key"]}, now) == "AuthFailure.SecretIdNotFound"


@pytest.mark.parametrize("item", SIGNED, ids=SIGNED_IDS)
def test_a_captured_request_is_good_for_five_minutes_either_way(item: dict[str, Any]) -> None:
    raw, now = raw_of(item), item["timestamp"]
    known = {item["secret_id"]: item["secret_key"]}
    for offset in (-WINDOW_S, WINDOW_S):
        assert check(raw, known, now + offset)
    for offset in (-WINDOW_S - 1, WINDOW_S + 1):
        assert refused(raw, known, now + offset) == "AuthFailure.SignatureExpire"


async def test_captured_requests_pass_the_whole_api_when_signatures_are_enforced(
    tmp_path: Path,
) -> None:
    known = {item["secret_id"]: item["secret_key"] for item in SIGNED}
    async with running_cloud(tmp_path, credentials=known, signature="enforce") as cloud:
        for item in SIGNED:
            cloud.clock.ahead_s = item["timestamp"] - time.time()
            answer = response_of(await cloud.api.answer(raw_of(item)))
            assert "AuthFailure" not in answer.get("Error", {}).get("Code", ""), item["client"]
            cloud.clock.ahead_s += WINDOW_S + 1
            answer = response_of(await cloud.api.answer(raw_of(item)))
            assert answer["Error"]["Code"] == "AuthFailure.SignatureExpire"


def test_a_request_with_signing_skipped_is_refused_when_signatures_are_enforced() -> None:
    (item,) = (item for item in golden() if not item["expect"]["ok"])
    assert refused(raw_of(item), {}, 0) == "AuthFailure.InvalidAuthorization"


class Recorder:
    """An application that keeps each raw request and answers as the API does."""

    def __init__(self) -> None:
        self.requests: list[RawRequest] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        self.requests.append(
            RawRequest.build(scope["method"], scope["query_string"], scope["headers"], body)
        )
        headers = [(b"content-type", b"application/json"), (b"content-length", b"31")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"Response":{"RequestId":"id"}}'})


def sdk_calls(endpoint: str, method: str, sign: str, options: dict[str, Any]) -> None:
    """What the installed SDK makes of a request with blanks, UTF-8 and nested parameters."""
    profile = ClientProfile(
        signMethod=sign, httpProfile=HttpProfile(endpoint=endpoint, reqMethod=method)
    )
    profile.httpProfile.scheme = "http"
    profile.unsignedPayload = options.get("unsigned", False)
    client = scf_client.ScfClient(credential.Credential(ID, KEY), "ap-guangzhou", profile)
    if options.get("multipart"):
        extra = {"IsMultipart": True, "BinaryParams": ["ZipFile"]}
        client.call_json("UpdateFunctionCode", {"ZipFile": b"PK\0\xff", "A": [1]}, options=extra)
        return
    request = models.ListFunctionsRequest()
    request.Limit = 10
    request.SearchKey = "a b&c=中_x+%"
    filters = models.Filter()
    filters.Name, filters.Values = "Status", ["Active", "x"]
    request.Filters = [filters]
    client.ListFunctions(request)


@pytest.mark.parametrize(
    ("method", "sign", "options"),
    [
        ("POST", "TC3-HMAC-SHA256", {}),
        ("GET", "TC3-HMAC-SHA256", {}),
        ("POST", "TC3-HMAC-SHA256", {"unsigned": True}),
        ("POST", "TC3-HMAC-SHA256", {"multipart": True}),
        ("POST", "TC3-HMAC-SHA256", {"with_scheme": True}),
        ("POST", "HmacSHA1", {}),
        ("GET", "HmacSHA1", {}),
        ("POST", "HmacSHA256", {}),
        ("GET", "HmacSHA256", {}),
    ],
)
async def test_what_the_installed_sdk_signs_is_accepted_and_any_change_of_it_refused(
    method: str, sign: str, options: dict[str, Any]
) -> None:
    recorder = Recorder()
    async with served(recorder) as address:
        endpoint = f"http://{address}" if options.get("with_scheme") else address
        await asyncio.to_thread(sdk_calls, endpoint, method, sign, options)
    (raw,) = recorder.requests
    request = parse(raw)
    now = int(request.timestamp)
    assert check(raw, {ID: KEY}, now) == ID
    if not options.get("multipart"):
        assert request.params["SearchKey"] == "a b&c=中_x+%"
        assert request.params["Filters"] == [{"Name": "Status", "Values": ["Active", "x"]}]
    else:
        assert request.params == {"ZipFile": b"PK\0\xff", "A": [1]}
    for changed in damaged(raw, request, raw.headers["host"]):
        refused(changed, {ID: KEY}, now)
    assert refused(raw, {ID: "another"}, now) == "AuthFailure.SignatureFailure"
    assert refused(raw, {ID: KEY}, now + 301) == "AuthFailure.SignatureExpire"


def test_the_service_of_a_scope_may_hold_a_port() -> None:
    found = read_authorization(
        "TC3-HMAC-SHA256 Credential=id/2026-01-02/localhost:9000/tc3_request,"
        f" SignedHeaders=content-type;host;x-tc-action, Signature={'0' * 64}"
    )
    assert found.service == "localhost:9000"
    assert found.signed_headers == ("content-type", "host", "x-tc-action")


@pytest.mark.parametrize(
    "header",
    [
        "TC3-HMAC-SHA256",
        "TC3-HMAC-SHA256 Credential=id/2026-01-02/scf/tc3_request, Signature=" + "0" * 64,
        "TC3-HMAC-SHA256 Credential=id/2026-01-02/scf/tc3_request, SignedHeaders=host,"
        " Signature=" + "0" * 64,
        "TC3-HMAC-SHA256 Credential=id/scf/tc3_request, SignedHeaders=content-type;host,"
        " Signature=" + "0" * 64,
        "TC3-HMAC-SHA256 Credential=id/2026-01-02/scf/tc3_request,"
        " SignedHeaders=content-type;host, Signature=00",
    ],
)
def test_an_authorization_that_cannot_be_read_is_called_invalid(header: str) -> None:
    with pytest.raises(AuthError) as caught:
        read_authorization(header)
    assert caught.value.code == "AuthFailure.InvalidAuthorization"


@pytest.mark.parametrize(
    ("sent", "signed"),
    [
        ("127.0.0.1:9000", ["127.0.0.1:9000", "127.0.0.1"]),
        ("http://127.0.0.1:9000", ["http://127.0.0.1:9000", "127.0.0.1", "127.0.0.1:9000"]),
        ("scf.tencentcloudapi.com", ["scf.tencentcloudapi.com"]),
        ("[::1]:9000", ["[::1]:9000", "[::1]"]),
    ],
)
def test_hosts_are_tried_with_and_without_port_and_scheme(sent: str, signed: list[str]) -> None:
    assert list(hosts(sent)) == signed


def test_a_credential_of_another_day_than_its_timestamp_is_refused() -> None:
    raw = RawRequest(
        "POST",
        "",
        {
            "authorization": "TC3-HMAC-SHA256 Credential=id/2026-01-02/scf/tc3_request,"
            f" SignedHeaders=content-type;host, Signature={'0' * 64}",
            "x-tc-timestamp": "1767398400",  # midnight: the third of January in UTC
        },
        b"",
    )
    assert refused(raw, {"id": "key"}, 1767398400) == "AuthFailure.SignatureExpire"


def test_a_timestamp_that_is_no_number_is_refused() -> None:
    raw = RawRequest(
        "POST",
        "",
        {
            "authorization": "TC3-HMAC-SHA256 Credential=id/2026-01-02/scf/tc3_request,"
            f" SignedHeaders=content-type;host, Signature={'0' * 64}",
            "x-tc-timestamp": "١٢",
        },
        b"",
    )
    assert refused(raw, {"id": "key"}, 12) == "AuthFailure.SignatureFailure"


UNSIGNED = RawRequest("POST", "", {"x-tc-action": "ListFunctions"}, b"{}")


@pytest.mark.parametrize(
    ("settings", "mode"),
    [
        ({}, "off"),
        ({"credentials": {"id": "key"}}, "enforce"),
        ({"credentials": {"id": "key"}, "signature": "off"}, "off"),
        ({"credentials": {"id": "key"}, "signature": "warn"}, "warn"),
        ({"signature": "enforce"}, "enforce"),
    ],
)
def test_signatures_are_enforced_when_credentials_are_configured_unless_told_otherwise(
    settings: dict[str, Any], mode: str
) -> None:
    policy = Policy(Settings(**settings), FakeClock())
    policy.announce()
    assert policy.mode == mode
    if mode == "enforce":
        with pytest.raises(AuthError):
            policy.check(UNSIGNED, parse(UNSIGNED))
    else:
        policy.check(UNSIGNED, parse(UNSIGNED))


def test_that_nothing_is_checked_is_said_once_at_start_and_only_if_nobody_asked_for_it() -> None:
    with capture_logs() as told:
        Policy(Settings(), FakeClock()).announce()
    assert [entry["event"] for entry in told] == ["signatures_not_checked"]
    with capture_logs() as told:
        Policy(Settings(signature="off"), FakeClock()).announce()
    assert told == []


def test_in_warn_mode_a_bad_signature_is_logged_with_what_would_have_been_answered() -> None:
    policy = Policy(Settings(signature="warn"), FakeClock())
    with capture_logs() as told:
        policy.check(UNSIGNED, parse(UNSIGNED, "our-id"))
    (entry,) = told
    assert entry["event"] == "signature_refused_in_enforce_mode"
    assert (entry["code"], entry["request_id"]) == ("AuthFailure.InvalidAuthorization", "our-id")


def test_a_signature_parameter_alone_makes_a_request_signed() -> None:
    raw = RawRequest("GET", "Action=ListFunctions&Signature=", {"host": "h"}, b"")
    assert parse(raw).scheme is Scheme.HMAC_SHA1
    raw = replace(raw, query="Action=A&SignatureMethod=None&Signature=x")
    assert refused(raw, {}, 0) == "AuthFailure.InvalidAuthorization"
