"""Finds what carries a request's parameters. Each carrier has one decoder.

The ``Authorization`` header and the body's bytes decide the carrier. ``Content-Type`` alone does
not: one client labels its forms as JSON, another sends no type.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import parse_qsl

from pydantic_core import from_json

from api.cloud.wire.flat import unflatten
from api.cloud.wire.multipart import parse_multipart
from sandbox.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from api.cloud.wire.request import Body, RawRequest

FORM_TYPE = "application/x-www-form-urlencoded"
#: More fields than any request has, fewer than would take noticeable time.
MAX_FIELDS = 20_000

#: The parameters of a request, nested, and then by the dotted names of a query or form. The v1
#: signature covers the dotted ones. Other carriers have none of these.
Decoded: TypeAlias = "tuple[dict[str, Any], Mapping[str, str]]"


@dataclass(frozen=True, slots=True, eq=False)
class Carrier:
    """Where the parameters of an action are, and how to read them.

    ``decode`` raises ``InvalidParameter`` (``InvalidRequest`` for multipart) if it cannot read
    them.
    """

    decode: Callable[[RawRequest], Decoded]


def carrier_of(raw: RawRequest, authorized: bool) -> Carrier:
    """Choose the carrier of a request. ``authorized``: it has an ``Authorization`` header.

    Only authorized clients send octets. If a body does not look like JSON, their Content-Type
    decides. The body of an unauthorized client is then a form, whatever its Content-Type.
    """
    if raw.method == "GET":
        return QUERY
    kind = raw.headers.get("content-type", "")
    if kind.startswith("multipart/form-data"):
        return MULTIPART
    if authorized and kind.startswith("application/octet-stream"):
        return OCTETS
    return _of_body(raw.body, FORM if not authorized or kind.startswith(FORM_TYPE) else JSON)


def _of_body(body: Body, otherwise: Carrier) -> Carrier:
    if body[:1] == b"{" or body[:64].lstrip()[:1] in (b"{", b"["):
        return JSON
    if not body or body.isspace():
        return NOTHING
    return otherwise


def pairs(text: str) -> dict[str, str]:
    """The fields of a query string or form. The last of repeated fields counts.

    Raises ``InvalidParameter`` for text that is not UTF-8, and for too many fields.
    """
    if not text:
        return {}
    try:
        return dict(
            parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
        )
    except ValueError as error:
        raise RequestError(f"the parameters cannot be read: {error}", "InvalidParameter") from error


def _query(raw: RawRequest) -> Decoded:
    return _flat(raw.query)


def _form(raw: RawRequest) -> Decoded:
    try:
        text = raw.body.decode()
    except UnicodeDecodeError as error:
        raise RequestError("the form is not UTF-8: encode it so", "InvalidParameter") from error
    return _flat(text)


def _flat(text: str) -> Decoded:
    fields = pairs(text)
    return unflatten(fields.items()), fields


def _multipart(raw: RawRequest) -> Decoded:
    return parse_multipart(bytes(raw.body), raw.headers.get("content-type", "")), {}


def _json(raw: RawRequest) -> Decoded:
    try:
        value = from_json(raw.body, cache_strings="keys")
    except ValueError:
        value = _json_of_any_kind(raw.body)
    if not isinstance(value, dict):
        raise RequestError("the body is not a JSON object: send one", "InvalidParameter")
    return value, {}


def _json_of_any_kind(body: Body) -> Any:
    """Read JSON that the fast parser refuses: half surrogate pairs, other encodings."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"the body is not JSON: {error}", "InvalidParameter") from error


def _nothing(_raw: RawRequest) -> Decoded:
    return {}, {}


QUERY = Carrier(_query)
JSON = Carrier(_json)
FORM = Carrier(_form)
MULTIPART = Carrier(_multipart)
#: The body is data, and the parameters are the client's own headers, which no action reads.
OCTETS = Carrier(_nothing)
#: The body is empty or white space.
NOTHING = Carrier(_nothing)
