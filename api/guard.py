"""Who may use the control port: no foreign web page, and with enforcement only who has a key.

A page from anywhere can make a browser on this machine send requests to 127.0.0.1. Browsers say
where such a request comes from (``Origin``); a name that an attacker points at 127.0.0.1 shows in
``Host``. The cloud API checks its own signatures; plain REST takes HTTP Basic with the same keys.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from api.errors import error_response
from sandbox.clock import new_request_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp, Receive, Scope, Send

#: Paths that need no key: they tell nothing of the functions.
OPEN = frozenset({"/", "/healthz", "/docs", "/openapi.json"})
#: The first tells nothing, the second is asked for with a signature of its own.
OPEN_PREFIXES = ("/docs/", "/downloads/")


class Guard:
    """ASGI middleware around the whole control application.

    ``credentials`` (SecretId to SecretKey) are asked for on plain REST when they are not None.
    """

    def __init__(self, app: ASGIApp, credentials: Mapping[str, str] | None) -> None:
        self._app = app
        self._credentials = credentials

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or pass it on to the application."""
        if scope["type"] == "http":
            headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
            refusal = self._refusal(scope["path"], headers)
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, path: str, headers: Mapping[bytes, str]) -> ASGIApp | None:
        origin = headers.get(b"origin")
        if origin is not None and not _is_our_own(origin, headers.get(b"host", "")):
            return error_response(
                403,
                "UnauthorizedOperation",
                f"a page from {origin[:100]} may not use this sandbox",
                new_request_id(),
            )
        if self._credentials is None or path in OPEN or path.startswith(OPEN_PREFIXES):
            return None
        if _basic_is_known(headers.get(b"authorization", ""), self._credentials):
            return None
        return error_response(
            401,
            "AuthFailure.SignatureFailure",
            "signatures are enforced: send a configured key, curl -u SecretId:SecretKey",
            new_request_id(),
            {"WWW-Authenticate": 'Basic realm="scf-sandbox"'},
        )


def _is_our_own(origin: str, host: str) -> bool:
    """A page of this very server, under a name that nobody outside can have chosen."""
    page = urlsplit(origin)
    if page.netloc != host:
        return False
    name = page.hostname or ""
    if "." not in name or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _basic_is_known(authorization: str, credentials: Mapping[str, str]) -> bool:
    kind, _, encoded = authorization.partition(" ")
    if kind.lower() != "basic":
        return False
    try:
        name, _, key = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return False
    expected = credentials.get(name)
    return expected is not None and hmac.compare_digest(expected.encode(), key.encode())
