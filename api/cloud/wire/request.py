"""A request to the cloud API, raw and as a call."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: A large body comes as a bytearray.
Body = bytes | bytearray

#: The one version of the SCF API.
API_VERSION = "2018-04-16"


class Scheme(StrEnum):
    """How a request is signed. ``NONE`` carries no signature at all (``curl``)."""

    TC3 = "TC3-HMAC-SHA256"
    HMAC_SHA1 = "HmacSHA1"
    HMAC_SHA256 = "HmacSHA256"
    SKIP = "SKIP"
    NONE = ""


# Not frozen, for speed: every invocation makes one of each.


@dataclass(slots=True)
class RawRequest:
    """A request as it came, unchecked. Never changed.

    ``query`` is the query string exactly as received, without its ``?``: signatures cover that.
    ``headers`` has lower-case names. The last of repeated headers counts.
    """

    method: str
    query: str
    headers: Mapping[str, str]
    body: Body

    @classmethod
    def build(
        cls, method: str, query: bytes, headers: Iterable[tuple[bytes, bytes]], body: Body
    ) -> RawRequest:
        """From what an ASGI server hands over."""
        return cls(method, query.decode("latin-1"), named(headers), body)


def named(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """As ``RawRequest.headers`` has them."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}


@dataclass(slots=True)
class CloudRequest:
    """One call: which action, with which parameters. Never changed.

    ``params`` holds business parameters only: decoded JSON, or for forms and queries nested
    dictionaries and lists of strings. ``body`` is filled for octet-stream requests, whose
    parameters are not in the body. ``timestamp`` is the client's, as text. ``request_id`` is ours.
    ``host`` is the client's ``Host`` header, maybe with the scheme.
    """

    action: str
    version: str
    params: dict[str, Any]
    request_id: str = ""
    region: str = ""
    token: str = ""
    secret_id: str = ""
    scheme: Scheme = Scheme.NONE
    timestamp: str = ""
    client: str = ""
    body: bytes = b""
    #: The decoded parameters that a v1 signature covers. Empty for other schemes.
    signed: Mapping[str, str] = field(default_factory=dict)
    host: str = ""
