"""Refuses foreign web pages at the control port and, with enforcement, clients without a key.

A page from anywhere can make a browser on this machine send requests to 127.0.0.1. Three headers
tell: ``Host`` (a name that an attacker points at 127.0.0.1), ``Sec-Fetch-Site`` (what kind of page
asks, when the browser trusts our address) and ``Origin`` (which page, for all but plain GET). What
then is left, a link in a mail or an image at http://0.0.0.0, is a mere address, and a browser's
address does no action. The cloud API checks its own signatures; plain REST takes HTTP Basic with
the same keys.

Pages of the origins that the user has named may call, by the rules of CORS.
"""

from __future__ import annotations

import base64
import hmac
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from starlette.middleware.cors import CORSMiddleware

from api.allowed_hosts import AllowedHosts, bare_name
from api.errors import error_response
from sandbox.clock import new_request_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp, Receive, Scope, Send

#: Paths that need no key: they show nothing of the functions.
OPEN = frozenset({"/", "/healthz", "/docs", "/openapi.json"})
#: The same by their beginning. A download's link has its own signature.
OPEN_PREFIXES = ("/docs/", "/downloads/")

#: What named pages may send, and read of an answer's head.
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
EXPOSED = (
    *("Location", "X-Scf-Request-Id", "X-Scf-Status", "X-Scf-Duration-Ms"),
    *("X-Scf-Bill-Duration-Ms", "X-Scf-Memory-Usage", "X-Scf-Cold-Start", "X-Scf-Init-Ms"),
    *("X-Scf-Instance", "X-Scf-Log"),
)

#: ``Sec-Fetch-Site`` of what our own pages ask for, and of what no page does: the user typed it, it
#: is a link in a mail, or where the server of either redirects to.
OWN_SITE, NO_SITE = b"same-origin", b"none"
#: How every browser's ``User-Agent`` begins. A page cannot change it.
BROWSER = b"Mozilla/"
#: A query of more fields is not looked through: nobody links to such a page.
MAX_FIELDS = 100


class Guard:
    """ASGI middleware around the whole control application.

    Plain REST needs one of ``credentials`` (SecretId to SecretKey) if they are not None. ``hosts``
    are the names of the sandbox. A request without a ``Host`` passes: every browser sends one.
    ``origins`` are those whose pages may call (``https://dev.example.com:8080``).
    """

    def __init__(
        self,
        app: ASGIApp,
        credentials: Mapping[str, str] | None,
        hosts: AllowedHosts | None = None,
        origins: tuple[str, ...] = (),
    ) -> None:
        self._app = app
        self._credentials = credentials
        self._hosts = hosts or AllowedHosts()
        self._origins = frozenset(origin.encode() for origin in origins)
        self._for_named_pages = CORSMiddleware(
            self._serve,
            allow_origins=origins,
            allow_methods=METHODS,
            allow_headers=("*",),
            expose_headers=EXPOSED,
            allow_private_network=True,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or pass it on to the application."""
        if self._origins and scope["type"] == "http" and self._is_of_a_named_page(scope):
            await self._for_named_pages(scope, receive, send)
        else:
            await self._serve(scope, receive, send)

    def _is_of_a_named_page(self, scope: Scope) -> bool:
        return any(name == b"origin" and value in self._origins for name, value in scope["headers"])

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            refusal = self._refusal(scope)
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        for name, value in scope["headers"]:
            if name == b"host" and not self._hosts.allows(value):
                return _foreign_name(bare_name(value))
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if headers.get(b"origin") not in self._origins and (refusal := _of_a_page(scope, headers)):
            return refusal
        path: str = scope["path"]
        if self._credentials is None or path in OPEN or path.startswith(OPEN_PREFIXES):
            return None
        if _basic_is_known(headers.get(b"authorization", b""), self._credentials):
            return None
        return error_response(
            401,
            "AuthFailure.SignatureFailure",
            "signatures are enforced: send a configured key, curl -u SecretId:SecretKey",
            new_request_id(),
            {"WWW-Authenticate": 'Basic realm="scf-sandbox"'},
        )


def _of_a_page(scope: Scope, headers: Mapping[bytes, bytes]) -> ASGIApp | None:
    """The refusal of what a page of somebody else's asks for."""
    site = headers.get(b"sec-fetch-site")
    if site not in (OWN_SITE, NO_SITE, None) and not _follows_a_link(scope, headers):
        return _foreign_page("another site")
    if _is_mere_address(site, headers) and _may_name_an_action(scope["query_string"]):
        return _action_by_address()
    origin = headers.get(b"origin")
    if origin is not None and not _is_our_own(origin, headers.get(b"host", b"")):
        return _foreign_page(origin[:100].decode("latin-1"))
    return None


def _foreign_name(name: str) -> ASGIApp:
    return error_response(
        403,
        "UnauthorizedOperation",
        f"this sandbox does not go by the name {name}: call it 127.0.0.1 or localhost, or, if the"
        f" name is yours, start it with SCF_ALLOWED_HOSTS={name}",
        new_request_id(),
    )


def _foreign_page(page: str) -> ASGIApp:
    return error_response(
        403,
        "UnauthorizedOperation",
        f"a page from {page} may not use this sandbox: open the sandbox's own pages, call it from a"
        " program, or, if the page is yours, name its origin when you start the sandbox:"
        " SCF_ALLOWED_ORIGINS=http://localhost:3000",
        new_request_id(),
    )


def _action_by_address() -> ASGIApp:
    return error_response(
        403,
        "UnauthorizedOperation",
        "an address that a browser opens does no action, since anyone can make it open one: call"
        " the sandbox from a program, such as curl, or use its page /docs",
        new_request_id(),
    )


def _is_mere_address(site: bytes | None, headers: Mapping[bytes, bytes]) -> bool:
    """Whether a browser asks and does not say for which page.

    It says nothing at all to an address that it does not trust: one of the local network, 0.0.0.0.
    """
    if site is None:
        return headers.get(b"user-agent", b"").startswith(BROWSER)
    return site == NO_SITE


def _follows_a_link(scope: Scope, headers: Mapping[bytes, bytes]) -> bool:
    """Whether the browser only opens one of our pages. The page it comes from cannot read ours.

    False if the request is an action of the cloud API, or if our page would be shown inside the
    other one.
    """
    return (
        scope["method"] == "GET"
        and headers.get(b"sec-fetch-mode") == b"navigate"
        and headers.get(b"sec-fetch-dest", b"document") == b"document"
        and b"x-tc-action" not in headers
        and not _may_name_an_action(scope["query_string"])
    )


def _may_name_an_action(query: bytes) -> bool:
    try:
        fields = parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        return True
    return any(name == b"Action" for name, _ in fields)


def _is_our_own(origin: bytes, host: bytes) -> bool:
    """Whether the page is of this server. The request's own name is compared, which was checked."""
    try:
        page = urlsplit(origin.decode("ascii"))
    except ValueError:
        return False
    return page.scheme in ("http", "https") and page.netloc.encode() == host.lower()


def _basic_is_known(authorization: bytes, credentials: Mapping[str, str]) -> bool:
    kind, _, encoded = authorization.partition(b" ")
    if kind.lower() != b"basic":
        return False
    try:
        name, _, key = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return False
    expected = credentials.get(name)
    return expected is not None and hmac.compare_digest(expected.encode(), key.encode())
