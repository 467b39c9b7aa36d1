"""Versions of functions, and the aliases that lead to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import Body, Query, Response
from pydantic import Field

from api.rest.catalog_views import AliasList, AliasView, Rule, VersionList, VersionView
from api.rest.forms import Strict, Text
from api.rest.locations import LOCATION, function_at
from api.rest.parameters import Namespace  # noqa: TC001 - FastAPI evaluates it
from api.rest.strict_route import rest_routes
from sandbox.functions.aliases import Routing
from sandbox.functions.routing import VersionMatch, VersionWeight

if TYPE_CHECKING:
    from fastapi import APIRouter

    from sandbox.functions.catalog import Catalog


class VersionFields(Strict):
    """A version that is to be published."""

    description: Text | None = Field(default=None, description="else that of `$LATEST`")


class Target(Strict):
    """Where an alias leads. Without ``weights`` and ``rules`` to one version only."""

    version: Text
    description: Text | None = None
    weights: dict[str, float] = Field(
        default={}, description="shares of the traffic, 0 to 1, by version"
    )
    rules: list[Rule] = Field(default=[])

    @property
    def routing(self) -> Routing:
        """As the service takes it."""
        return Routing(
            tuple(VersionWeight(version=v, weight=share) for v, share in self.weights.items()),
            tuple(VersionMatch.model_validate(rule.model_dump()) for rule in self.rules),
        )


class AliasFields(Target):
    """An alias that is to be made."""

    name: Text


def version_routes(catalog: Catalog) -> APIRouter:
    """The routes under ``/functions/{name}/versions`` and ``/functions/{name}/aliases``."""
    router = rest_routes("versions")
    versions, aliases = catalog.versions, catalog.aliases

    @router.get("/functions/{name}/versions", summary="List a function's versions")
    async def list_versions(name: str, namespace: Namespace = "default") -> VersionList:
        found = versions.list(namespace, name)
        return VersionList(versions=[VersionView.of(version) for version in found])

    @router.post("/functions/{name}/versions", status_code=201, summary="Publish a version")
    async def publish_version(
        response: Response,
        name: str,
        fields: Annotated[VersionFields, Body()],
        namespace: Namespace = "default",
    ) -> VersionView:
        """A copy of `$LATEST` that never changes. `-d '{}'` will do."""
        made = await versions.publish(namespace, name, fields.description)
        response.headers[LOCATION] = function_at(namespace, name, "versions", made.version)
        return VersionView.of(made)

    @router.get("/functions/{name}/versions/{version}", summary="Show a version")
    async def show_version(
        name: str, version: str, namespace: Namespace = "default"
    ) -> VersionView:
        return VersionView.of(catalog.functions.resolve(namespace, name, version)[1])

    @router.delete(
        "/functions/{name}/versions/{version}", status_code=204, summary="Delete a version"
    )
    async def delete_version(
        name: str,
        version: str,
        namespace: Namespace = "default",
        force: Annotated[bool, Query(description="end its running events too")] = False,
    ) -> None:
        await versions.delete(namespace, name, version, force=force)

    @router.get("/functions/{name}/aliases", summary="List a function's aliases")
    async def list_aliases(name: str, namespace: Namespace = "default") -> AliasList:
        found = aliases.list(namespace, name)
        return AliasList(aliases=[AliasView.of(alias) for alias in found])

    @router.post("/functions/{name}/aliases", status_code=201, summary="Make an alias")
    async def create_alias(
        response: Response,
        name: str,
        fields: Annotated[AliasFields, Body()],
        namespace: Namespace = "default",
    ) -> AliasView:
        """`-d '{"name": "live", "version": "1", "weights": {"2": 0.1}}'`"""
        made = await aliases.create(
            namespace, name, fields.name, fields.version, fields.routing, fields.description or ""
        )
        response.headers[LOCATION] = function_at(namespace, name, "aliases", made.name)
        return AliasView.of(made)

    @router.get("/functions/{name}/aliases/{alias}", summary="Show an alias")
    async def show_alias(name: str, alias: str, namespace: Namespace = "default") -> AliasView:
        return AliasView.of(aliases.get(namespace, name, alias))

    @router.put("/functions/{name}/aliases/{alias}", summary="Point an alias elsewhere")
    async def update_alias(
        name: str,
        alias: str,
        fields: Annotated[Target, Body()],
        namespace: Namespace = "default",
    ) -> AliasView:
        """Replaces where it leads. Without a description the old one stays."""
        made = await aliases.update(
            namespace, name, alias, fields.version, fields.routing, fields.description
        )
        return AliasView.of(made)

    @router.delete("/functions/{name}/aliases/{alias}", status_code=204, summary="Delete an alias")
    async def delete_alias(name: str, alias: str, namespace: Namespace = "default") -> None:
        """The version stays."""
        await aliases.delete(namespace, name, alias)

    return router
