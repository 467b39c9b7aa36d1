"""Error codes that name a parameter, and the actions that list them (SDK error lists, 2026)."""

from __future__ import annotations

#: For each action, its codes that name a parameter, as ``kind: parameter parameter``.
_BY_ACTION = {
    "CopyFunction": {
        "InvalidParameterValue": "Description FunctionName",
    },
    "CreateAlias": {
        "InvalidParameter": "RoutingConfig",
        "InvalidParameterValue": (
            "AdditionalVersionWeights Description Name Namespace RoutingConfig"
        ),
    },
    "CreateCustomDomain": {
        "InvalidParameterValue": "Domain",
    },
    "CreateFunction": {
        "InvalidParameterValue": (
            "Args AsyncRunEnable CfsId Code CodeSource Command CosBucketName "
            "CosBucketRegion CosObjectName DeadLetterConfig Description "
            "DynamicEnabled EipConfig Environment FunctionName GitCommitId "
            "GitPasswordSecret GitUrl GitUserNameSecret Handler IdleTimeOut "
            "ImageType ImageUri InstanceConcurrencyConfig Layers MaxConcurrency "
            "MemorySize Namespace NodeSpec ProtocolType PublicNetConfig "
            "RegistryId Runtime TempCosObjectName TraceEnable Type ZipFile"
        ),
        "MissingParameter": "Code Runtime",
    },
    "CreateNamespace": {
        "InvalidParameterValue": "Description Namespace",
    },
    "CreateTrigger": {
        "InvalidParameterValue": (
            "CustomArgument Description Enable FunctionName TriggerDesc TriggerName Type"
        ),
    },
    "DeleteAlias": {
        "InvalidParameterValue": "Name",
    },
    "DeleteFunction": {
        "InvalidParameterValue": "FunctionName Namespace Qualifier",
    },
    "DeleteFunctionVersion": {
        "InvalidParameterValue": "FunctionName Namespace Qualifier",
    },
    "DeleteNamespace": {
        "InvalidParameterValue": "Namespace",
    },
    "DeleteProvisionedConcurrencyConfig": {
        "InvalidParameterValue": "FunctionName Qualifier",
    },
    "DeleteTrigger": {
        "InvalidParameterValue": "FunctionName TriggerDesc TriggerName Type",
    },
    "GetAlias": {
        "InvalidParameterValue": "FunctionName Name Namespace",
    },
    "GetFunction": {
        "InvalidParameterValue": "FunctionName Namespace Qualifier",
    },
    "GetFunctionAddress": {
        "InvalidParameterValue": "FunctionName Namespace Qualifier",
    },
    "GetFunctionEventInvokeConfig": {
        "InvalidParameterValue": "FunctionName Namespace Qualifier",
    },
    "GetFunctionLogs": {
        "InvalidParameterValue": "Offset Order OrderBy RetCode",
    },
    "GetProvisionedConcurrencyConfig": {
        "InvalidParameterValue": "FunctionName Namespace Qualifier",
    },
    "GetRequestStatus": {
        "InvalidParameterValue": "FunctionName FunctionRequestId StartTime",
    },
    "GetReservedConcurrencyConfig": {
        "InvalidParameterValue": "FunctionName Namespace",
    },
    "Invoke": {
        "InvalidParameter": "FunctionName",
    },
    "InvokeFunction": {
        "InvalidParameter": "FunctionName",
    },
    "ListAliases": {
        "InvalidParameterValue": "FunctionName Namespace",
    },
    "ListAsyncEvents": {
        "InvalidParameterValue": "FunctionName InvokeType Limit Namespace Order Status",
    },
    "ListCustomDomains": {
        "InvalidParameterValue": "Limit Order",
    },
    "ListFunctions": {
        "InvalidParameterValue": "Limit Name Namespace Offset Order",
    },
    "ListNamespaces": {
        "InvalidParameterValue": "Order SearchKey",
    },
    "ListTriggers": {
        "InvalidParameterValue": "Filters Order OrderBy",
    },
    "ListVersionByFunction": {
        "InvalidParameterValue": "FunctionName Namespace Order",
    },
    "PublishLayerVersion": {
        "InvalidParameterValue": (
            "CompatibleRuntimes Content CosBucketName CosBucketRegion "
            "CosObjectName Description LayerName TempCosObjectName"
        ),
    },
    "PublishVersion": {
        "InvalidParameterValue": "Description FunctionName Namespace",
    },
    "PutProvisionedConcurrencyConfig": {
        "InvalidParameterValue": (
            "FunctionName MinCapacity Qualifier TrackingTarget "
            "TriggerCronConfig TriggerProvisionedConcurrencyNum"
        ),
    },
    "PutReservedConcurrencyConfig": {
        "InvalidParameterValue": "FunctionName Namespace",
    },
    "TerminateAsyncEvent": {
        "InvalidParameterValue": "FunctionName",
    },
    "UpdateAlias": {
        "InvalidParameter": "RoutingConfig",
        "InvalidParameterValue": (
            "AdditionalVersionWeights Description FunctionName Name Namespace RoutingConfig"
        ),
    },
    "UpdateFunctionCode": {
        "InvalidParameterValue": (
            "Args Code CodeSource Command CosBucketName CosBucketRegion "
            "CosObjectName DemoId FunctionName GitBranch GitDirectory "
            "GitPassword GitUrl GitUserName Handler ImageType ImageUri "
            "Namespace RegistryId TempCosObjectName ZipFile"
        ),
    },
    "UpdateFunctionConfiguration": {
        "InvalidParameterValue": (
            "CfsId Description DynamicEnabled EipConfig Environment "
            "FunctionName IdleTimeOut InstanceConcurrencyConfig L5Enable Layers "
            "MaxConcurrency MemorySize Namespace NodeSpec PublicNetConfig "
            "Runtime"
        ),
    },
    "UpdateFunctionEventInvokeConfig": {
        "InvalidParameterValue": "AsyncTriggerConfig FunctionName Namespace",
    },
    "UpdateNamespace": {
        "InvalidParameterValue": "Description",
    },
    "UpdateTrigger": {
        "InvalidParameterValue": "Description Enable FunctionName TriggerDesc TriggerName Type",
    },
    "UpdateTriggerStatus": {
        "InvalidParameterValue": "Enable TriggerDesc TriggerName Type",
    },
}

#: ``(action, code)`` pairs.
LISTED: frozenset[tuple[str, str]] = frozenset(
    (action, f"{kind}.{name}")
    for action, kinds in _BY_ACTION.items()
    for kind, names in kinds.items()
    for name in names.split()
)
