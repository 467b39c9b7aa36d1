"""The table of what every request field does here, by action. ``docs/en/api.md`` is made from it.

A field is a field of the SDK's model, or a dotted field of a structure in it. A structure has
either all of its fields in the table, or none. Actions that are not in the table are refused, and
so are their fields.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Support(StrEnum):
    """What the sandbox does with a field."""

    EFFECT = "takes effect"
    KEPT = "kept"
    REFUSED = "refused"
    TAKEN = "taken"


@dataclass(frozen=True, slots=True)
class Field:
    """One field, its support, and a note."""

    name: str
    support: Support
    note: str = ""


def effect(names: str, note: str = "") -> tuple[Field, ...]:
    """Fields that have the platform's effect. ``names`` are separated by spaces."""
    return tuple(Field(name, Support.EFFECT, note) for name in names.split())


def passthrough(names: str, note: str = "") -> tuple[Field, ...]:
    """Fields that are kept and shown, but change nothing."""
    return tuple(Field(name, Support.KEPT, note) for name in names.split())


def refused(names: str, note: str = "`UnsupportedOperation`") -> tuple[Field, ...]:
    """Fields that a request is refused for."""
    return tuple(Field(name, Support.REFUSED, note) for name in names.split())


_DETAILS = "shown by `GetFunction`"
_REST = "shown by `GET /functions/{name}` as `kept`: no answer of the cloud API has a place for it"
_WEB = "shown by `GetFunction`; it is for web functions, which are not simulated"
_CLEARED = "one empty item clears it"


def _code(prefix: str) -> tuple[Field, ...]:
    others = (
        "CosBucketName CosObjectName CosBucketRegion DemoId TempCosObjectName GitUrl GitUserName"
        " GitPassword GitPasswordSecret GitBranch GitDirectory GitCommitId GitUserNameSecret"
        " ImageConfig"
    )
    return (
        *effect(f"{prefix}.ZipFile", "base64, 50 MB as a zip, 500 MB unpacked with the layers"),
        *refused(" ".join(f"{prefix}.{name}" for name in others.split())),
    )


_CODE_SOURCE = effect("CodeSource", "`ZipFile`; the platform's others are `UnsupportedOperation`")
_DEAD_LETTER = effect("DeadLetterConfig", "where events go that are given up")
_TRACE = effect("TraceEnable", "with `AsyncRunEnable` the states of events are kept for 3 days")
_KEPT_CONFIG = (
    *passthrough(
        "VpcConfig PublicNetConfig IntranetConfig", f"{_DETAILS}; the network stays the same"
    ),
    *passthrough("CfsConfig", f"{_DETAILS}; nothing is mounted"),
    *passthrough("DnsCache", f"{_DETAILS}; names are not cached"),
    *passthrough("InstallDependency", f"{_DETAILS}; the platform installs for Node.js only"),
    *passthrough("ProtocolParams InstanceConcurrencyConfig", _WEB),
)
_PAGE = effect("Offset Limit")
_WHICH = effect("FunctionName Namespace")
_PUBLISH = effect("Publish", "`TRUE`: once it is ready it becomes the next version")

_FUNCTIONS = {
    "CreateFunction": (
        *_WHICH,
        *_code("Code"),
        *_CODE_SOURCE,
        *effect("Runtime", "`CustomRuntime`; any other is `InvalidParameterValue.Runtime`"),
        *effect("Type", "`Event`; `HTTP` is `UnsupportedOperation`"),
        *effect("Handler Description MemorySize Timeout InitTimeout Environment"),
        *effect("Layers", "merged into `/opt` in this order, the later one wins"),
        *effect("Role", "with a role the function has credentials: the sandbox's own"),
        *effect("Tags", f"{_DETAILS}; `ListFunctions` finds them"),
        *effect("AsyncRunEnable"),
        *_TRACE,
        *_DEAD_LETTER,
        *effect("AutoCreateClsTopic", "`TRUE` without a topic: it gets one, by name"),
        *passthrough("ClsLogsetId ClsTopicId", f"{_DETAILS}; logs stay in the sandbox"),
        *passthrough("AutoDeployClsTopicIndex", _REST),
        *passthrough("ProtocolType", _WEB),
        *_KEPT_CONFIG,
    ),
    "GetFunction": (
        *_WHICH,
        *effect("Qualifier", "an alias shows its main version"),
        *effect("ShowCode", "`TRUE`: the text of `bootstrap`, up to 1 MB"),
    ),
    "ListFunctions": (
        *effect("Namespace Order Orderby SearchKey Description Filters"),
        *_PAGE,
    ),
    "UpdateFunctionCode": (
        *_WHICH,
        *effect("Handler"),
        *effect("ZipFile", "the package, beside `Code`"),
        *_code("Code"),
        *refused("CosBucketName CosObjectName CosBucketRegion"),
        *_CODE_SOURCE,
        *_PUBLISH,
        *passthrough("InstallDependency", f"{_DETAILS}; the platform installs for Node.js only"),
        *passthrough("EnvId", _REST),
    ),
    "UpdateFunctionConfiguration": (
        *_WHICH,
        *effect("Description MemorySize Timeout InitTimeout Role"),
        *effect("Runtime", "it cannot be changed: only `CustomRuntime` is taken"),
        *effect("Environment Layers", _CLEARED),
        *_PUBLISH,
        *_DEAD_LETTER,
        *passthrough("ClsLogsetId ClsTopicId", f"{_DETAILS}; logs stay in the sandbox"),
        *passthrough("L5Enable", _DETAILS),
        *passthrough("IgnoreSysLog", _REST),
        *_KEPT_CONFIG,
    ),
    "DeleteFunction": (*_WHICH, *effect("Qualifier", "only this version")),
    "CopyFunction": (
        *_WHICH,
        *effect("NewFunctionName TargetNamespace Description"),
        *effect("TargetRegion", "the caller's own; another is `FailedOperation.CopyFunction`"),
        *effect("Override", "the function of that name is replaced in one step"),
        *effect("CopyConfiguration", "`FALSE`: code, runtime and handler only"),
    ),
    "GetFunctionAddress": (
        *_WHICH,
        *effect("Qualifier", "the link works for 10 minutes, without any key"),
    ),
}

_ROUTING = effect(
    "RoutingConfig", "shares or rules, for one version beside the main one; not given: none"
)

_VERSIONS = {
    "PublishVersion": (*_WHICH, *effect("Description", "of the version")),
    "ListVersionByFunction": (*_WHICH, *effect("Order OrderBy"), *_PAGE),
    "DeleteFunctionVersion": (
        *_WHICH,
        *effect("Qualifier", "a version number"),
        *effect("ForceDelete", "`TRUE`: events that it works on are ended"),
    ),
    "CreateAlias": (*_WHICH, *effect("Name FunctionVersion Description"), *_ROUTING),
    "GetAlias": (*_WHICH, *effect("Name")),
    "ListAliases": (*_WHICH, *effect("FunctionVersion"), *_PAGE),
    "UpdateAlias": (*_WHICH, *effect("Name FunctionVersion Description"), *_ROUTING),
    "DeleteAlias": (*_WHICH, *effect("Name")),
}

_LAYERS = {
    "PublishLayerVersion": (
        *effect("LayerName"),
        *effect("CompatibleRuntimes", "lists can ask for them; nothing is refused for them"),
        *_code("Content"),
        *effect("Description LicenseInfo Tags", "shown by the lists"),
    ),
    "GetLayerVersion": effect("LayerName LayerVersion"),
    "ListLayers": (*effect("CompatibleRuntime SearchKey"), *_PAGE),
    "ListLayerVersions": effect("LayerName CompatibleRuntime"),
    "DeleteLayerVersion": effect("LayerName LayerVersion"),
}

_NAMESPACES = {
    "CreateNamespace": (*effect("Namespace Description"), *refused("ResourceEnv")),
    "ListNamespaces": (*effect("Orderby Order SearchKey"), *_PAGE),
    "UpdateNamespace": effect("Namespace Description"),
    "DeleteNamespace": effect("Namespace"),
}

_INVOKE = {
    "Invoke": (
        *_WHICH,
        *effect("InvocationType ClientContext LogType"),
        *effect("Qualifier", "`$LATEST` when it is not given"),
        *effect("RoutingKey", "what the rules of an alias look at"),
    ),
    "InvokeFunction": (
        *_WHICH,
        *effect("Event LogType"),
        *effect("Qualifier", "`$DEFAULT` when it is not given"),
        *effect("RoutingKey", "what the rules of an alias look at"),
    ),
}

_EVENTS = {
    "UpdateFunctionEventInvokeConfig": (*_WHICH, *effect("AsyncTriggerConfig")),
    "GetFunctionEventInvokeConfig": (
        *_WHICH,
        *effect("Qualifier", "it must exist; the answer is the same for all"),
    ),
    "ListAsyncEvents": (
        *_WHICH,
        *effect("Qualifier InvokeType Status StartTimeInterval EndTimeInterval"),
        *effect("Order Orderby InvokeRequestId"),
        *_PAGE,
    ),
    "GetAsyncEventStatus": effect("InvokeRequestId"),
    "TerminateAsyncEvent": (*_WHICH, *effect("InvokeRequestId GraceShutdown")),
}

_CONCURRENCY = {
    "PutReservedConcurrencyConfig": (
        *_WHICH,
        *effect("ReservedConcurrencyMem", "MB; 0 shuts the function off: 432"),
    ),
    "GetReservedConcurrencyConfig": _WHICH,
    "DeleteReservedConcurrencyConfig": _WHICH,
    "PutProvisionedConcurrencyConfig": (
        *_WHICH,
        *effect("Qualifier", "a published version"),
        *effect("VersionProvisionedConcurrencyNum", "0: none any more"),
        *effect("ProvisionedType", "`Default`; the platform's other is `UnsupportedOperation`"),
        *effect("TriggerActions", "change the number at set times (UTC)"),
        *refused("TrackingTarget MinCapacity MaxCapacity"),
    ),
    "GetProvisionedConcurrencyConfig": (*_WHICH, *effect("Qualifier")),
    "DeleteProvisionedConcurrencyConfig": (*_WHICH, *effect("Qualifier")),
    "PutTotalConcurrencyConfig": effect(
        "Namespace TotalConcurrencyMem", "MB of a namespace: what its functions may use together"
    ),
}

_LOGS = {
    "GetFunctionLogs": (
        *_WHICH,
        *effect("Order OrderBy Filter Qualifier FunctionRequestId StartTime EndTime"),
        *_PAGE,
        *passthrough("SearchContext", "retired on the platform; given back"),
    ),
    "GetRequestStatus": (*_WHICH, *effect("FunctionRequestId StartTime EndTime")),
}

#: Every action that is simulated, with all its request fields.
FIELDS: Mapping[str, tuple[Field, ...]] = MappingProxyType(
    {
        **_FUNCTIONS,
        **_INVOKE,
        **_VERSIONS,
        **_LAYERS,
        **_NAMESPACES,
        **_EVENTS,
        **_CONCURRENCY,
        **_LOGS,
        "GetAccount": (),
    }
)
