"""Plain REST, for curl and scripts, with an OpenAPI page at ``/docs``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.rest.concurrency import concurrency_routes
from api.rest.dead_letters import dead_letter_routes
from api.rest.docs_page import install_docs
from api.rest.errors import install_error_handlers
from api.rest.feed import feed_routes
from api.rest.functions import function_routes
from api.rest.invoke import invoke_routes
from api.rest.layers import layer_routes
from api.rest.namespaces import namespace_routes
from api.rest.records import record_routes
from api.rest.services import Health, Services
from api.rest.system import system_routes
from api.rest.versions import version_routes

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.routing import BaseRoute

__all__ = ["Health", "Services", "install_rest"]

TAGS = [
    {"name": "functions", "description": "Create, change, look at and delete functions."},
    {"name": "invocations", "description": "Run functions; their records and logs."},
    {"name": "versions", "description": "Publish versions; aliases that lead to them."},
    {"name": "concurrency", "description": "What a function may use, and how it tries again."},
    {"name": "layers", "description": "Packages that functions share."},
    {"name": "namespaces", "description": "Each holds functions of its own."},
    {"name": "dead letters", "description": "Asynchronous events that were given up."},
    {"name": "system", "description": "Instances, what happens, health and figures."},
]


def rest_route_table(services: Services) -> list[BaseRoute]:
    """All routes of plain REST, none within another, so that each can be asked what it takes."""
    return [
        route
        for routes in (
            invoke_routes,
            function_routes,
            record_routes,
            dead_letter_routes,
            system_routes,
            feed_routes,
        )
        for route in routes(services).routes
    ] + _catalog_routes(services)


def _catalog_routes(services: Services) -> list[BaseRoute]:
    if services.catalog is None:
        return []
    kinds = (version_routes, concurrency_routes, layer_routes, namespace_routes)
    return [route for routes in kinds for route in routes(services.catalog).routes]


def install_rest(app: FastAPI, services: Services) -> None:
    """The routes, the error handlers and the ``/docs`` page. Call it once per application."""
    app.openapi_tags = [*(app.openapi_tags or []), *TAGS]
    app.router.routes += rest_route_table(services)
    install_error_handlers(app)
    install_docs(app)
