"""Links to packages. A link works for a limited time, for everyone who has it."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from starlette.responses import Response
from starlette.routing import Route

from api.errors import error_response
from sandbox.clock import new_request_id
from sandbox.errors import PlatformError

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.clock import Clock
    from sandbox.packages.package import PackageStore

PREFIX = "/downloads/"
#: How long a link works, seconds.
VALID_S = 600


class Downloads:
    """Makes links to packages, and answers them.

    A key of this process signs the link. So it works for one package, and not after the process's
    end.
    """

    def __init__(self, packages: PackageStore, clock: Clock, valid_s: int = VALID_S) -> None:
        self._packages = packages
        self._clock = clock
        self._valid_s = valid_s
        self._key = secrets.token_bytes(32)

    def url(self, host: str, name: str, digest: str) -> str:
        """A link to a package, under a file name. ``host`` is the client's ``Host`` header. Some
        clients send it with the scheme."""
        expires = str(int(self._clock.now()) + self._valid_s)
        query = {"expires": expires, "signature": self._signature(digest, expires)}
        base = host if "://" in host else f"http://{host}"
        return f"{base}{PREFIX}{digest}/{quote(name)}.zip?{urlencode(query)}"

    def route(self) -> Route:
        """The route of the links in the control application."""
        return Route(PREFIX + "{digest}/{name}", self.answer, methods=["GET"])

    async def answer(self, request: Request) -> Response:
        """The zip as it was uploaded. 403 if the link has expired or was changed, 404 if the
        package is gone."""
        digest, query = request.path_params["digest"], request.query_params
        expires, signature = query.get("expires", ""), query.get("signature", "")
        expected = self._signature(digest, expires)
        if not hmac.compare_digest(expected.encode(), signature.encode()):
            return _refused(
                403, "AuthFailure.SignatureFailure", "this link is not valid: ask for a new one"
            )
        if int(expires) < self._clock.now():
            return _refused(
                403, "AuthFailure.SignatureExpire", "this link has expired: ask for a new one"
            )
        try:
            data = await asyncio.to_thread(self._packages.read, digest)
        except PlatformError:
            message = "this package was deleted or replaced: ask for a link to the present one"
            return _refused(404, "ResourceNotFound", message)
        disposition = f"attachment; filename*=UTF-8''{quote(request.path_params['name'])}"
        return Response(
            data, media_type="application/zip", headers={"content-disposition": disposition}
        )

    def _signature(self, digest: str, expires: str) -> str:
        text = f"{digest}:{expires}".encode()
        return hmac.new(self._key, text, hashlib.sha256).hexdigest()


def _refused(status: int, code: str, message: str) -> Response:
    return error_response(status, code, message, new_request_id())
