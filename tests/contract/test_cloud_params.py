"""Reading requests: every form that real clients send, and what cannot be read."""

from __future__ import annotations

import base64
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.cloud.wire.flat import unflatten
from api.cloud.wire.params import parse
from api.cloud.wire.request import RawRequest, Scheme
from sandbox.errors import SandboxError
from tests.contract.cloud_requests import golden, golden_ids, raw_of

TC3 = "TC3-HMAC-SHA256 Credential=id/2026-01-02/scf/tc3_request, SignedHeaders=x, Signature=y"


def raw(method: str = "POST", query: str = "", body: bytes = b"", **headers: str) -> RawRequest:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return RawRequest(method, query, named, body)


def code_of(request: RawRequest) -> str:
    with pytest.raises(SandboxError) as caught:
        parse(request)
    return caught.value.code


@pytest.mark.parametrize("item", golden(), ids=golden_ids())
def test_a_captured_request_is_understood(item: dict[str, Any]) -> None:
    expected, request = item["expect"], parse(raw_of(item), "our-id")
    assert request.action == expected["action"]
    assert request.version == expected["version"]
    assert request.region == expected["region"]
    assert request.scheme == expected["scheme"]
    assert request.request_id == "our-id"
    if "__octet_stream__" in expected["params"]:
        assert request.params == {}
        assert len(request.body) == expected["params"]["__octet_stream__"]
        return
    binary = {
        name: base64.b64decode(value["__bytes__"])
        for name, value in expected["params"].items()
        if isinstance(value, dict) and "__bytes__" in value
    }
    assert request.params == {**expected["params"], **binary}


def test_a_plain_curl_request_with_an_action_header_is_understood() -> None:
    request = parse(raw(body=b' {"FunctionName": "f"}', x_tc_action="GetFunction"))
    assert (request.action, request.version) == ("GetFunction", "2018-04-16")
    assert request.params == {"FunctionName": "f"}
    assert request.scheme is Scheme.NONE


@pytest.mark.parametrize(
    "request_",
    [
        raw("GET", "Action=GetFunction&FunctionName=f"),
        raw("POST", "Action=GetFunction", b'{"FunctionName":"f"}'),
        raw("POST", "", b'{"Action":"GetFunction","FunctionName":"f"}'),
        raw("POST", "", b"Action=GetFunction&FunctionName=f"),
        raw("POST", "Action=GetFunction", b"FunctionName=f", content_type="application/json"),
    ],
    ids=["query", "query and json", "json", "form", "form labelled json"],
)
def test_an_unsigned_request_may_name_its_action_anywhere(request_: RawRequest) -> None:
    request = parse(request_)
    assert request.action == "GetFunction"
    assert request.params == {"FunctionName": "f"}


def test_json_is_read_as_json_even_when_it_is_labelled_as_a_form() -> None:
    request = raw(
        body=b'{"FunctionName": "f"}',
        x_tc_action="GetFunction",
        content_type="application/x-www-form-urlencoded",
    )
    assert parse(request).params == {"FunctionName": "f"}


def test_a_signed_v1_request_takes_nothing_from_headers() -> None:
    form = urlencode({"Action": "GetFunction", "SecretId": "id", "Signature": "s"}).encode()
    request = parse(raw(body=form, x_tc_action="DeleteFunction", x_tc_version="2018-04-16"))
    assert (request.action, request.version) == ("GetFunction", "")
    assert request.secret_id == "id"


def test_the_query_of_a_signed_post_is_not_read_because_nobody_signed_it() -> None:
    request = parse(raw("POST", "FunctionName=evil", b"{}", authorization=TC3, x_tc_action="A"))
    assert request.params == {}


def test_protocol_parameters_are_not_taken_for_parameters_of_the_action() -> None:
    query = "Action=A&Nonce=1&Timestamp=2&Region=r&Token=t&Language=zh-CN&Signature=s&Limit=3"
    request = parse(raw("GET", query))
    assert request.params == {"Limit": "3"}
    assert (request.region, request.token, request.timestamp) == ("r", "t", "2")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "InvalidParameter"),
        (b"[1]", "InvalidParameter"),
        (b'{"a":"\xff"}', "InvalidParameter"),
        (b"nonsense", "InvalidParameter"),
        (b"[" * 100_000, "InvalidParameter"),
    ],
)
def test_a_body_that_is_no_json_object_is_refused(body: bytes, code: str) -> None:
    assert code_of(raw(body=body, authorization=TC3, content_type="application/json")) == code


@pytest.mark.parametrize(
    "body", [b"A=%ff", b"A=\xff", b"A=1&A.0=2", b"A.0=2&A=1", b"A.B=1&A.B.C=1", b"A." * 40 + b"=1"]
)
def test_a_form_that_cannot_be_read_is_refused(body: bytes) -> None:
    assert code_of(raw(body=body)) == "InvalidParameter"


@pytest.mark.parametrize("header", ["Bearer abc", "Basic dTpw"])
def test_an_authorization_of_another_kind_is_refused(header: str) -> None:
    assert code_of(raw(authorization=header)) == "AuthFailure.InvalidAuthorization"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"--b\r\n"),
        ("multipart/form-data; boundary=b", b"no parts"),
        ("multipart/form-data; boundary=b", b'--b\r\nContent-Disposition: form-data; name="a"'),
        (
            "multipart/form-data; boundary=b",
            b"--b\r\nContent-Disposition: form-data\r\n\r\n1\r\n--b--\r\n",
        ),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="a"\r\n'
            b"Content-Type: application/json\r\n\r\n{\r\n--b--\r\n",
        ),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n\xff\r\n--b--\r\n',
        ),
    ],
    ids=["no boundary", "no part", "cut off", "no name", "bad json", "bad text"],
)
def test_a_multipart_body_that_is_malformed_is_an_invalid_request(kind: str, body: bytes) -> None:
    assert code_of(raw(body=body, authorization=TC3, content_type=kind)) == "InvalidRequest"


def test_list_members_come_in_the_order_of_their_numbers() -> None:
    pairs = [("L.10", "c"), ("L.2", "b"), ("L.0", "a"), ("M.x.0.K", "v"), ("N", "")]
    assert unflatten(pairs) == {"L": ["a", "b", "c"], "M": {"x": [{"K": "v"}]}, "N": ""}


def test_a_huge_list_number_costs_nothing() -> None:
    assert unflatten([("L.999999999", "x")]) == {"L": ["x"]}


NAMES = st.text("ABCxyz_", min_size=1, max_size=4)
VALUES = st.recursive(
    st.text("aZ0é中 ._%&=+", max_size=8),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3)
        | st.dictionaries(NAMES, inner, min_size=1, max_size=3)
    ),
    max_leaves=8,
)


def flattened(value: Any, key: str) -> list[tuple[str, str]]:
    """What the SDKs do to a parameter before they put it into a form."""
    if isinstance(value, str):
        return [(key, value)]
    members = value.items() if isinstance(value, dict) else enumerate(value)
    return [pair for name, inner in members for pair in flattened(inner, f"{key}.{name}")]


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.dictionaries(NAMES, VALUES, max_size=4))
def test_unflattening_undoes_what_the_sdks_do(params: dict[str, Any]) -> None:
    pairs = [pair for name, value in params.items() for pair in flattened(value, name)]
    assert unflatten(pairs) == params


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.binary(max_size=60),
    st.sampled_from(["", "multipart/form-data; boundary=b"]),
    st.sampled_from(["", TC3]),
)
def test_no_body_whatever_makes_the_parser_fail(body: bytes, kind: str, signed: str) -> None:
    headers = {"content-type": kind, **({"authorization": signed} if signed else {})}
    with suppress(SandboxError):
        parse(RawRequest("POST", "", headers, body))
