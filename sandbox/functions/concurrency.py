"""Sets reserved, provisioned and total concurrency within their limits (contract 6)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from sandbox import limits
from sandbox.errors import (
    ConflictError,
    FailedOperation,
    InvalidParameterValue,
    LimitError,
    LimitExceeded,
    NotFoundError,
    RequestError,
    ResourceNotFound,
)
from sandbox.functions.model import LATEST, FunctionStatus
from sandbox.tasks import TaskOwner

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.functions.model import Function, TimedProvision
    from sandbox.functions.namespaces import Namespaces
    from sandbox.functions.ports import ConcurrencyHost
    from sandbox.functions.quotas import Quotas
    from sandbox.functions.registry import FunctionRegistry, Key


class ProvisionState(StrEnum):
    """How far the provisioning of a version is."""

    DONE = "Done"
    IN_PROGRESS = "InProgress"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class Provision:
    """The provisioned instances of a version.

    ``allocated`` is the number that was asked for, ``available`` how many are initialised.
    ``reason`` says why it Failed; the sandbox goes on trying.
    """

    version: str
    allocated: int
    available: int
    state: ProvisionState
    reason: str = ""
    timers: tuple[TimedProvision, ...] = ()


class ConcurrencyService:
    """Sets quotas and provisioned instances. Memory is in MB.

    A change is checked against what all functions have at that moment, and is durable when it is
    answered; provisioned instances are initialised in the background.
    """

    def __init__(
        self,
        registry: FunctionRegistry,
        namespaces: Namespaces,
        quotas: Quotas,
        host: ConcurrencyHost,
    ) -> None:
        """``host`` starts the provisioned instances, and counts them."""
        self._registry = registry
        self._namespaces = namespaces
        self._quotas = quotas
        self._host = host
        self._tasks = TaskOwner()
        # A change must not be made while another one is checked against what it changes.
        self._one_at_a_time = asyncio.Lock()

    async def close(self) -> None:
        """Stop what is under way."""
        await self._tasks.cancel()

    # ------------------------------------------------------------------ reserved

    async def reserve(self, namespace: str, name: str, memory_mb: int | None) -> Function:
        """Give a function a quota of its own. 0 shuts it off; with None it shares again.

        ``ResourceNotFound.{Namespace,Function}``, ``InvalidParameterValue``,
        ``FailedOperation.ProvisionedExceedReserved``,
        ``LimitExceeded.FunctionReservedConcurrencyMemory``.
        """
        function = self.get(namespace, name)
        if memory_mb is not None and memory_mb < 0:
            raise RequestError(
                f"ReservedConcurrencyMem is {memory_mb} MB: send 0 to shut the function off, or"
                " the MB that its instances may have together",
                InvalidParameterValue.GENERAL,
            )

        def changed(before: Function) -> Function:
            if memory_mb is not None:
                self._check_reserved(before, memory_mb)
            return before.model_copy(update={"reserved_mb": memory_mb})

        return await self._change(function.key, changed)

    def _check_reserved(self, function: Function, memory_mb: int) -> None:
        if memory_mb and memory_mb < function.provisioned_mb:
            raise ConflictError(
                f"function {function.name} has {function.provisioned_mb} MB of provisioned"
                f" instances: reserve that much, or provision fewer",
                FailedOperation.PROVISIONED_EXCEED_RESERVED,
            )
        shares = self._quotas.shares(function.namespace)
        others = shares.reserved - (function.reserved_mb or 0)
        shared = shares.provisioned
        if function.reserved_mb is None:
            shared -= function.provisioned_mb
        most = shares.total - max(limits.UNRESERVABLE_MB, shared) - others
        if memory_mb > max(0, most):
            raise LimitError(
                f"of namespace {function.namespace}'s {shares.total} MB {others} MB are reserved by"
                f" others, and {limits.UNRESERVABLE_MB} MB stay for functions that reserve nothing:"
                f" reserve {max(0, most)} MB at most",
                LimitExceeded.FUNCTION_RESERVED_CONCURRENCY_MEMORY,
            )

    # ------------------------------------------------------------------ provisioned

    async def provision(
        self,
        namespace: str,
        name: str,
        version: str,
        count: int,
        timers: tuple[TimedProvision, ...] = (),
    ) -> Function:
        """Keep ``count`` instances of a published version initialised; with 0 none.

        ``timers`` change the number later.
        ``ResourceNotFound.{Namespace,Function,FunctionVersion}``,
        ``InvalidParameterValue[.Qualifier]``, ``FailedOperation.FunctionVersionStatusNotActive``,
        ``FailedOperation.ProvisionedInProgress``,
        ``FailedOperation.{ProvisionedExceedReserved,ProvisionedExceedAvailable}``.
        """
        function = self.get(namespace, name)
        if count < 0:
            raise RequestError(
                f"VersionProvisionedConcurrencyNum is {count}: send the number of instances",
                InvalidParameterValue.GENERAL,
            )

        def changed(before: Function) -> Function:
            self._check_version(before, version)
            if count:
                self._check_provisioned(before, version, count)
            return before.with_provisioned(version, count, timers)

        return await self._change(function.key, changed)

    async def provision_timed(self, key: Key, version: str, count: int) -> None:
        """``provision`` when a timer is due. The timers stay. A version whose instances are still
        being initialised is not refused."""

        def changed(before: Function) -> Function:
            timers = before.provision_timers.get(version, ())
            if not timers:
                return before  # the timer was deleted at this moment
            if count:
                self._check_provisioned(before, version, count)
            return before.with_provisioned(version, count, timers)

        await self._change(key, changed)

    def provisions(self, namespace: str, name: str, version: str = "") -> list[Provision]:
        """The provisioned instances of one version, or of all, ordered by version.

        ``ResourceNotFound.{Namespace,Function,FunctionVersion}``,
        ``InvalidParameterValue.Qualifier``.
        """
        function = self.get(namespace, name)
        if version:
            _require_published(function, version)
        numbers = sorted({*function.provisioned, *function.provision_timers}, key=int)
        return [self._provision(function, n) for n in numbers if version in ("", n)]

    def unallocated(self, namespace: str, name: str) -> int:
        """How many more instances could be provisioned, of the memory that ``$LATEST`` has.

        ``ResourceNotFound.{Namespace,Function}``.
        """
        function = self.get(namespace, name)
        return max(0, self._unprovisioned_mb(function)) // function.latest.config.memory_mb

    def _provision(self, function: Function, version: str) -> Provision:
        count = function.provisioned.get(version, 0)
        timers = function.provision_timers.get(version, ())
        ready, reason = self._host.provisioned(*function.key, version)
        if ready >= count:
            return Provision(version, count, count, ProvisionState.DONE, timers=timers)
        state = ProvisionState.FAILED if reason else ProvisionState.IN_PROGRESS
        return Provision(version, count, ready, state, reason, timers)

    def _check_version(self, function: Function, number: str) -> None:
        _require_published(function, number)
        status = function.versions[number].status
        if status is not FunctionStatus.ACTIVE:
            raise ConflictError(
                f"version {number} is {status}: wait until it is Active, then try again",
                FailedOperation.FUNCTION_VERSION_STATUS_NOT_ACTIVE,
            )
        if number not in function.provisioned:
            return
        if self._provision(function, number).state is ProvisionState.IN_PROGRESS:
            raise ConflictError(
                f"instances of version {number} are being initialised: wait until their Status is"
                " Done (GetProvisionedConcurrencyConfig), then try again",
                FailedOperation.PROVISIONED_IN_PROGRESS,
            )

    def _check_provisioned(self, function: Function, number: str, count: int) -> None:
        memory_mb = function.versions[number].config.memory_mb
        present = function.provisioned.get(number, 0) * memory_mb
        most = self._unprovisioned_mb(function) + present
        if count * memory_mb <= most:
            return
        reserved = function.reserved_mb is not None
        whose = f"function {function.name} reserves" if reserved else "functions share"
        raise ConflictError(
            f"{count} instances of {memory_mb} MB are more than what {whose}: {max(0, most)} MB"
            f" are left, which is {max(0, most) // memory_mb} instances",
            FailedOperation.PROVISIONED_EXCEED_RESERVED
            if reserved
            else FailedOperation.PROVISIONED_EXCEED_AVAILABLE,
        )

    def _unprovisioned_mb(self, function: Function) -> int:
        """The part of the function's quota that is not provisioned yet, MB."""
        if function.reserved_mb is not None:
            return function.reserved_mb - function.provisioned_mb
        shares = self._quotas.shares(function.namespace)
        return shares.shared - shares.provisioned

    # ------------------------------------------------------------------ total

    async def set_total(self, namespace: str, memory_mb: int) -> None:
        """Change the memory that the functions of a namespace may use together, MB.

        ``ResourceNotFound.Namespace``, ``InvalidParameterValue``,
        ``LimitExceeded.UserTotalConcurrencyMemory``, ``FailedOperation.ReservedExceedTotal``.
        """
        self._require_namespace(namespace)
        if memory_mb < limits.MEMORY_STEP_MB:
            raise RequestError(
                f"TotalConcurrencyMem is {memory_mb} MB: send {limits.MEMORY_STEP_MB} MB or more",
                InvalidParameterValue.GENERAL,
            )
        if memory_mb > limits.CONCURRENCY_MB:
            raise LimitError(
                f"TotalConcurrencyMem is {memory_mb} MB: the account has {limits.CONCURRENCY_MB}"
                " MB at most",
                LimitExceeded.USER_TOTAL_CONCURRENCY_MEMORY,
            )

        def check() -> None:
            shares = self._quotas.shares(namespace)
            if shares.reserved + shares.provisioned > memory_mb:
                raise ConflictError(
                    f"{shares.reserved} MB of namespace {namespace} are reserved and"
                    f" {shares.provisioned} MB more provisioned: set a total that holds both, or"
                    " reserve less first",
                    FailedOperation.RESERVED_EXCEED_TOTAL,
                )

        async with self._one_at_a_time:
            await self._namespaces.set_total(namespace, memory_mb, check)

    # ------------------------------------------------------------------ inside

    def get(self, namespace: str, name: str) -> Function:
        """The function; ``ResourceNotFound.{Namespace,Function}``."""
        self._require_namespace(namespace)
        try:
            return self._registry.get(namespace, name)
        except NotFoundError as error:
            raise NotFoundError(error.message, ResourceNotFound.FUNCTION) from error

    def _require_namespace(self, namespace: str) -> None:
        if not self._namespaces.exists(namespace):
            raise NotFoundError(
                f"there is no namespace {namespace}: use another, or create it",
                ResourceNotFound.NAMESPACE,
            )

    async def _change(self, key: Key, edit: Callable[[Function], Function]) -> Function:
        async def change() -> Function:
            async with self._one_at_a_time:
                function = await self._registry.change(key, edit)
            self._host.provision(function)
            return function

        return await self._tasks.finish(change())


def _require_published(function: Function, number: str) -> None:
    if number == LATEST or function.alias(number) is not None:
        raise RequestError(
            f"Qualifier {number} is not a published version, and only these can have provisioned"
            " instances: publish a version, and send its number",
            InvalidParameterValue.QUALIFIER,
        )
    if number not in function.versions:
        raise NotFoundError(
            f"function {function.name} has no version {number}: publish it first",
            ResourceNotFound.FUNCTION_VERSION,
        )
