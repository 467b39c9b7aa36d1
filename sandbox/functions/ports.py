"""What functions ask of others, and what others ask of functions.

The pool implements the hosts, ``FunctionService`` implements ``FunctionLookup``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from sandbox.packages.keeper import CodeHost

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sandbox.functions.model import Function, FunctionVersion


class ProvisionHost(Protocol):
    """Runs the instances of functions. Errors are ``EngineError``."""

    async def prepare(self, function: Function, version: FunctionVersion) -> None:
        """Make the version's code ready to run, and start its standby instances. Idempotent."""
        ...

    async def retire(self, namespace: str, name: str, keep: frozenset[str]) -> None:
        """End the function's instances whose key is not in ``keep``; busy ones finish first.

        It decides which instances these are before it waits for the first time.
        """
        ...

    def provision(self, function: Function) -> None:
        """Keep as many instances of each version initialised as the function asks for."""
        ...

    async def kill(self, namespace: str, name: str, version: str) -> None:
        """End a version's instances now, the busy ones with their events."""
        ...


class ServiceHost(CodeHost, ProvisionHost, Protocol):
    """What the function service needs: a place for code, and instances that run it."""


class ConcurrencyHost(Protocol):
    """Keeps instances provisioned, and counts them."""

    def provision(self, function: Function) -> None:
        """Keep as many instances of each version initialised as the function asks for."""
        ...

    def provisioned(self, namespace: str, name: str, version: str) -> tuple[int, str]:
        """The number of a version's initialised instances, and what keeps it from more."""
        ...


class FunctionRecorder(Protocol):
    """Who is told what became of functions."""

    def function_changed(self, function: Function, change: str, versions: Iterable[str]) -> None:
        """A function was ``created``, ``changed`` or ``deleted``: these versions of it, or if there
        are none, the function as a whole. Neither waits nor fails."""
        ...


class FunctionLookup(Protocol):
    """Finds what an event is for. No method waits."""

    def get(self, namespace: str, name: str) -> Function:
        """The function, or ``ResourceNotFound.FunctionName``."""
        ...

    def resolve(
        self,
        namespace: str,
        name: str,
        qualifier: str,
        routing_key: Mapping[str, str] | None = None,
    ) -> tuple[Function, FunctionVersion]:
        """The function and the version that ``qualifier`` names: a version, or an alias.

        ``ResourceNotFound.FunctionName``, ``ResourceNotFound.Qualifier``.
        """
        ...

    def require_invocable(self, version: FunctionVersion) -> None:
        """``FailedOperation.FunctionStatusError`` unless the version can serve events."""
        ...
