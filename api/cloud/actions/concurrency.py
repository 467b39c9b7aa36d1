"""Actions on reserved, provisioned and total concurrency. Memory is in MB."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.cloud.actions.base import modelled
from api.cloud.models.concurrency import (
    DeleteProvisionedConcurrencyConfigRequest,
    DeleteReservedConcurrencyConfigRequest,
    GetProvisionedConcurrencyConfigRequest,
    GetReservedConcurrencyConfigRequest,
    PutProvisionedConcurrencyConfigRequest,
    PutReservedConcurrencyConfigRequest,
    PutTotalConcurrencyConfigRequest,
)
from sandbox.errors import RequestError, UnsupportedError
from sandbox.functions.model import DEFAULT_NAMESPACE, TimedProvision
from sandbox.functions.timers import check_timers

if TYPE_CHECKING:
    from api.cloud.actions.base import Action, Fields
    from api.cloud.models.concurrency import TriggerActionPart
    from sandbox.functions.concurrency import ConcurrencyService, Provision

FIXED, TRACKING = "Default", "ConcurrencyUtilizationTracking"


class ConcurrencyActions:
    """Sets and shows quotas and provisioned instances."""

    def __init__(self, concurrency: ConcurrencyService) -> None:
        self._concurrency = concurrency

    def actions(self) -> dict[str, Action]:
        """The actions of this theme, by name."""
        return {
            "PutReservedConcurrencyConfig": modelled(
                PutReservedConcurrencyConfigRequest, self.put_reserved
            ),
            "GetReservedConcurrencyConfig": modelled(
                GetReservedConcurrencyConfigRequest, self.get_reserved
            ),
            "DeleteReservedConcurrencyConfig": modelled(
                DeleteReservedConcurrencyConfigRequest, self.delete_reserved
            ),
            "PutProvisionedConcurrencyConfig": modelled(
                PutProvisionedConcurrencyConfigRequest, self.put_provisioned
            ),
            "GetProvisionedConcurrencyConfig": modelled(
                GetProvisionedConcurrencyConfigRequest, self.get_provisioned
            ),
            "DeleteProvisionedConcurrencyConfig": modelled(
                DeleteProvisionedConcurrencyConfigRequest, self.delete_provisioned
            ),
            "PutTotalConcurrencyConfig": modelled(PutTotalConcurrencyConfigRequest, self.put_total),
        }

    async def put_reserved(self, request: PutReservedConcurrencyConfigRequest) -> Fields:
        """Gives a function its own quota. 0 shuts the function off."""
        namespace = request.Namespace or DEFAULT_NAMESPACE
        await self._concurrency.reserve(
            namespace, request.FunctionName, request.ReservedConcurrencyMem
        )
        return {}

    async def get_reserved(self, request: GetReservedConcurrencyConfigRequest) -> Fields:
        """``ReservedMem`` is null for a function that shares its namespace's quota."""
        namespace = request.Namespace or DEFAULT_NAMESPACE
        return {"ReservedMem": self._concurrency.get(namespace, request.FunctionName).reserved_mb}

    async def delete_reserved(self, request: DeleteReservedConcurrencyConfigRequest) -> Fields:
        """The function shares its namespace's quota again."""
        namespace = request.Namespace or DEFAULT_NAMESPACE
        await self._concurrency.reserve(namespace, request.FunctionName, None)
        return {}

    async def put_provisioned(self, request: PutProvisionedConcurrencyConfigRequest) -> Fields:
        """Keeps a fixed number of a version's instances initialised. Timers can change the
        number."""
        kinds = [
            request.ProvisionedType,
            *(a.ProvisionedType for a in request.TriggerActions or []),
        ]
        if any(kind not in (None, "", FIXED, TRACKING) for kind in kinds):
            raise RequestError(
                f"ProvisionedType must be {FIXED} or {TRACKING}",
                "InvalidParameterValue.ProvisionType",
            )
        tracking = (request.TrackingTarget, request.MinCapacity, request.MaxCapacity)
        if TRACKING in kinds or any(value is not None for value in tracking):
            raise UnsupportedError(
                "this sandbox does not track the use of instances: leave TrackingTarget,"
                f" MinCapacity and MaxCapacity out, and ProvisionedType, or send {FIXED}"
            )
        timers = tuple(_timer(action) for action in request.TriggerActions or [])
        check_timers(timers)
        await self._concurrency.provision(
            request.Namespace or DEFAULT_NAMESPACE,
            request.FunctionName,
            request.Qualifier,
            request.VersionProvisionedConcurrencyNum,
            timers,
        )
        return {}

    async def get_provisioned(self, request: GetProvisionedConcurrencyConfigRequest) -> Fields:
        """The provisioned instances of each version, and how many more of ``$LATEST`` would fit."""
        where = (request.Namespace or DEFAULT_NAMESPACE, request.FunctionName)
        found = self._concurrency.provisions(*where, request.Qualifier or "")
        return {
            "UnallocatedConcurrencyNum": self._concurrency.unallocated(*where),
            "Allocated": [_allocated(provision) for provision in found],
        }

    async def delete_provisioned(
        self, request: DeleteProvisionedConcurrencyConfigRequest
    ) -> Fields:
        """Keeps no instance of a version initialised any more."""
        namespace = request.Namespace or DEFAULT_NAMESPACE
        await self._concurrency.provision(namespace, request.FunctionName, request.Qualifier, 0)
        return {}

    async def put_total(self, request: PutTotalConcurrencyConfigRequest) -> Fields:
        """Changes the quota of a namespace."""
        namespace = request.Namespace or DEFAULT_NAMESPACE
        await self._concurrency.set_total(namespace, request.TotalConcurrencyMem)
        return {}


def _allocated(provision: Provision) -> Fields:
    return {
        "AllocatedProvisionedConcurrencyNum": provision.allocated,
        "AvailableProvisionedConcurrencyNum": provision.available,
        "Status": provision.state.value,
        "StatusReason": provision.reason,
        "Qualifier": provision.version,
        "TriggerActions": [
            {
                "TriggerName": timer.name,
                "TriggerProvisionedConcurrencyNum": timer.count,
                "TriggerCronConfig": timer.cron,
                "ProvisionedType": FIXED,
            }
            for timer in provision.timers
        ],
    }


def _timer(action: TriggerActionPart) -> TimedProvision:
    return TimedProvision(
        name=action.TriggerName,
        count=action.TriggerProvisionedConcurrencyNum,
        cron=action.TriggerCronConfig,
    )
