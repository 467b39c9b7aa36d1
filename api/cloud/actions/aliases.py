"""Actions on aliases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.cloud.actions.base import modelled
from api.cloud.models.versions import (
    CreateAliasRequest,
    DeleteAliasRequest,
    GetAliasRequest,
    ListAliasesRequest,
    UpdateAliasRequest,
)
from api.cloud.paging import page_of
from api.cloud.times import to_text
from sandbox.errors import RequestError
from sandbox.functions.aliases import Routing
from sandbox.functions.model import DEFAULT_NAMESPACE
from sandbox.functions.routing import VersionMatch, VersionWeight

if TYPE_CHECKING:
    from api.cloud.actions.base import Action, Fields
    from api.cloud.models.versions import RoutingConfigPart
    from sandbox.functions.aliases import AliasService
    from sandbox.functions.routing import Alias


class AliasActions:
    """Makes, shows, changes and deletes aliases."""

    def __init__(self, aliases: AliasService) -> None:
        self._aliases = aliases

    def actions(self) -> dict[str, Action]:
        """The actions of this theme, by name."""
        return {
            "CreateAlias": modelled(CreateAliasRequest, self.create),
            "GetAlias": modelled(GetAliasRequest, self.get),
            "ListAliases": modelled(ListAliasesRequest, self.list),
            "UpdateAlias": modelled(UpdateAliasRequest, self.update),
            "DeleteAlias": modelled(DeleteAliasRequest, self.delete),
        }

    async def create(self, request: CreateAliasRequest) -> Fields:
        """Names a version."""
        await self._aliases.create(
            request.Namespace or DEFAULT_NAMESPACE,
            request.FunctionName,
            request.Name,
            request.FunctionVersion,
            _routing(request.RoutingConfig),
            request.Description or "",
        )
        return {}

    async def get(self, request: GetAliasRequest) -> Fields:
        """One alias. ``$DEFAULT`` always exists."""
        alias = self._aliases.get(
            request.Namespace or DEFAULT_NAMESPACE, request.FunctionName, request.Name
        )
        return alias_item(alias)

    async def list(self, request: ListAliasesRequest) -> Fields:
        """A page of a function's aliases. With ``FunctionVersion``, only those that lead to that
        version."""
        aliases = self._aliases.list(
            request.Namespace or DEFAULT_NAMESPACE,
            request.FunctionName,
            request.FunctionVersion or "",
        )
        page = page_of(aliases, _number("Offset", request.Offset), _number("Limit", request.Limit))
        return {"Aliases": [alias_item(alias) for alias in page], "TotalCount": len(aliases)}

    async def update(self, request: UpdateAliasRequest) -> Fields:
        """Points an alias elsewhere. Without ``RoutingConfig`` it leads to one version only."""
        await self._aliases.update(
            request.Namespace or DEFAULT_NAMESPACE,
            request.FunctionName,
            request.Name,
            request.FunctionVersion,
            _routing(request.RoutingConfig),
            request.Description,
        )
        return {}

    async def delete(self, request: DeleteAliasRequest) -> Fields:
        """Deletes an alias; the version stays."""
        await self._aliases.delete(
            request.Namespace or DEFAULT_NAMESPACE, request.FunctionName, request.Name
        )
        return {}


def alias_item(alias: Alias) -> Fields:
    """An alias as the API shows it."""
    return {
        "FunctionVersion": alias.version,
        "Name": alias.name,
        "RoutingConfig": {
            "AdditionalVersionWeights": [
                {"Version": share.version, "Weight": share.weight} for share in alias.weights
            ],
            "AddtionVersionMatchs": [
                {
                    "Version": rule.version,
                    "Key": rule.key,
                    "Method": rule.method,
                    "Expression": rule.expression,
                }
                for rule in alias.matches
            ],
        },
        "Description": alias.description,
        "AddTime": to_text(alias.created_at),
        "ModTime": to_text(alias.modified_at),
    }


def _routing(given: RoutingConfigPart | None) -> Routing:
    if given is None:
        return Routing()
    weights, matches = given.AdditionalVersionWeights or [], given.AddtionVersionMatchs or []
    return Routing(
        tuple(VersionWeight(version=share.Version, weight=share.Weight) for share in weights),
        tuple(
            VersionMatch(
                version=rule.Version,
                key=rule.Key,
                method=rule.Method,
                expression=rule.Expression,
            )
            for rule in matches
        ),
    )


def _number(name: str, text: str | None) -> int | None:
    """``Offset`` and ``Limit`` are texts here, and only here."""
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise RequestError(f"{name} {text[:80]!r} is not a number")
    return int(text)
