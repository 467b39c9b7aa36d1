"""Finds functions and versions. No look-up waits, but for ``settled``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sandbox.errors import ConflictError, FailedOperation, NotFoundError, ResourceNotFound
from sandbox.functions.listing import ALL
from sandbox.functions.model import DEFAULT_NAMESPACE, LATEST

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sandbox.functions.listing import Page, Query
    from sandbox.functions.model import Function, FunctionVersion
    from sandbox.functions.registry import FunctionRegistry


class FunctionFinder:
    """The reading half of ``FunctionService``. It is a ``FunctionLookup``."""

    def __init__(
        self,
        registry: FunctionRegistry,
        namespace_exists: Callable[[str], bool],
        draw: Callable[[], float],
    ) -> None:
        """``draw`` gives random numbers from 0 up to 1 for shares of traffic."""
        self._registry = registry
        self._namespace_exists = namespace_exists
        self._draw = draw

    def get(self, namespace: str, name: str) -> Function:
        """The function, or ``ResourceNotFound.FunctionName``."""
        return self._registry.get(namespace, name)

    def resolve(
        self,
        namespace: str,
        name: str,
        qualifier: str = LATEST,
        routing_key: Mapping[str, str] | None = None,
        *,
        code: str = ResourceNotFound.QUALIFIER,
    ) -> tuple[Function, FunctionVersion]:
        """The function and the version that ``qualifier`` names.

        Without ``routing_key`` an alias leads to its main version. With one, even an empty one, its
        shares or rules decide. ``ResourceNotFound.FunctionName`` when there is no such function,
        ``code`` when there is no such version or alias.
        """
        function = self._registry.get(namespace, name)
        version = function.versions.get(qualifier)
        if version is None and (alias := function.alias(qualifier)) is not None:
            version = function.versions.get(
                alias.version if routing_key is None else alias.route(routing_key, self._draw)
            )
        if version is None:
            raise NotFoundError(
                f"function {name} has no version or alias {qualifier}: publish it, or use {LATEST}",
                code,
            )
        return function, version

    def require_invocable(self, version: FunctionVersion) -> None:
        """``FailedOperation.FunctionStatusError`` unless the version can serve events."""
        if version.invocable:
            return
        reasons = "; ".join(reason.message for reason in version.status_reasons)
        advice = "update its code" if reasons else "wait until its Status is Active"
        raise ConflictError(
            f"the function is {version.status}{f' ({reasons})' if reasons else ''}: {advice}",
            FailedOperation.FUNCTION_STATUS_ERROR,
        )

    def uses_layer(self, layer: str, number: int) -> bool:
        """Whether a version of some function is bound, or about to be bound, to a layer version."""
        return any(
            (ref.name, ref.version) == (layer, number)
            for function in self._registry.all()
            for version in function.versions.values()
            for ref in (*version.config.layers, *version.wanted.config.layers)
        )

    def list(self, namespace: str = DEFAULT_NAMESPACE, query: Query = ALL) -> Page:
        """The functions of a namespace that ``query`` asks for. ``ResourceNotFound.Namespace``."""
        self.require_namespace(namespace)
        return query.run(self._registry.in_namespace(namespace))

    async def settled(self, namespace: str, name: str, within_s: float = 60.0) -> Function:
        """Wait until no version of the function is Creating, Updating or Publishing.

        Waits ``within_s`` seconds at most, and returns the function as it is then.
        ``ResourceNotFound.FunctionName`` if it is deleted meanwhile.
        """
        try:
            async with asyncio.timeout(within_s):
                return await self._registry.until((namespace, name), lambda f: not f.transitional)
        except TimeoutError:
            return self._registry.get(namespace, name)

    def require_namespace(self, namespace: str) -> None:
        """``ResourceNotFound.Namespace`` if there is no such namespace."""
        if not self._namespace_exists(namespace):
            raise NotFoundError(
                f"there is no namespace {namespace}: use {DEFAULT_NAMESPACE}, or create it",
                ResourceNotFound.NAMESPACE,
            )
