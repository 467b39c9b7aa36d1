"""Namespaces, and the memory that their functions share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import Body, Response

from api.rest.catalog_views import NamespaceList, NamespaceView
from api.rest.forms import Strict, Text
from api.rest.locations import LOCATION, at
from api.rest.parameters import Whole  # noqa: TC001 - pydantic evaluates it
from api.rest.strict_route import rest_routes
from sandbox.errors import NotFoundError, ResourceNotFound

if TYPE_CHECKING:
    from fastapi import APIRouter

    from sandbox.functions.catalog import Catalog
    from sandbox.functions.namespaces import Namespaces


class NamespaceChange(Strict):
    """Those not given stay as they are."""

    description: Text | None = None
    memory: Whole | None = None


class NamespaceFields(Strict):
    """A namespace that is to be made."""

    name: Text
    description: Text = ""


def namespace_routes(catalog: Catalog) -> APIRouter:
    """The routes under ``/namespaces``."""
    router = rest_routes("namespaces")
    namespaces = catalog.namespaces

    @router.get("/namespaces", summary="List the namespaces")
    async def list_namespaces() -> NamespaceList:
        found = namespaces.all()
        return NamespaceList(namespaces=[NamespaceView.of(namespace) for namespace in found])

    @router.post("/namespaces", status_code=201, summary="Make a namespace")
    async def create_namespace(
        response: Response, fields: Annotated[NamespaceFields, Body()]
    ) -> NamespaceView:
        made = await namespaces.create(fields.name, fields.description)
        response.headers[LOCATION] = at("namespaces", made.name)
        return NamespaceView.of(made)

    @router.get("/namespaces/{name}", summary="Show a namespace")
    async def show_namespace(name: str) -> NamespaceView:
        return _view(namespaces, name)

    @router.patch("/namespaces/{name}", summary="Change a namespace")
    async def update_namespace(
        name: str, fields: Annotated[NamespaceChange, Body()]
    ) -> NamespaceView:
        """`memory` is what all its functions may use together, MB."""
        _view(namespaces, name)
        if fields.memory is not None:
            await catalog.concurrency.set_total(name, fields.memory)
        if fields.description is not None:
            await namespaces.update(name, fields.description)
        return _view(namespaces, name)

    @router.delete("/namespaces/{name}", status_code=204, summary="Delete a namespace")
    async def delete_namespace(name: str) -> None:
        """It must be empty."""
        await namespaces.delete(name)

    return router


def _view(namespaces: Namespaces, name: str) -> NamespaceView:
    for namespace in namespaces.all():
        if namespace.name == name:
            return NamespaceView.of(namespace)
    raise NotFoundError(
        f"there is no namespace {name}: GET /namespaces lists them", ResourceNotFound.NAMESPACE
    )
