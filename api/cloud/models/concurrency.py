"""Requests about reserved and provisioned concurrency. Memory is in MB."""

from api.cloud.models.base import Part, Request


class TriggerActionPart(Part):
    """A timed change of provisioned instances."""

    TriggerName: str
    TriggerProvisionedConcurrencyNum: int
    TriggerCronConfig: str
    ProvisionedType: str | None = None


class PutReservedConcurrencyConfigRequest(Request):
    """Set a function's cap, 0 to switch it off."""

    FunctionName: str
    ReservedConcurrencyMem: int
    Namespace: str | None = None


class GetReservedConcurrencyConfigRequest(Request):
    """A function's cap."""

    FunctionName: str
    Namespace: str | None = None


class DeleteReservedConcurrencyConfigRequest(Request):
    """Remove a function's cap."""

    FunctionName: str
    Namespace: str | None = None


class PutProvisionedConcurrencyConfigRequest(Request):
    """Keep instances of a version running."""

    FunctionName: str
    Qualifier: str
    VersionProvisionedConcurrencyNum: int
    Namespace: str | None = None
    TriggerActions: list[TriggerActionPart] | None = None
    ProvisionedType: str | None = None
    TrackingTarget: float | None = None
    MinCapacity: int | None = None
    MaxCapacity: int | None = None


class GetProvisionedConcurrencyConfigRequest(Request):
    """What is kept running, by version."""

    FunctionName: str
    Namespace: str | None = None
    Qualifier: str | None = None


class DeleteProvisionedConcurrencyConfigRequest(Request):
    """Keep no instance of a version running."""

    FunctionName: str
    Qualifier: str
    Namespace: str | None = None


class PutTotalConcurrencyConfigRequest(Request):
    """Set a namespace's total."""

    TotalConcurrencyMem: int
    Namespace: str | None = None
