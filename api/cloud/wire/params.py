"""From a raw request to a call: action, version, parameters.

The parser is chosen by the ``Authorization`` header and by what the body is, never by
``Content-Type`` alone: one client labels its forms as JSON, another sends no type at all.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from pydantic_core import from_json

from api.cloud.wire.flat import unflatten
from api.cloud.wire.multipart import parse_multipart
from api.cloud.wire.request import API_VERSION, CloudRequest, Scheme
from sandbox.errors import RequestError

if TYPE_CHECKING:
    from api.cloud.wire.request import Body, RawRequest

#: Parameters of the protocol that v1 requests carry among those of the action.
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

#: More fields than any request has, fewer than would take noticeable time.
MAX_FIELDS = 20_000


def parse(raw: RawRequest, request_id: str = "") -> CloudRequest:
    """Understand a request. Checks no signature.

    Raises ``InvalidParameter`` (or ``InvalidRequest`` for multipart) when it cannot be read.
    """
    authorization = raw.headers.get("authorization", "")
    if authorization.startswith(Scheme.TC3):
        secret_id = authorization.partition("Credential=")[2].partition("/")[0]
        return _by_headers(raw, request_id, Scheme.TC3, secret_id)
    if authorization.strip() == Scheme.SKIP:
        return _by_headers(raw, request_id, Scheme.SKIP, "")
    if authorization:
        raise RequestError(
            "the Authorization header is of no kind that is known: sign with TC3-HMAC-SHA256, or"
            " with HmacSHA1 or HmacSHA256 in the parameters",
            "AuthFailure.InvalidAuthorization",
        )
    return _plain_json(raw, request_id) or _without_authorization(raw, request_id)


def _plain_json(raw: RawRequest, request_id: str) -> CloudRequest | None:
    """What most unsigned requests are: the action's parameters as JSON, the protocol's as headers.

    None for all others. They could be read in this way, too, but for what else may be in them.
    """
    headers = raw.headers
    if raw.method != "POST" or raw.query or raw.body[:1] != b"{" or "x-tc-action" not in headers:
        return None
    if headers.get("content-type", "").startswith("multipart/form-data"):
        return None
    params = _json_object(raw.body)
    if not COMMON.isdisjoint(params):
        return None
    return CloudRequest(
        headers["x-tc-action"],
        headers.get("x-tc-version") or API_VERSION,
        params,
        request_id,
        headers.get("x-tc-region", ""),
        client=headers.get("x-tc-requestclient", ""),
        host=headers.get("host", ""),
    )


def _by_headers(raw: RawRequest, request_id: str, scheme: Scheme, secret_id: str) -> CloudRequest:
    """TC3: the protocol's parameters are headers, and only the action's are in query or body."""
    headers = raw.headers
    kind = headers.get("content-type", "")
    octets = raw.method != "GET" and kind.startswith("application/octet-stream")
    if raw.method == "GET":
        params = unflatten(_pairs(raw.query))
    else:
        params = {} if octets else _body(raw.body, kind)
    return CloudRequest(
        headers.get("x-tc-action", ""),
        headers.get("x-tc-version", ""),
        params,
        request_id,
        headers.get("x-tc-region", ""),
        headers.get("x-tc-token", ""),
        secret_id,
        scheme,
        headers.get("x-tc-timestamp", ""),
        headers.get("x-tc-requestclient", ""),
        bytes(raw.body) if octets else b"",
        host=headers.get("host", ""),
    )


def _body(body: Body, kind: str) -> dict[str, Any]:
    if kind.startswith("multipart/form-data"):
        return parse_multipart(bytes(body), kind)
    if body[:1] == b"{":
        return _json_object(body)
    if not body or body.isspace():
        return {}
    if _looks_like_json(body) or not kind.startswith("application/x-www-form-urlencoded"):
        return _json_object(body)
    return unflatten(_pairs(_text(body)))


def _without_authorization(raw: RawRequest, request_id: str) -> CloudRequest:
    """v1, whose signature is a parameter, or no signature: protocol parameters may be anywhere."""
    headers, kind = raw.headers, raw.headers.get("content-type", "")
    query = dict(_pairs(raw.query)) if raw.query else {}
    common: dict[str, Any] = query
    fields: dict[str, str] = query if raw.method == "GET" else {}
    if raw.method == "GET":
        params = unflatten(query.items())
    elif kind.startswith("multipart/form-data"):
        params = parse_multipart(bytes(raw.body), kind)
    elif not raw.body or raw.body.isspace() or _looks_like_json(raw.body):
        params = _body(raw.body, "")
        common = {**query, **params} if query else params
    else:
        fields = dict(_pairs(_text(raw.body)))
        params = unflatten(fields.items())
        common = {**query, **fields}
    scheme = _v1_scheme(fields)

    if scheme is not Scheme.NONE:
        return _signed_v1(fields, params, request_id, scheme, headers.get("host", ""))

    def of(header: str, name: str) -> str:
        value = headers.get(header) or common.get(name, "")
        return value if isinstance(value, str) else ""

    return CloudRequest(
        of("x-tc-action", "Action"),
        # Unsigned requests are our own extension, for curl: they may leave the version out.
        of("x-tc-version", "Version") or API_VERSION,
        _own(params),
        request_id,
        of("x-tc-region", "Region"),
        client=of("x-tc-requestclient", "RequestClient"),
        host=headers.get("host", ""),
    )


def _signed_v1(
    fields: dict[str, str], params: dict[str, Any], request_id: str, scheme: Scheme, host: str
) -> CloudRequest:
    """v1: only what the signature covers counts, so no header is looked at."""
    return CloudRequest(
        fields.get("Action", ""),
        fields.get("Version", ""),
        _own(params),
        request_id,
        fields.get("Region", ""),
        fields.get("Token", ""),
        fields.get("SecretId", ""),
        scheme,
        fields.get("Timestamp", ""),
        fields.get("RequestClient", ""),
        signed=fields,
        host=host,
    )


def _own(params: dict[str, Any]) -> dict[str, Any]:
    if COMMON.isdisjoint(params):
        return params
    return {key: value for key, value in params.items() if key not in COMMON}


def _v1_scheme(fields: dict[str, str]) -> Scheme:
    """HmacSHA1 is what no ``SignatureMethod`` means: the Serverless toolkit sends none."""
    if "Signature" not in fields:
        return Scheme.NONE
    method = fields.get("SignatureMethod", Scheme.HMAC_SHA1)
    if method not in (Scheme.HMAC_SHA1, Scheme.HMAC_SHA256):
        raise RequestError(
            f"the SignatureMethod {method!r} is not known: use HmacSHA1 or HmacSHA256",
            "AuthFailure.InvalidAuthorization",
        )
    return Scheme(method)


def _looks_like_json(body: Body) -> bool:
    return body[:64].lstrip()[:1] in (b"{", b"[")


def _json_object(body: Body) -> dict[str, Any]:
    try:
        value = from_json(body, cache_strings="keys")
    except ValueError:
        value = _json_of_any_kind(body)
    if not isinstance(value, dict):
        raise RequestError("the body is not a JSON object", "InvalidParameter")
    return value


def _json_of_any_kind(body: Body) -> Any:
    """What the fast parser refuses: half surrogate pairs, other encodings; or what is no JSON."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"the body is not JSON: {error}", "InvalidParameter") from error


def _text(body: Body) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise RequestError("the form is not UTF-8", "InvalidParameter") from error


def _pairs(text: str) -> list[tuple[str, str]]:
    if not text:
        return []
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise RequestError(f"the parameters cannot be read: {error}", "InvalidParameter") from error
