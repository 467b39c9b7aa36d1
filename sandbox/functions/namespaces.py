"""Namespaces: each holds functions of its own. ``default`` always exists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel

from sandbox import limits
from sandbox.errors import (
    ConflictError,
    FailedOperation,
    InvalidParameterValue,
    LimitError,
    LimitExceeded,
    NotFoundError,
    RequestError,
    ResourceInUse,
    ResourceNotFound,
    SandboxError,
)
from sandbox.functions.collection import Collection
from sandbox.functions.model import DEFAULT_NAMESPACE
from sandbox.functions.rules import check_description, check_namespace

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.clock import Clock
    from sandbox.functions.collection import CollectionRepository


class Namespace(BaseModel, frozen=True):
    """One namespace. Times are seconds since the epoch.

    ``total_mb`` is the memory that its functions may use together (contract 6: CONC).
    """

    name: str
    description: str = ""
    total_mb: int = limits.CONCURRENCY_MB
    created_at: float
    modified_at: float


class Namespaces:
    """All namespaces. The function services and the cloud API use it."""

    def __init__(
        self,
        table: CollectionRepository[Namespace],
        clock: Clock,
        occupied: Callable[[str], bool],
        at_most: int = limits.NAMESPACES,
    ) -> None:
        """``occupied`` says whether a namespace holds functions, or is about to."""
        self._collection = Collection(table)
        self._clock = clock
        self._occupied = occupied
        self._at_most = at_most
        self._leaving: set[str] = set()

    async def load(self) -> None:
        """Read every namespace that was saved, and make ``default`` if it does not exist."""
        await self._collection.load()
        if self._collection.find(DEFAULT_NAMESPACE) is None:
            await self._collection.put(
                DEFAULT_NAMESPACE, lambda _: self._new(DEFAULT_NAMESPACE, "")
            )

    async def close(self) -> None:
        """Wait for the changes under way."""
        await self._collection.close()

    def exists(self, name: str) -> bool:
        """Whether it exists and may take functions: one that is being deleted may not."""
        return self._collection.find(name) is not None and name not in self._leaving

    def all(self) -> list[Namespace]:
        """Every namespace, by name."""
        return self._collection.all()

    async def create(self, name: str, description: str = "") -> Namespace:
        """Make a namespace. It is saved when this returns.

        ``InvalidParameterValue.{NamespaceInvalid,DefaultNamespace,Description}``,
        ``ResourceInUse.Namespace``, ``LimitExceeded.Namespace``.
        """
        if name == DEFAULT_NAMESPACE:
            raise RequestError(
                f"Namespace {name} is always there and cannot be created: use another name",
                InvalidParameterValue.DEFAULT_NAMESPACE,
            )
        try:
            check_namespace(name)
        except SandboxError as error:
            raise RequestError(error.message, InvalidParameterValue.NAMESPACE_INVALID) from error
        check_description(description)

        def made(before: Namespace | None) -> Namespace:
            if before is not None:
                raise ConflictError(
                    f"there is a namespace {name} already: use it, or take another name",
                    ResourceInUse.NAMESPACE,
                )
            if len(self.all()) >= self._at_most:
                raise LimitError(
                    f"there are {self._at_most} namespaces, which is the limit: delete one first",
                    LimitExceeded.NAMESPACE,
                )
            return self._new(name, description)

        return await self._collection.put(name, made)

    async def update(self, name: str, description: str) -> Namespace:
        """Change the description of a namespace.

        ``ResourceNotFound.Namespace``, ``InvalidParameterValue.Description``.
        """
        check_description(description)

        def changed(before: Namespace | None) -> Namespace:
            if before is None:
                raise not_found(name)
            update = {"description": description, "modified_at": self._clock.now()}
            return before.model_copy(update=update)

        return await self._collection.put(name, changed)

    def total_mb(self, name: str) -> int:
        """The concurrency quota of a namespace, MB; the platform's default if there is none."""
        found = self._collection.find(name)
        return limits.CONCURRENCY_MB if found is None else found.total_mb

    async def set_total(self, name: str, total_mb: int, check: Callable[[], None]) -> None:
        """Change the concurrency quota. ``check`` may raise to refuse it at the last moment.

        ``ResourceNotFound.Namespace``.
        """

        def changed(before: Namespace | None) -> Namespace:
            if before is None:
                raise not_found(name)
            check()
            return before.model_copy(update={"total_mb": total_mb})

        await self._collection.put(name, changed)

    async def delete(self, name: str) -> None:
        """Delete an empty namespace.

        ``FailedOperation.DeleteNamespace`` for ``default``, ``ResourceNotFound.Namespace``,
        ``ResourceInUse.Namespace`` while it holds functions.
        """
        if name == DEFAULT_NAMESPACE:
            raise ConflictError(
                f"namespace {name} cannot be deleted: it is the one that calls without Namespace"
                " mean",
                FailedOperation.DELETE_NAMESPACE,
            )
        if not self.exists(name):
            raise not_found(name)
        if self._occupied(name):
            raise ConflictError(
                f"namespace {name} holds functions: delete them first", ResourceInUse.NAMESPACE
            )
        # From here on it takes no functions, so it stays empty while it is deleted.
        self._leaving.add(name)
        try:
            await self._collection.remove(name)
        finally:
            self._leaving.discard(name)

    def _new(self, name: str, description: str) -> Namespace:
        now = self._clock.now()
        return Namespace(name=name, description=description, created_at=now, modified_at=now)


def not_found(name: str) -> NotFoundError:
    """The error for a namespace that does not exist."""
    return NotFoundError(
        f"there is no namespace {name}: use {DEFAULT_NAMESPACE}, or create it",
        ResourceNotFound.NAMESPACE,
    )
