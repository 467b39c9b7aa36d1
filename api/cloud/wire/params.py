"""Turns a raw request into a call: action, version, parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from api.cloud.wire.carrier import JSON, OCTETS, QUERY, carrier_of, pairs
from api.cloud.wire.request import API_VERSION, CloudRequest, Scheme
from sandbox.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from api.cloud.wire.request import RawRequest

#: Protocol parameters that v1 requests send together with the action's.
COMMON = frozenset(
    {
        "Action",
        "Language",
        "Nonce",
        "Region",
        "RequestClient",
        "SecretId",
        "Signature",
        "SignatureMethod",
        "Timestamp",
        "Token",
        "Version",
    }
)


def parse(raw: RawRequest, request_id: str = "") -> CloudRequest:
    """Understand a request. Checks no signature.

    Raises ``InvalidParameter`` (or ``InvalidRequest`` for multipart) when it cannot be read, and
    ``AuthFailure.InvalidAuthorization`` for a way of signing that is not known.
    """
    authorization = raw.headers.get("authorization", "")
    if authorization:
        return _by_headers(raw, request_id, authorization)
    carrier = carrier_of(raw, authorized=False)
    query = pairs(raw.query) if raw.query and carrier is not QUERY else None
    params, flat = carrier.decode(raw)
    if "Signature" in flat:
        return _signed_v1(flat, params, request_id, raw.headers.get("host", ""))
    common = params if carrier is JSON else flat
    return _unsigned(raw.headers, request_id, {**query, **common} if query else common, params)


def _by_headers(raw: RawRequest, request_id: str, authorization: str) -> CloudRequest:
    """TC3: the protocol's parameters are headers. The query or body has only the action's."""
    scheme, secret_id = _header_scheme(authorization)
    headers = raw.headers
    carrier = carrier_of(raw, authorized=True)
    return CloudRequest(
        headers.get("x-tc-action", ""),
        headers.get("x-tc-version", ""),
        carrier.decode(raw)[0],
        request_id,
        headers.get("x-tc-region", ""),
        headers.get("x-tc-token", ""),
        secret_id,
        scheme,
        headers.get("x-tc-timestamp", ""),
        headers.get("x-tc-requestclient", ""),
        bytes(raw.body) if carrier is OCTETS else b"",
        host=headers.get("host", ""),
    )


def _header_scheme(authorization: str) -> tuple[Scheme, str]:
    """The scheme of an ``Authorization`` header, and the SecretId that it names."""
    if authorization.startswith(Scheme.TC3):
        return Scheme.TC3, authorization.partition("Credential=")[2].partition("/")[0]
    if authorization.strip() == Scheme.SKIP:
        return Scheme.SKIP, ""
    raise RequestError(
        "the Authorization header is of no kind that is known: sign with TC3-HMAC-SHA256, or"
        " with HmacSHA1 or HmacSHA256 in the parameters",
        "AuthFailure.InvalidAuthorization",
    )


def _unsigned(
    headers: Mapping[str, str], request_id: str, common: Mapping[str, Any], params: dict[str, Any]
) -> CloudRequest:
    """No signature: protocol parameters are headers, or in ``common`` (query or body)."""
    if COMMON.isdisjoint(common):
        common = {}
    return CloudRequest(
        headers.get("x-tc-action") or _text(common, "Action"),
        # Unsigned requests are our extension for curl. They may omit the version.
        headers.get("x-tc-version") or _text(common, "Version") or API_VERSION,
        _own(params),
        request_id,
        headers.get("x-tc-region") or _text(common, "Region"),
        client=headers.get("x-tc-requestclient") or _text(common, "RequestClient"),
        host=headers.get("host", ""),
    )


def _text(common: Mapping[str, Any], name: str) -> str:
    value = common.get(name) if common else None
    return value if isinstance(value, str) else ""


def _signed_v1(
    flat: Mapping[str, str], params: dict[str, Any], request_id: str, host: str
) -> CloudRequest:
    """v1: only signed parameters count, so headers are ignored."""
    return CloudRequest(
        flat.get("Action", ""),
        flat.get("Version", ""),
        _own(params),
        request_id,
        flat.get("Region", ""),
        flat.get("Token", ""),
        flat.get("SecretId", ""),
        _v1_scheme(flat),
        flat.get("Timestamp", ""),
        flat.get("RequestClient", ""),
        signed=flat,
        host=host,
    )


def _v1_scheme(fields: Mapping[str, str]) -> Scheme:
    """The default is HmacSHA1: the Serverless toolkit sends no ``SignatureMethod``."""
    method = fields.get("SignatureMethod", Scheme.HMAC_SHA1)
    if method not in (Scheme.HMAC_SHA1, Scheme.HMAC_SHA256):
        raise RequestError(
            f"the SignatureMethod {method!r} is not known: use HmacSHA1 or HmacSHA256",
            "AuthFailure.InvalidAuthorization",
        )
    return Scheme(method)


def _own(params: dict[str, Any]) -> dict[str, Any]:
    """The parameters of the action, without the protocol's."""
    if COMMON.isdisjoint(params):
        return params
    return {key: value for key, value in params.items() if key not in COMMON}
