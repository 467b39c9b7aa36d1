"""The cloud API in the control application: ``POST /`` and ``GET /``, as plain ASGI."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import RedirectResponse
from starlette.routing import Route

from api.cloud.wire import envelope
from api.cloud.wire.request import Body, RawRequest
from sandbox.clock import new_request_id

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

    from api.cloud.endpoint import CloudApi

#: A 50 MB zip in base64, with room for the rest of the request.
MAX_BODY_BYTES = 75 * 1024 * 1024


class CloudEndpoint:
    """Reads a request, lets the API answer it, sends the answer.

    A browser that opens ``/`` is sent to ``home``.
    """

    def __init__(
        self, api: CloudApi, home: str = "/docs", max_body_bytes: int = MAX_BODY_BYTES
    ) -> None:
        self._api = api
        self._home = home
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request: always 200, except for a browser that opens ``/``."""
        raw = RawRequest.build(scope["method"], scope["query_string"], scope["headers"], b"")
        if _is_browser(raw):
            await RedirectResponse(self._home, 307)(scope, receive, send)
            return
        body = await self._read(receive)
        if body is None:
            return
        if len(body) > self._max_body_bytes:
            answer = too_large(self._max_body_bytes)
        else:
            answer = await self._api.answer(RawRequest(raw.method, raw.query, raw.headers, body))
        headers = [
            (b"content-type", envelope.CONTENT_TYPE),
            (b"content-length", str(len(answer)).encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def _read(self, receive: Receive) -> Body | None:
        """The body, or None when the client went away.

        The rest of a body over the limit is read and dropped. A client that is cut off while it
        sends reports a broken connection instead of our answer.
        """
        message: Message = await receive()
        if message["type"] == "http.request" and not message.get("more_body", False):
            return message.get("body", b"")  # type: ignore[no-any-return]
        body = bytearray()
        while message["type"] == "http.request":
            if len(body) <= self._max_body_bytes:
                body += message.get("body", b"")
            if not message.get("more_body", False):
                return body
            message = await receive()
        return None


def too_large(max_body_bytes: int) -> bytes:
    """The answer to a request whose body is above the limit."""
    megabytes = max_body_bytes // (1024 * 1024)
    return envelope.encode(
        envelope.failure(
            "RequestSizeLimitExceeded",
            f"the request's body is above {megabytes} MB: a package may have 50 MB as a zip",
            new_request_id(),
        )
    )


def cloud_route(api: CloudApi, home: str = "/docs") -> Route:
    """The route to add to the application; it must come before any other for ``/``."""
    return Route("/", CloudEndpoint(api, home), methods=["GET", "POST"], include_in_schema=False)


def _is_browser(raw: RawRequest) -> bool:
    """Whether a person opened the address: the request wants a page and names no action."""
    return (
        raw.method in ("GET", "HEAD")
        and "text/html" in raw.headers.get("accept", "")
        and "Action=" not in raw.query
        and "x-tc-action" not in raw.headers
        and "authorization" not in raw.headers
    )
