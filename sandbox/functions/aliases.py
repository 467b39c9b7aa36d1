"""Aliases: names that lead to versions, and the rules on where they may lead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.errors import (
    ConflictError,
    FailedOperation,
    InvalidParameter,
    InvalidParameterValue,
    LimitError,
    LimitExceeded,
    NotFoundError,
    RequestError,
    ResourceInUse,
    ResourceNotFound,
)
from sandbox.functions import rules
from sandbox.functions.model import DEFAULT_ALIAS, LATEST
from sandbox.functions.routing import (
    EXACT,
    HEADER_PREFIX,
    RANGE,
    Alias,
    Interval,
    VersionMatch,
    VersionWeight,
)

if TYPE_CHECKING:
    from sandbox.clock import Clock
    from sandbox.errors import Code
    from sandbox.functions.model import Function
    from sandbox.functions.registry import FunctionRegistry

#: Our own bound: the platform documents none.
MAX_ALIASES = 1000


@dataclass(frozen=True, slots=True)
class Routing:
    """Where an alias leads beside its main version: shares of the traffic, or rules."""

    weights: tuple[VersionWeight, ...] = ()
    matches: tuple[VersionMatch, ...] = ()


class AliasService:
    """Makes, changes and deletes the aliases of functions. The cloud API calls it."""

    def __init__(self, registry: FunctionRegistry, clock: Clock) -> None:
        """Aliases are saved with their function, in ``registry``."""
        self._registry = registry
        self._clock = clock

    def get(self, namespace: str, name: str, alias: str) -> Alias:
        """One alias; ``ResourceNotFound.FunctionName``, ``ResourceNotFound.Alias``."""
        found = self._registry.get(namespace, name).alias(alias)
        if found is None:
            raise _not_found(name, alias)
        return found

    def list(self, namespace: str, name: str, version: str = "") -> list[Alias]:
        """The aliases of a function, ``$DEFAULT`` first; with a ``version`` only those that lead
        to it. ``ResourceNotFound.FunctionName``."""
        found = self._registry.get(namespace, name).all_aliases()
        return [alias for alias in found if not version or version in alias.versions]

    async def create(
        self,
        namespace: str,
        name: str,
        alias: str,
        version: str,
        routing: Routing,
        description: str = "",
    ) -> Alias:
        """Give a version a name. The alias is saved when this returns.

        ``InvalidParameterValue.{Name,Description}``, ``ResourceInUse.Alias``,
        ``LimitExceeded.Alias``, ``FailedOperation.CreateAlias`` for a version that does not serve,
        and the errors of ``check_routing``.
        """
        if alias != DEFAULT_ALIAS:
            check_alias_name(alias)
        rules.check_description(description)
        now = self._clock.now()
        made = Alias(
            name=alias,
            version=version,
            description=description,
            weights=routing.weights,
            matches=routing.matches,
            created_at=now,
            modified_at=now,
        )

        def edit(function: Function) -> Function:
            if function.alias(alias) is not None:
                raise ConflictError(
                    f"function {name} has an alias {alias} already: use UpdateAlias to point it"
                    " elsewhere",
                    ResourceInUse.ALIAS,
                )
            if len(function.aliases) >= MAX_ALIASES:
                raise LimitError(
                    f"function {name} has {MAX_ALIASES} aliases, which is the limit: delete one",
                    LimitExceeded.ALIAS,
                )
            check_routing(function, made, FailedOperation.CREATE_ALIAS)
            return _with(function, made)

        await self._registry.change((namespace, name), edit)
        return made

    async def update(
        self,
        namespace: str,
        name: str,
        alias: str,
        version: str,
        routing: Routing,
        description: str | None = None,
    ) -> Alias:
        """Point an alias elsewhere.

        ``routing`` replaces the old one. Without a ``description`` the old one stays.
        ``ResourceNotFound.Alias``, else the errors of ``create``.
        """
        rules.check_description(description or "")
        changed: list[Alias] = []

        def edit(function: Function) -> Function:
            before = function.alias(alias)
            if before is None:
                raise _not_found(name, alias)
            after = before.model_copy(
                update={
                    "version": version,
                    "description": before.description if description is None else description,
                    "weights": routing.weights,
                    "matches": routing.matches,
                    "modified_at": self._clock.now(),
                }
            )
            check_routing(function, after, FailedOperation.UPDATE_ALIAS)
            changed.append(after)
            return _with(function, after)

        await self._registry.change((namespace, name), edit)
        return changed[-1]

    async def delete(self, namespace: str, name: str, alias: str) -> None:
        """Delete an alias.

        ``InvalidParameterValue.Alias`` for ``$DEFAULT``, ``ResourceNotFound.Alias``.
        """

        def edit(function: Function) -> Function:
            if alias == DEFAULT_ALIAS:
                raise RequestError(
                    f"alias {alias} cannot be deleted: point it elsewhere instead",
                    InvalidParameterValue.ALIAS,
                )
            if alias not in function.aliases:
                raise _not_found(name, alias)
            rest = {key: value for key, value in function.aliases.items() if key != alias}
            return function.model_copy(update={"aliases": rest})

        await self._registry.change((namespace, name), edit)


def check_alias_name(name: str) -> None:
    """``InvalidParameterValue.Name`` unless 1 to 64 of letters, digits, ``-``, ``_``, the first a
    letter."""
    if not rules.is_alias_name(name):
        raise RequestError(
            f"Name {name[:80]!r} is not valid: use 1 to {rules.ALIAS_MAX} letters, digits, - and"
            " _, starting with a letter",
            InvalidParameterValue.NAME,
        )


def check_routing(function: Function, alias: Alias, not_serving: Code) -> None:
    """Check that an alias leads to existing versions, and to at most one beside its main version.

    ``ResourceNotFound.FunctionVersion``; ``not_serving`` for one that was never Active;
    ``InvalidParameter.RoutingConfig`` for shares and rules together, or more than one additional
    version; ``InvalidParameterValue.RoutingConfig`` for a rule that cannot be read or an additional
    version that is the main one; ``InvalidParameterValue.AdditionalVersionWeights`` for a share
    that is none.
    """
    if alias.weights and alias.matches:
        raise RequestError(
            "RoutingConfig: give AdditionalVersionWeights or AddtionVersionMatchs, not both",
            InvalidParameter.ROUTING_CONFIG,
        )
    if len(alias.additional) > 1 or len(alias.weights) > 1:
        raise RequestError(
            "RoutingConfig: an alias leads to at most one version beside its main one",
            InvalidParameter.ROUTING_CONFIG,
        )
    if alias.version in alias.additional:
        raise RequestError(
            f"RoutingConfig: version {alias.version} is the alias' main version already: name"
            " another one, or leave RoutingConfig out",
            InvalidParameterValue.ROUTING_CONFIG,
        )
    for share in alias.weights:
        if not 0 <= share.weight <= 1:
            raise RequestError(
                f"RoutingConfig: weight {share.weight} is not within 0 to 1",
                InvalidParameterValue.ADDITIONAL_VERSION_WEIGHTS,
            )
    for rule in alias.matches:
        _check_rule(rule)
    for name in sorted(alias.versions):
        version = function.versions.get(name)
        if version is None:
            raise NotFoundError(
                f"function {function.name} has no version {name}: publish it first",
                ResourceNotFound.FUNCTION_VERSION,
            )
        if name != LATEST and not version.invocable:
            raise ConflictError(
                f"version {name} is {version.status}: wait until it is Active", not_serving
            )


def _check_rule(rule: VersionMatch) -> None:
    key = rule.key.removeprefix(HEADER_PREFIX)
    if key == rule.key or not key:
        raise _bad_rule(f"Key {rule.key[:80]!r} must be {HEADER_PREFIX}<name in RoutingKey>")
    if rule.method not in (EXACT, RANGE):
        raise _bad_rule(f"Method {rule.method[:80]!r} must be {EXACT} or {RANGE}")
    if rule.method == RANGE and Interval.parse(rule.expression) is None:
        raise _bad_rule(
            f"Expression {rule.expression[:80]!r} must be an interval of integers that holds some,"
            " as (a,b) or [a,b]"
        )


def _bad_rule(message: str) -> RequestError:
    return RequestError(f"RoutingConfig: {message}", InvalidParameterValue.ROUTING_CONFIG)


def _with(function: Function, alias: Alias) -> Function:
    return function.model_copy(update={"aliases": {**function.aliases, alias.name: alias}})


def _not_found(function: str, alias: str) -> NotFoundError:
    return NotFoundError(
        f"function {function} has no alias {alias}: create it first", ResourceNotFound.ALIAS
    )
