"""GetAccount: the usage and the limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from api.cloud.actions.base import modelled
from api.cloud.models.account import GetAccountRequest
from sandbox import limits
from sandbox.functions.listing import LIMIT_MAX, Query
from sandbox.triggers.types import QUOTA_TYPES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from api.cloud.actions.base import Action, Fields
    from sandbox.functions.model import Function
    from sandbox.functions.namespaces import Namespaces
    from sandbox.functions.quotas import Quotas, Shares
    from sandbox.functions.service import FunctionService

#: The platform's figures (contract section 3).
TRIGGERS_OF_A_TYPE = 10


class AccountActions:
    """Actions on the account."""

    def __init__(self, functions: FunctionService, namespaces: Namespaces, quotas: Quotas) -> None:
        self._functions = functions
        self._namespaces = namespaces
        self._quotas = quotas

    def actions(self) -> dict[str, Action]:
        """The actions of this theme, by name."""
        return {"GetAccount": modelled(GetAccountRequest, self.get_account)}

    async def get_account(self, _request: GetAccountRequest) -> Fields:
        """Usage by namespace, and the platform's limits. Memory is in MB, times in seconds."""
        query = Query(order_by="FunctionName", order="ASC", limit=LIMIT_MAX)
        names = [namespace.name for namespace in self._namespaces.all()]
        functions = {name: self._functions.list(name, query).functions for name in names}
        shares = {name: self._quotas.shares(name) for name in names}
        return {
            "AccountUsage": {
                "NamespacesCount": len(names),
                "Namespace": [_usage(name, functions[name], shares[name]) for name in names],
                "TotalConcurrencyMem": sum(share.total for share in shares.values()),
                "TotalAllocatedConcurrencyMem": sum(share.reserved for share in shares.values()),
                "UserConcurrencyMemLimit": limits.CONCURRENCY_MB,
            },
            "AccountLimit": {
                "NamespacesCount": limits.NAMESPACES,
                "Namespace": [_limit(name) for name in names],
            },
        }


def _usage(namespace: str, functions: Sequence[Function], shares: Shares) -> dict[str, Any]:
    return {
        "Functions": [function.name for function in functions],
        "Namespace": namespace,
        "FunctionsCount": len(functions),
        "TotalConcurrencyMem": shares.total,
        "TotalAllocatedConcurrencyMem": shares.reserved,
        "TotalAllocatedProvisionedMem": sum(f.provisioned_mb for f in functions),
    }


def _limit(namespace: str) -> dict[str, Any]:
    triggers = dict.fromkeys(QUOTA_TYPES, TRIGGERS_OF_A_TYPE)
    return {
        "FunctionsCount": limits.FUNCTIONS_PER_NAMESPACE,
        "Trigger": {**triggers, "Total": sum(triggers.values())},
        "Namespace": namespace,
        "ConcurrentExecutions": 100,
        "TimeoutLimit": limits.TIMEOUT_MAX_S,
        "TestModelLimit": 20,
        "InitTimeoutLimit": limits.INIT_TIMEOUT_MAX_S,
        "RetryNumLimit": 2,
        "MinMsgTTL": 60,
        "MaxMsgTTL": 21_600,
    }
