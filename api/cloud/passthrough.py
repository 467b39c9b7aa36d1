"""Fields that change nothing in the sandbox. They are checked, kept, and returned as they came."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from api.cloud.validation import invalid, switch

if TYPE_CHECKING:
    from api.cloud.models.base import Request

#: Kept with the configuration, under their names.
KEPT = frozenset(
    {
        "AutoCreateClsTopic",
        "AutoDeployClsTopicIndex",
        "CfsConfig",
        "ClsLogsetId",
        "ClsTopicId",
        "DnsCache",
        "EnvId",
        "IgnoreSysLog",
        "InstallDependency",
        "InstanceConcurrencyConfig",
        "IntranetConfig",
        "L5Enable",
        "ProtocolParams",
        "ProtocolType",
        "PublicNetConfig",
        "VpcConfig",
    }
)

SWITCHES = (
    "AutoCreateClsTopic",
    "AutoDeployClsTopicIndex",
    "DnsCache",
    "InstallDependency",
    "L5Enable",
)


def kept_fields(action: str, request: Request) -> dict[str, Any]:
    """Those of the request's fields that are kept. Switches come as TRUE or FALSE.

    Raises ``InvalidParameterValue.<field>`` for a wrong value, if the action lists that code.
    """
    kept = request.model_dump(include=set(KEPT), exclude_none=True)
    for name in SWITCHES:
        if name in kept:
            kept[name] = "TRUE" if switch(action, name, kept[name]) else "FALSE"
    public = kept.get("PublicNetConfig", {})
    _enabled(action, "PublicNetConfig", public, "PublicNetStatus")
    _enabled(action, "EipConfig", public.get("EipConfig", {}), "EipStatus")
    _enabled(action, "IntranetConfig", kept.get("IntranetConfig", {}), "IpFixed")
    if kept.get("ProtocolType", "") not in ("", "WS"):
        raise invalid(action, "ProtocolType", "ProtocolType must be WS, or not given")
    return kept


def created_topic(namespace: str, name: str, kept: dict[str, Any]) -> dict[str, Any]:
    """``AutoCreateClsTopic``: a new log topic, unless the request names one. The sandbox has no log
    service, so the topic is only a name. The logs stay in the sandbox."""
    if kept.get("AutoCreateClsTopic") != "TRUE" or kept.get("ClsTopicId"):
        return {}
    logset = uuid.uuid5(uuid.NAMESPACE_URL, f"scf-sandbox:{namespace}")
    topic = uuid.uuid5(logset, name)
    return {"ClsLogsetId": kept.get("ClsLogsetId") or str(logset), "ClsTopicId": str(topic)}


def _enabled(action: str, name: str, part: dict[str, Any], field: str) -> None:
    if part.get(field, "ENABLE") not in ("ENABLE", "DISABLE"):
        raise invalid(action, name, f"{name}.{field} must be ENABLE or DISABLE")
