"""A request to the cloud API: as it came over the wire, and as it is understood."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: A large one comes in a bytearray.
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


# Not frozen, for speed: there is one of each for every invocation.


@dataclass(slots=True)
class RawRequest:
    """What came over the wire, before anything is believed. Never changed.

    ``query`` is the query string exactly as received (signatures cover it so), without its ``?``.
    ``headers`` has lower-case names; of a repeated header the last one counts.
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
        named = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}
        return cls(method, query.decode("latin-1"), named, body)


@dataclass(slots=True)
class CloudRequest:
    """One call: which action, with which parameters. Never changed.

    ``params`` holds business parameters only: decoded JSON, or for forms and queries nested
    dictionaries and lists of strings. ``body`` is filled for octet-stream requests, whose
    parameters are not in the body. ``timestamp`` is the client's, as text. ``request_id`` is ours.
    ``host`` is what the client calls this server (its ``Host`` header), maybe with the scheme.
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
    #: The v1 parameters that the signature covers, as decoded: empty for every other scheme.
    signed: Mapping[str, str] = field(default_factory=dict)
    host: str = ""
