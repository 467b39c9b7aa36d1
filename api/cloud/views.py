"""Functions as the cloud API shows them, with every field of the SDK's models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from api.cloud.times import to_text
from sandbox.functions.model import FunctionStatus

if TYPE_CHECKING:
    from sandbox.functions.model import Function, FunctionVersion

_FAILED = (
    FunctionStatus.CREATE_FAILED,
    FunctionStatus.UPDATE_FAILED,
    FunctionStatus.PUBLISH_FAILED,
)


def function_details(
    function: Function, version: FunctionVersion, qualifier: str, code_text: str
) -> dict[str, Any]:
    """The answer of GetFunction for one version, under the requested qualifier.

    ``CodeInfo`` is ``code_text``, ``CodeSize`` the zip's bytes. The caller adds ``Layers``. A field
    that is not simulated has the value that was given, or the platform's default.
    """
    wanted = version.wanted
    config, kept = wanted.config, wanted.config.kept
    failed = version.status in _FAILED
    message = "; ".join(reason.message for reason in version.status_reasons)
    return {
        "ModTime": to_text(version.modified_at),
        "CodeInfo": code_text,
        "Description": config.description,
        "Triggers": [],
        "Handler": config.handler,
        "CodeSize": wanted.code.zip_bytes if wanted.code else 0,
        "Timeout": config.timeout_s,
        "FunctionVersion": version.version,
        "MemorySize": config.memory_mb,
        "Runtime": config.runtime,
        "FunctionName": function.name,
        "VpcConfig": {"VpcId": "", "SubnetId": "", **(kept.get("VpcConfig") or {})},
        "UseGpu": "FALSE",
        "Environment": {"Variables": _pairs(config.environment)},
        "CodeResult": "failed" if failed else "success",
        "CodeError": message if failed else "",
        "ErrNo": 0,
        "Namespace": function.namespace,
        "Role": config.role,
        "InstallDependency": kept.get("InstallDependency", "FALSE"),
        "Status": version.status.value,
        "StatusDesc": message,
        "ClsLogsetId": kept.get("ClsLogsetId", ""),
        "ClsTopicId": kept.get("ClsTopicId", ""),
        "FunctionId": function.function_id,
        "Tags": _pairs(function.tags),
        "EipConfig": {"EipFixed": "FALSE", "Eips": []},
        "AccessInfo": {"Host": "", "Vip": ""},
        "Type": config.type,
        "L5Enable": kept.get("L5Enable", "FALSE"),
        "Layers": [],
        "DeadLetterConfig": {
            "Type": config.dead_letter.type,
            "Name": config.dead_letter.name,
            "FilterType": config.dead_letter.filter_type,
        },
        "AddTime": to_text(version.created_at),
        "PublicNetConfig": _public_net(kept.get("PublicNetConfig") or {}),
        "OnsEnable": "FALSE",
        "CfsConfig": kept.get("CfsConfig") or {"CfsInsList": []},
        "AvailableStatus": "Available",
        "Qualifier": qualifier,
        "InitTimeout": config.init_timeout_s,
        "StatusReasons": _reasons(version),
        "AsyncRunEnable": _flag(config.async_run),
        "TraceEnable": _flag(config.traced),
        "ImageConfig": None,
        "ProtocolType": kept.get("ProtocolType", ""),
        "ProtocolParams": kept.get("ProtocolParams"),
        "InstanceConcurrencyConfig": kept.get("InstanceConcurrencyConfig"),
        "DnsCache": kept.get("DnsCache", "FALSE"),
        "IntranetConfig": {
            "IpFixed": (kept.get("IntranetConfig") or {}).get("IpFixed", "DISABLE"),
            "IpAddress": [],
        },
    }


def function_item(function: Function) -> dict[str, Any]:
    """One function in a list: what ListFunctions shows of its ``$LATEST``."""
    version = function.latest
    config = version.wanted.config
    return {
        "ModTime": to_text(version.modified_at),
        "AddTime": to_text(function.created_at),
        "Runtime": config.runtime,
        "FunctionName": function.name,
        "FunctionId": function.function_id,
        "Namespace": function.namespace,
        "Status": version.status.value,
        "StatusDesc": "; ".join(reason.message for reason in version.status_reasons),
        "Description": config.description,
        "Tags": _pairs(function.tags),
        "Type": config.type,
        "StatusReasons": _reasons(version),
        "TotalProvisionedConcurrencyMem": function.provisioned_mb,
        "ReservedConcurrencyMem": function.reserved_mb,
        "AsyncRunEnable": _flag(config.async_run),
        "TraceEnable": _flag(config.traced),
    }


def _pairs(mapping: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in mapping.items()]


def _reasons(version: FunctionVersion) -> list[dict[str, str]]:
    return [
        {"ErrorCode": reason.code, "ErrorMessage": reason.message}
        for reason in version.status_reasons
    ]


def _flag(value: bool) -> str:
    return "TRUE" if value else "FALSE"


def _public_net(given: dict[str, Any]) -> dict[str, Any]:
    eip = given.get("EipConfig") or {}
    return {
        "PublicNetStatus": given.get("PublicNetStatus", "ENABLE"),
        "EipConfig": {"EipStatus": eip.get("EipStatus", "DISABLE"), "EipAddress": []},
    }
