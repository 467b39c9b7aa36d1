"""Fields that real tools send although the published models lack them.

They are taken and change nothing, except ``DryRun``. Every other field that an action does not have
is refused, see ``unknown_fields``.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from api.cloud.coverage import FIELDS

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends a field that the models lack, and where that can be read."""

    name: str
    source: str


TOOLKIT = Sender(
    "the Serverless components",
    "https://github.com/serverless-tencent/tencent-component-toolkit (src/modules/scf)",
)
CLOUDBASE = Sender(
    "CloudBase's tools",
    "https://github.com/TencentCloudBase/cloudbase-manager-node (src/function)",
)
COMMAND = Sender(
    "the command `scf` 0.2.8",
    "https://github.com/tencentyun/scfcli (tcfcli/libs/utils/scf_client.py)",
)
SDK = Sender("", "the error code DryRunOperation in the list of the SDK")


@dataclass(frozen=True, slots=True)
class Extra:
    """A field of an action, beside its model's. ``note`` is what it does here."""

    name: str
    sender: Sender
    note: str = "changes nothing here"


def _sent(sender: Sender, names: str) -> tuple[Extra, ...]:
    return tuple(Extra(name, sender) for name in names.split())


_REHEARSED = Extra(
    "DryRun",
    SDK,
    "`TRUE`: everything is checked, nothing changes, success is the error `DryRunOperation`",
)
NOT_REHEARSED = Extra("DryRun", SDK, "`TRUE` is `UnsupportedOperation`: nothing is done")
_WITH_DRY_RUN = ("CreateFunction", "UpdateFunctionCode", "UpdateFunctionConfiguration")
#: They run functions, and know no rehearsal.
_WITHOUT_DRY_RUN = ("Invoke", "InvokeFunction")

_SENT = {
    "CreateFunction": (
        *_sent(TOOLKIT, "DeployMode L5Enable DiskSize NodeType NodeSpec"),
        *_sent(CLOUDBASE, "Stamp CodeSecret"),
    ),
    "GetFunction": (*_sent(TOOLKIT, "ShowTriggers"), *_sent(CLOUDBASE, "CodeSecret")),
    "UpdateFunctionCode": _sent(CLOUDBASE, "CodeSecret"),
    "UpdateFunctionConfiguration": _sent(
        TOOLKIT, "DiskSize NodeType NodeSpec AsyncRunEnable TraceEnable"
    ),
    "CopyFunction": _sent(CLOUDBASE, "CodeSecret"),
    "GetFunctionAddress": _sent(CLOUDBASE, "CodeSecret"),
    "PublishLayerVersion": _sent(CLOUDBASE, "Src"),
    "ListLayers": _sent(CLOUDBASE, "SearchSrc"),
    "CreateNamespace": _sent(COMMAND, "Type"),
    "ListFunctions": _sent(COMMAND, "Type"),
}


def _extras(action: str) -> tuple[Extra, ...]:
    sent = _SENT.get(action, ())
    if action in _WITHOUT_DRY_RUN:
        return sent
    return (*sent, _REHEARSED if action in _WITH_DRY_RUN else NOT_REHEARSED)


#: Every action that is simulated, with the fields that it takes beside its model's.
EXTRA: Mapping[str, tuple[Extra, ...]] = MappingProxyType(
    {action: _extras(action) for action in FIELDS}
)

#: Actions that the cloud has and the SDK lacks.
BEYOND_SDK: Mapping[str, Sender] = MappingProxyType(
    {
        **dict.fromkeys(
            ("BatchCreateTrigger", "GetTempCosInfo", "UpdateFunctionIncrementalCode"), CLOUDBASE
        ),
        "GetDemoAddress": TOOLKIT,
        **dict.fromkeys(
            (
                "CreateFunctionTestModel",
                "DeleteFunctionTestModel",
                "GetFunctionTestModel",
                "ListFunctionTestModels",
                "UpdateFunctionTestModel",
            ),
            COMMAND,
        ),
    }
)
