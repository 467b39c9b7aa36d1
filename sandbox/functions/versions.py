"""Versions: immutable copies of ``$LATEST``, made by publishing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.errors import (
    ConflictError,
    FailedOperation,
    InvalidParameterValue,
    LimitExceeded,
    NotFoundError,
    RequestError,
    ResourceNotFound,
    UnsupportedOperation,
)
from sandbox.functions import rules
from sandbox.functions.changes import published, require_room_for_version
from sandbox.functions.model import DEFAULT_ALIAS, LATEST, TRANSITIONAL, FunctionStatus
from sandbox.tasks import TaskOwner

if TYPE_CHECKING:
    from sandbox.clock import Clock
    from sandbox.functions.model import Function, FunctionVersion
    from sandbox.functions.ports import ProvisionHost
    from sandbox.functions.registry import FunctionRegistry, Key
    from sandbox.functions.service import FunctionService

ORDER_KEYS = ("AddTime", "ModTime")


class VersionService:
    """Publishes, lists and deletes versions. The cloud API calls it.

    A new version is Publishing at first. The function service's background step makes it Active.
    """

    def __init__(
        self,
        registry: FunctionRegistry,
        functions: FunctionService,
        host: ProvisionHost,
        clock: Clock,
    ) -> None:
        """``functions`` prepares new versions, ``host`` ends the instances of deleted ones."""
        self._registry = registry
        self._functions = functions
        self._host = host
        self._clock = clock
        self._tasks = TaskOwner()

    async def close(self) -> None:
        """Stop what is under way."""
        await self._tasks.cancel()

    async def publish(
        self, namespace: str, name: str, description: str | None = None
    ) -> FunctionVersion:
        """Copy code and configuration of ``$LATEST`` to a new version. It is Publishing.

        ``ResourceNotFound.FunctionName``, ``InvalidParameterValue.Description``,
        ``LimitExceeded.FunctionVersions``, ``FailedOperation.PublishVersion`` unless ``$LATEST``
        is Active.
        """
        rules.check_description(description or "")

        def edit(function: Function) -> Function:
            if function.latest.status is not FunctionStatus.ACTIVE:
                raise ConflictError(
                    f"function {name} is {function.latest.status}: only what is Active can be"
                    " published",
                    FailedOperation.PUBLISH_VERSION,
                )
            require_room_for_version(function, LimitExceeded.FUNCTION_VERSIONS)
            return published(function, self._clock.now(), description or None)

        async def publish() -> FunctionVersion:
            function = await self._registry.change((namespace, name), edit)
            number = str(function.published)
            self._functions.rollout.bring_up(function, number)
            return function.versions[number]

        return await self._tasks.finish(publish())

    def list(
        self, namespace: str, name: str, order_by: str = "", order: str = ""
    ) -> list[FunctionVersion]:
        """All versions by AddTime or ModTime. Without ``order_by``: ``$LATEST``, then the newest.

        ``order`` is ASC or DESC, in any case. ``InvalidParameterValue.Order``,
        ``ResourceNotFound.FunctionName``.
        """
        versions = list(self._registry.get(namespace, name).versions.values())
        wanted = (order or "DESC").upper()
        if order_by not in ("", *ORDER_KEYS) or wanted not in ("ASC", "DESC"):
            raise RequestError(
                f"OrderBy {order_by!r} with Order {order!r} is not valid: use"
                f" {' or '.join(ORDER_KEYS)} with ASC or DESC",
                InvalidParameterValue.ORDER,
            )
        if not order_by and not order:
            versions.sort(key=lambda v: (v.version == LATEST, v.created_at), reverse=True)
            return versions
        by_change = order_by == "ModTime"
        versions.sort(
            key=lambda v: v.modified_at if by_change else v.created_at, reverse=wanted == "DESC"
        )
        return versions

    async def delete(self, namespace: str, name: str, number: str, *, force: bool = False) -> None:
        """Delete one version. Its instances end after their events, with ``force`` at once.

        ``InvalidParameterValue.Qualifier`` for ``$LATEST`` and aliases,
        ``ResourceNotFound.Qualifier``, ``UnsupportedOperation.AliasBind`` while an alias leads to
        it, ``FailedOperation.FunctionStatusError`` while it is being published.
        """
        await self._tasks.finish(self._delete((namespace, name), number, force))

    async def _delete(self, key: Key, number: str, force: bool) -> None:
        digests: frozenset[str] = frozenset()

        def without(function: Function) -> Function:
            nonlocal digests
            _require_deletable(function, number)
            digests = function.digests
            rest = {n: v for n, v in function.versions.items() if n != number}
            bare = function.with_provisioned(number, 0, ())
            return bare.model_copy(update={"versions": rest})

        await self._registry.change(key, without)
        await self._functions.rollout.retire(key)
        if force:
            await self._host.kill(*key, number)
        self._functions.code.collect(digests)


def _require_deletable(function: Function, number: str) -> None:
    if number in (LATEST, DEFAULT_ALIAS) or number in function.aliases:
        raise RequestError(
            f"Qualifier {number} is not a published version, and only these can be deleted by"
            " themselves: leave Qualifier out to delete the function, or use DeleteAlias",
            InvalidParameterValue.QUALIFIER,
        )
    version = function.versions.get(number)
    if version is None:
        raise NotFoundError(
            f"function {function.name} has no version {number}", ResourceNotFound.QUALIFIER
        )
    if version.status in TRANSITIONAL:
        raise ConflictError(
            f"version {number} is {version.status}: wait until it is Active, then try again",
            FailedOperation.FUNCTION_STATUS_ERROR,
        )
    bound = sorted(alias.name for alias in function.all_aliases() if number in alias.versions)
    if bound:
        raise ConflictError(
            f"alias {', '.join(bound)} leads to version {number}: point it elsewhere first",
            UnsupportedOperation.ALIAS_BIND,
        )
