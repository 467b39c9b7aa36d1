"""Routes that refuse the query parameters and form fields which they do not have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from fastapi import params
from fastapi.routing import APIRoute

from sandbox.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from starlette.requests import Request
    from starlette.responses import Response

#: How much of a wrong name an answer shows.
NAME_SHOWN = 80


class StrictRoute(APIRoute):
    """A route of plain REST that drops nothing: a name which it does not have is misspelt.

    The answer is 400 ``InvalidParameterValue``, and tells the names that the route has. A GET
    without any parameter takes all: probes add their own.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The framework's own handler, behind the check."""
        handle = super().get_route_handler()
        queries = [field.alias for field in self.dependant.query_params]
        forms = [
            field.alias
            for field in self.dependant.body_params
            if isinstance(field.field_info, params.Form)
        ]
        if not queries and not forms and "GET" in (self.methods or ()):
            return handle
        known = f"query parameters: {', '.join(queries) or 'none'}"
        if forms:
            known = f"form fields (-F): {', '.join(forms)}; {known}"

        async def checked(request: Request) -> Response:
            text: bytes = request.scope["query_string"]
            if text:
                given = parse_qsl(text.decode("latin-1"), keep_blank_values=True)
                _check(request, "query parameter", (name for name, _ in given), queries, known)
            if forms:
                # The request keeps its form, so the handler gets the same.
                form = await request.form()
                try:
                    _check(request, "form field", form, forms, known)
                except RequestError:
                    await form.close()
                    raise
            return await handle(request)

        return checked


def _check(request: Request, kind: str, given: Iterable[str], own: list[str], known: str) -> None:
    for name in given:
        if name not in own:
            raise RequestError(
                f"{request.method} {request.url.path} has no {kind} {name[:NAME_SHOWN]!r}; it has"
                f" {known}",
                "InvalidParameterValue",
            )
