"""Layers: publish, look at, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import File, Form, Path, Response, UploadFile

from api.rest.catalog_views import LayerVersionList, LayerVersionView
from api.rest.forms import read_zip
from api.rest.locations import LOCATION, at
from api.rest.strict_route import rest_routes
from sandbox.functions.layers import LayerContents
from sandbox.functions.model import CUSTOM_RUNTIME
from sandbox.limits import INTEGER_MAX

if TYPE_CHECKING:
    from fastapi import APIRouter

    from sandbox.functions.catalog import Catalog

Code = Annotated[UploadFile, File(description="a zip, which instances have below `/opt`")]
Number = Annotated[int, Path(ge=1, le=INTEGER_MAX)]


def layer_routes(catalog: Catalog) -> APIRouter:
    """The routes under ``/layers``."""
    router = rest_routes("layers")
    layers, service = catalog.layers, catalog.layer_service

    @router.get("/layers", summary="List the layers")
    async def list_layers() -> LayerVersionList:
        """The newest version of each, by name."""
        return LayerVersionList.newest(layers.all())

    @router.post("/layers/{name}/versions", status_code=201, summary="Publish a layer's version")
    async def publish_layer(
        response: Response,
        name: str,
        code: Code,
        runtimes: Annotated[list[str] | None, Form(description="CustomRuntime if none")] = None,
        description: Annotated[str, Form()] = "",
        license: Annotated[str, Form()] = "",
    ) -> LayerVersionView:
        """`curl -F code=@python.zip http://127.0.0.1:9000/layers/python/versions`

        The first version makes the layer.
        """
        contents = LayerContents(runtimes or (CUSTOM_RUNTIME,), description, license)
        made = await service.publish(name, await read_zip(code), contents)
        response.headers[LOCATION] = at("layers", name, "versions", str(made.version))
        return LayerVersionView.of(name, made)

    @router.get("/layers/{name}/versions", summary="List a layer's versions")
    async def list_layer_versions(name: str) -> LayerVersionList:
        found = layers.get(name).versions
        return LayerVersionList(
            versions=[LayerVersionView.of(name, found[n]) for n in sorted(found, reverse=True)]
        )

    @router.get("/layers/{name}/versions/{version}", summary="Show a layer's version")
    async def show_layer_version(name: str, version: Number) -> LayerVersionView:
        return LayerVersionView.of(name, layers.version(name, version))

    @router.delete(
        "/layers/{name}/versions/{version}", status_code=204, summary="Delete a layer's version"
    )
    async def delete_layer_version(name: str, version: Number) -> None:
        """Not while a function uses it."""
        await service.delete(name, version)

    return router
