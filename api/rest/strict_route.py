"""Routes that refuse what they would drop, and answer HEAD where they answer GET."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, params
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from api.rest.errors import ERROR_RESPONSES
from sandbox.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

#: How much of a wrong name an answer shows.
NAME_SHOWN = 80
FORM_TYPE, MULTIPART_TYPE = "application/x-www-form-urlencoded", "multipart/form-data"


class StrictRoute(APIRoute):
    """A route of plain REST that drops nothing: a name which it does not have is misspelt.

    The answer is 400 ``InvalidParameterValue``, and tells the names that the route has. A GET
    without any parameter takes all: probes add their own. A body of another kind than the route's
    is 415, with what to send. HEAD is answered as GET is, without the body.
    """

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """The framework's own answer, but HEAD is for whoever takes GET."""
        match, child = super().matches(scope)
        if match is Match.PARTIAL and self._is_head(scope):
            match = Match.FULL
        return match, child

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the endpoint, for HEAD too."""
        if self._is_head(scope):
            await self.app(scope, receive, send)
        else:
            await super().handle(scope, receive, send)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The framework's own handler, behind the checks."""
        handle = super().get_route_handler()
        queries = [field.alias for field in self.dependant.query_params]
        forms = [
            field.alias
            for field in self.dependant.body_params
            if isinstance(field.field_info, params.Form)
        ]
        takes_all = not queries and not forms and "GET" in (self.methods or ())
        known = f"query parameters: {', '.join(queries) or 'none'}"
        if forms:
            known = f"form fields (-F): {', '.join(forms)}; {known}"

        async def checked(request: Request) -> Response:
            text: bytes = request.scope["query_string"]
            if text and not takes_all:
                given = parse_qsl(text.decode("latin-1"), keep_blank_values=True)
                _check(request, "query parameter", (name for name, _ in given), queries, known)
            if self.dependant.body_params:
                await self._check_kind(request, is_form=bool(forms))
            if forms:
                # The request keeps its form, so the handler gets the same.
                form = await request.form()
                try:
                    _check(request, "form field", form, forms, known)
                except RequestError:
                    await form.close()
                    raise
            response = await handle(request)
            return _bodiless(response) if request.method == "HEAD" else response

        return checked

    def _is_head(self, scope: Scope) -> bool:
        return scope["method"] == "HEAD" and "GET" in (self.methods or ())

    async def _check_kind(self, request: Request, *, is_form: bool) -> None:
        """415 for a body that is no form, or no JSON. JSON needs no Content-Type."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if not is_form:
            if kind not in ("", "application/json") and not kind.endswith("+json"):
                raise HTTPException(415, f"{_shown_kind(kind)}; send {self._json_to_send()}")
            return
        if kind == FORM_TYPE:
            # curl sends data of any kind under this type.
            body = await request.body()
            if body[:2] != b"PK" and body[:1] not in (b"{", b"["):
                return
        elif kind == MULTIPART_TYPE:
            return
        raise HTTPException(415, f"{_shown_kind(kind)}; send {self._form_to_send()}")

    def _form_to_send(self) -> str:
        fields = []
        for field in self.dependant.body_params:
            if field.field_info.is_required():
                is_file = isinstance(field.field_info, params.File)
                fields.append(f"-F {field.alias}={'@demo.zip' if is_file else '...'}")
        return f"a form, with curl {' '.join(fields)}"

    def _json_to_send(self) -> str:
        [field] = self.dependant.body_params
        config = getattr(field.field_info.annotation, "model_config", {})
        example = (config.get("json_schema_extra") or {}).get("example", {})
        return (
            "JSON, with curl -H 'Content-Type: application/json'"
            f" -d '{json.dumps(example, ensure_ascii=False)}'"
        )


def rest_routes(tag: str) -> APIRouter:
    """A router of plain REST, whose routes are under ``tag`` in the OpenAPI document.

    A route's operation id is its function's name, so that name is part of the interface.
    """
    return APIRouter(
        tags=[tag],
        route_class=StrictRoute,
        responses=ERROR_RESPONSES,
        strict_content_type=False,
        generate_unique_id_function=lambda route: route.name,
    )


def _bodiless(response: Response) -> Response:
    """The same answer without its body. A stream is not begun."""
    bare = Response(status_code=response.status_code)
    bare.raw_headers = response.raw_headers
    return bare


def _shown_kind(kind: str) -> str:
    return f"the body's Content-Type is {kind[:NAME_SHOWN] or 'missing'}, which is not taken here"


def _check(request: Request, kind: str, given: Iterable[str], own: list[str], known: str) -> None:
    for name in given:
        if name not in own:
            raise RequestError(
                f"{request.method} {request.scope['path']} has no {kind} {name[:NAME_SHOWN]!r}; it"
                f" has {known}",
                "InvalidParameterValue",
            )
