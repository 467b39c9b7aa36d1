"""The OpenAPI page. All of it comes from this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from starlette.staticfiles import StaticFiles
from swagger_ui_bundle import swagger_ui_path

from api.rest.strict_route import StrictRoute

if TYPE_CHECKING:
    import os

    from fastapi import FastAPI
    from starlette.responses import Response

#: With enforced signatures plain REST takes the same keys by HTTP Basic.
SECURITY_SCHEMES = {
    "keys": {
        "type": "http",
        "scheme": "basic",
        "description": "SecretId and SecretKey of SCF_CREDENTIALS. Needed only where signatures are"
        " enforced.",
    }
}
#: No key, or a key.
SECURITY: list[dict[str, list[str]]] = [{}, {"keys": []}]

#: The bundled page reads OpenAPI 3.0, not 3.1.
OPENAPI_VERSION = "3.0.3"

STATIC = "/docs/static"
#: Within a page of its own, another site could have the user press our buttons unawares.
NO_FRAME = "frame-ancestors 'none'"
FILES = frozenset({"swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png"})


def install_docs(app: FastAPI) -> None:
    """Add ``/docs`` and its files, and write ``/openapi.json`` in the page's OpenAPI version.

    The application must have been made with ``docs_url=None``.
    """

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            written = _as_3_0(
                get_openapi(
                    title=app.title,
                    version=app.version,
                    openapi_version=OPENAPI_VERSION,
                    summary=None,  # a field of 3.1
                    description=app.description or app.summary,
                    routes=app.routes,
                    tags=app.openapi_tags,
                )
            )
            written["components"]["securitySchemes"] = SECURITY_SCHEMES
            app.openapi_schema = {**written, "security": SECURITY}
        return app.openapi_schema

    async def page() -> Response:
        response = get_swagger_ui_html(
            openapi_url="/openapi.json",
            title=app.title,
            swagger_js_url=f"{STATIC}/swagger-ui-bundle.js",
            swagger_css_url=f"{STATIC}/swagger-ui.css",
            swagger_favicon_url=f"{STATIC}/favicon-32x32.png",
            # The page would send documents of other hosts than localhost to a public validator.
            swagger_ui_parameters={"validatorUrl": None, "displayRequestDuration": True},
        )
        response.headers["Content-Security-Policy"] = NO_FRAME
        return response

    app.openapi = document  # type: ignore[method-assign]
    app.mount(STATIC, _PageFiles(directory=swagger_ui_path), name="docs-static")
    app.router.routes.append(StrictRoute("/docs", page, include_in_schema=False))


class _PageFiles(StaticFiles):
    """Only the files that the page uses: the bundle's sample page names an outside host."""

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        return super().lookup_path(path) if path in FILES else ("", None)


def _as_3_0(node: Any) -> Any:
    """A schema of OpenAPI 3.1 written in 3.0: nullable types and binary strings."""
    if isinstance(node, list):
        return [_as_3_0(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: _as_3_0(value) for key, value in node.items()}
    if node.get("contentMediaType") == "application/octet-stream":
        del node["contentMediaType"]
        node["format"] = "binary"
    choices = node.get("anyOf")
    if isinstance(choices, list) and {"type": "null"} in choices:
        rest = [choice for choice in choices if choice != {"type": "null"}]
        del node["anyOf"]
        # OpenAPI 3.0 allows nothing beside a $ref, so this stays a list of one.
        plain = len(rest) == 1 and "$ref" not in rest[0]
        node |= {"nullable": True} | (rest[0] if plain else {"anyOf": rest})
    return node
