"""No field is dropped: each takes effect, is kept and given back, or is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tencentcloud.scf.v20180416 import models as sdk_models

from api.cloud import coverage_page as fields
from api.cloud.coverage import FIELDS
from api.cloud.models import REQUESTS
from sandbox.errors import EngineError
from tests.contract.cloud_kit import fields_of, running_cloud
from tests.contract.coverage_kit import drives, sample_of
from tests.contract.listed_codes import listed
from tests.contract.sdk_kit import (
    Sdk,
    cloud_at_address,
    require_complete,
    require_other_sources_refused,
)
from tests.support.zips import zip_of, zip_text

if TYPE_CHECKING:
    from pathlib import Path

MOUNT = {
    "UserId": "1",
    "UserGroupId": "1",
    "CfsId": "cfs-1",
    "MountInsId": "m-1",
    "LocalMountDir": "/mnt",
    "RemoteMountDir": "/",
    "IpAddress": "10.0.0.9",
    "MountVpcId": "vpc-1",
    "MountSubnetId": "s-1",
}

#: Fields of a configuration that are given back, as they are sent and as they are shown.
CONFIGURATION: dict[str, Any] = {
    "Description": "all of it",
    "MemorySize": 256,
    "Timeout": 9,
    "InitTimeout": 8,
    "Environment": {"Variables": [{"Key": "A", "Value": "1"}]},
    "Role": "role-1",
    "VpcConfig": {"VpcId": "vpc-1", "SubnetId": "s-1"},
    "InstallDependency": "TRUE",
    "ClsLogsetId": "logset",
    "ClsTopicId": "topic",
    "DeadLetterConfig": {"Type": "CMQ-QUEUE", "Name": "dead", "FilterType": ""},
    "CfsConfig": {"CfsInsList": [MOUNT]},
    "ProtocolParams": {"WSParams": {"IdleTimeOut": 15}},
    "InstanceConcurrencyConfig": {
        **sample_of("InstanceConcurrencyConfig"),
        "DynamicEnabled": "FALSE",
        "MaxConcurrency": 2,
    },
    "DnsCache": "TRUE",
}
PUBLIC_NET = {"PublicNetStatus": "DISABLE", "EipConfig": {"EipStatus": "ENABLE"}}
LAYERS = [{"LayerName": "tools", "LayerVersion": 1}]


def shown(answer: Any, names: dict[str, Any]) -> dict[str, Any]:
    """What an SDK answer has under these names, without what was neither sent nor set."""
    serialized = answer._serialize(allow_none=False)
    return {name: _without_none(serialized.get(name)) for name in names}


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list) else value


def test_the_page_about_the_fields_is_up_to_date() -> None:
    assert fields.TARGET.read_text() == fields.render(), "run python -m api.cloud.coverage_page"


@pytest.mark.parametrize("action", FIELDS)
def test_the_table_has_exactly_the_fields_of_the_sdk(action: str) -> None:
    assert fields.uncovered(action) == set()
    top = {field.name.partition(".")[0] for field in FIELDS[action]}
    assert top == fields_of(getattr(sdk_models, f"{action}Request"))


async def test_the_table_has_exactly_the_actions_that_are_simulated(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        assert cloud.api.simulated == set(FIELDS)
        for action in set(REQUESTS) - set(FIELDS):
            assert await cloud.code_of(action) == "UnsupportedOperation"


@drives("CreateFunction", "UpdateFunctionCode", "UpdateFunctionConfiguration", "GetFunction")
async def test_every_field_of_a_function_takes_effect_or_comes_back(tmp_path: Path) -> None:
    async with cloud_at_address(tmp_path, signature="off") as (cloud, address):
        sdk = Sdk(address)
        await sdk.call(
            "PublishLayerVersion",
            LayerName="tools",
            CompatibleRuntimes=["CustomRuntime"],
            Content={"ZipFile": zip_text({"bin/tool": "x"})},
            Description="needed",
            LicenseInfo="MIT",
            Tags=[{"Key": "t", "Value": "v"}],
        )
        await cloud.call("CreateNamespace", Namespace="stage")
        where = {"FunctionName": "echo", "Namespace": "stage"}
        await sdk.call(
            "CreateFunction",
            **where,
            **CONFIGURATION,
            Code={"ZipFile": zip_text()},
            CodeSource="ZipFile",
            Handler="a.b",
            Runtime="CustomRuntime",
            Type="Event",
            Layers=LAYERS,
            Tags=[{"Key": "team", "Value": "red"}],
            AsyncRunEnable="TRUE",
            TraceEnable="TRUE",
            AutoCreateClsTopic="FALSE",
            AutoDeployClsTopicIndex="TRUE",
            ProtocolType="WS",
            PublicNetConfig=PUBLIC_NET,
            IntranetConfig={"IpFixed": "ENABLE"},
        )
        await cloud.functions.settled("stage", "echo")
        found = await sdk.call("GetFunction", **where, Qualifier="$LATEST", ShowCode="TRUE")
        require_complete(found, "ImageConfig")
        assert shown(found, CONFIGURATION) == CONFIGURATION
        assert found.PublicNetConfig.PublicNetStatus == "DISABLE"
        assert found.PublicNetConfig.EipConfig.EipStatus == "ENABLE"
        assert (found.ProtocolType, found.IntranetConfig.IpFixed) == ("WS", "ENABLE")
        assert (found.AsyncRunEnable, found.TraceEnable, found.Handler) == ("TRUE", "TRUE", "a.b")
        assert (found.Tags[0].Key, found.Layers[0].LayerName) == ("team", "tools")
        assert found.CodeInfo.startswith("#!")
        kept = cloud.functions.get("stage", "echo").latest.config.kept
        assert kept["AutoDeployClsTopicIndex"] == "TRUE"

        changed = {**CONFIGURATION, "Timeout": 11, "ClsTopicId": "another", "DnsCache": "FALSE"}
        await sdk.call(
            "UpdateFunctionConfiguration",
            **where,
            **changed,
            Runtime="CustomRuntime",
            Publish="TRUE",
            L5Enable="TRUE",
            Layers=LAYERS,
            PublicNetConfig=PUBLIC_NET,
            IntranetConfig={"IpFixed": "DISABLE"},
            IgnoreSysLog=True,
        )
        await cloud.functions.settled("stage", "echo")
        found = await sdk.call("GetFunction", **where, Qualifier="1")
        assert shown(found, changed) == changed
        assert (found.L5Enable, found.IntranetConfig.IpFixed) == ("TRUE", "DISABLE")
        kept = cloud.functions.get("stage", "echo").latest.config.kept
        assert kept["IgnoreSysLog"] is True

        code = {"CodeSource": "ZipFile", "InstallDependency": "FALSE", "Publish": "TRUE"}
        new = zip_text({"bootstrap": "new"})
        await sdk.call(
            "UpdateFunctionCode", **where, **code, Handler="c.d", ZipFile=new, EnvId="env-1"
        )
        await cloud.functions.settled("stage", "echo")
        found = await sdk.call("GetFunction", **where, Qualifier="2", ShowCode="TRUE")
        assert (found.CodeInfo, found.Handler, found.InstallDependency) == ("new", "c.d", "FALSE")
        assert cloud.functions.get("stage", "echo").latest.config.kept["EnvId"] == "env-1"
        cloud.engine.prepare_error = EngineError("no space left")
        await sdk.call("UpdateFunctionConfiguration", **where, Timeout=12)
        await cloud.functions.settled("stage", "echo")
        found = await sdk.call("GetFunction", **where)
        assert found.StatusReasons[0].ErrorMessage == found.StatusDesc == "no space left"
        for source in ("CosBucketName", "CosObjectName", "CosBucketRegion"):
            error = await sdk.error_of("UpdateFunctionCode", **where, **{source: "x"})
            assert error.code == "UnsupportedOperation"
        await require_other_sources_refused(sdk, "UpdateFunctionCode", "Code", **where)
        new_one = {"FunctionName": "new", "Runtime": "CustomRuntime"}
        await require_other_sources_refused(sdk, "CreateFunction", "Code", **new_one)


async def test_what_is_empty_clears_what_was_there(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create(**CONFIGURATION)
        await cloud.call(
            "UpdateFunctionConfiguration",
            FunctionName="echo",
            Description="",
            Role="",
            ClsLogsetId="",
            ClsTopicId="",
            Environment={"Variables": [{"Key": "", "Value": ""}]},
            VpcConfig={"VpcId": "", "SubnetId": ""},
            DeadLetterConfig={"Type": "", "Name": ""},
            CfsConfig={"CfsInsList": []},
        )
        await cloud.functions.settled("default", "echo")
        found = await cloud.call("GetFunction", FunctionName="echo")
    assert (found["Description"], found["Role"], found["ClsTopicId"]) == ("", "", "")
    assert found["Environment"]["Variables"] == found["CfsConfig"]["CfsInsList"] == []
    assert found["VpcConfig"] == {"VpcId": "", "SubnetId": ""}
    assert found["DeadLetterConfig"]["Name"] == ""
    assert found["Timeout"] == CONFIGURATION["Timeout"]


async def test_a_function_that_wants_a_log_topic_of_its_own_has_one(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create("with", AutoCreateClsTopic="TRUE")
        await cloud.create("given", AutoCreateClsTopic="TRUE", ClsTopicId="mine")
        own = await cloud.call("GetFunction", FunctionName="with")
        given = await cloud.call("GetFunction", FunctionName="given")
    assert own["ClsTopicId"]
    assert own["ClsLogsetId"]
    assert (given["ClsTopicId"], given["ClsLogsetId"]) == ("mine", "")


async def test_a_failed_update_shows_why_and_the_code_before_goes_on_serving(
    tmp_path: Path,
) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create()
        cloud.engine.prepare_error = EngineError("no space left")
        await cloud.call("UpdateFunctionCode", FunctionName="echo", ZipFile=zip_text({"x": "y"}))
        await cloud.functions.settled("default", "echo")
        found = await cloud.call("GetFunction", FunctionName="echo", ShowCode="TRUE")
        invoked = await cloud.call("Invoke", FunctionName="echo")
    assert (found["Status"], found["StatusReasons"][0]["ErrorMessage"]) == (
        "UpdateFailed",
        "no space left",
    )
    assert found["CodeInfo"].startswith("#!")
    assert invoked["Result"]["InvokeResult"] == 0


VALUE = "InvalidParameterValue"
ERRORS: list[tuple[str, dict[str, Any], str]] = [
    ("CreateFunction", {"CodeSource": "Cos"}, "UnsupportedOperation"),
    ("CreateFunction", {"CodeSource": "Fax"}, f"{VALUE}.CodeSource"),
    ("CreateFunction", {"TraceEnable": "maybe"}, f"{VALUE}.TraceEnable"),
    ("CreateFunction", {"DnsCache": "maybe"}, VALUE),
    ("CreateFunction", {"InstallDependency": "maybe"}, VALUE),
    ("CreateFunction", {"ProtocolType": "SMTP"}, f"{VALUE}.ProtocolType"),
    ("CreateFunction", {"PublicNetConfig": {"PublicNetStatus": "x"}}, f"{VALUE}.PublicNetConfig"),
    (
        "CreateFunction",
        {"PublicNetConfig": {"PublicNetStatus": "ENABLE", "EipConfig": {"EipStatus": "x"}}},
        f"{VALUE}.EipConfig",
    ),
    ("CreateFunction", {"IntranetConfig": {"IpFixed": "x"}}, VALUE),
    ("UpdateFunctionConfiguration", {"Runtime": "Python3.6"}, f"{VALUE}.Runtime"),
    ("UpdateFunctionConfiguration", {"MemorySize": 100}, f"{VALUE}.Memory"),
    ("UpdateFunctionConfiguration", {"Timeout": 901}, "LimitExceeded.Timeout"),
    ("UpdateFunctionConfiguration", {"InitTimeout": 301}, "LimitExceeded.InitTimeout"),
    ("UpdateFunctionConfiguration", {"Description": "x" * 1001}, f"{VALUE}.Description"),
    ("UpdateFunctionConfiguration", {"L5Enable": "x"}, f"{VALUE}.L5Enable"),
    ("UpdateFunctionConfiguration", {"Publish": "x"}, VALUE),
    ("UpdateFunctionConfiguration", {"FunctionName": "no"}, "ResourceNotFound.FunctionName"),
    ("UpdateFunctionConfiguration", {"DryRun": "perhaps"}, VALUE),
    ("UpdateFunctionCode", {"FunctionName": "no"}, "ResourceNotFound.FunctionName"),
]


async def test_what_is_wrong_about_a_field_has_a_code_of_the_action(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create()
        for action, params, code in ERRORS:
            given = {"FunctionName": "echo", **params}
            if action == "CreateFunction":
                given |= {"FunctionName": "new", "Runtime": "CustomRuntime"}
                given["Code"] = {"ZipFile": zip_text()}
            assert (action, params, await cloud.code_of(action, **given)) == (action, params, code)
            assert code in listed(action), (action, code)


async def test_a_dry_run_checks_everything_and_changes_nothing(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create()
        before = cloud.functions.get("default", "echo")
        create = {"FunctionName": "new", "Runtime": "CustomRuntime", "DryRun": True}
        good, bad = {"ZipFile": zip_text({"bootstrap": "n"})}, {"ZipFile": "AAAA"}
        update = {"FunctionName": "echo", "DryRun": "TRUE"}
        rehearsals: list[tuple[str, dict[str, Any], str]] = [
            ("CreateFunction", {**create, "Code": good}, "DryRunOperation"),
            ("CreateFunction", {**create, "Code": bad}, f"{VALUE}.ZipFile"),
            ("CreateFunction", {**create, "Code": good, "MemorySize": 1}, f"{VALUE}.Memory"),
            ("UpdateFunctionCode", {**update, **good}, "DryRunOperation"),
            ("UpdateFunctionCode", {**update, **bad}, f"{VALUE}.ZipFile"),
            ("UpdateFunctionConfiguration", {**update, "Timeout": 9}, "DryRunOperation"),
            ("UpdateFunctionConfiguration", {**update, "Timeout": 0}, "LimitExceeded.Timeout"),
            ("DeleteFunction", update, "UnsupportedOperation"),
        ]
        for action, params, code in rehearsals:
            assert (action, await cloud.code_of(action, **params)) == (action, code)
        assert cloud.functions.get("default", "echo") is before
        assert await cloud.code_of("GetFunction", FunctionName="new") == (
            "ResourceNotFound.FunctionName"
        )
        await cloud.functions.code.drain()
        assert len(list((tmp_path / "packages").glob("*.zip"))) == 1
        real = {"FunctionName": "echo", "Timeout": 9, "DryRun": "FALSE"}
        assert "Error" not in await cloud.call("UpdateFunctionConfiguration", **real)


@drives("GetFunctionAddress")
async def test_the_address_of_a_function_is_a_link_that_works_for_a_while(tmp_path: Path) -> None:
    async with cloud_at_address(tmp_path, signature="off") as (cloud, address):
        sdk = Sdk(f"http://{address}")
        await cloud.create()
        await cloud.call("PublishVersion", FunctionName="echo")
        await cloud.functions.settled("default", "echo")
        await cloud.call("UpdateFunctionCode", FunctionName="echo", ZipFile=zip_text({"x": "y"}))
        await cloud.functions.settled("default", "echo")
        where = {"FunctionName": "echo", "Namespace": "default"}
        old = await sdk.call("GetFunctionAddress", **where, Qualifier="1")
        new = await sdk.call("GetFunctionAddress", **where)
        require_complete(old)
        assert old.Url.startswith(f"http://{address}/")
        async with httpx.AsyncClient(trust_env=False) as client:
            loaded = await client.get(old.Url)
            assert loaded.content == zip_of()
            assert loaded.headers["content-type"] == "application/zip"
            assert "echo.zip" in loaded.headers["content-disposition"]
            assert (await client.get(new.Url)).content == zip_of({"x": "y"})
            stolen = old.Url.replace(old.CodeSha256, new.CodeSha256)
            longer = old.Url.replace("expires=", "expires=9")
            for changed in (stolen, longer, old.Url.partition("?")[0]):
                assert (await client.get(changed)).status_code == 403
            cloud.clock.ahead_s = 601
            late = await client.get(old.Url)
            assert (late.status_code, late.json()["error"]["code"]) == (
                403,
                "AuthFailure.SignatureExpire",
            )
            cloud.clock.ahead_s = 0
            await cloud.call("DeleteFunction", FunctionName="echo")
            await cloud.functions.rollout.drain()
            await cloud.functions.code.drain()
            assert (await client.get(old.Url)).status_code == 404
        errors = [
            ({"Qualifier": "9"}, "ResourceNotFound.Version"),
            ({}, "ResourceNotFound.FunctionName"),
        ]
        await cloud.create("other")
        for params, code in errors:
            name = "other" if params else "echo"
            found = await cloud.code_of("GetFunctionAddress", FunctionName=name, **params)
            assert found == code
            assert code in listed("GetFunctionAddress")
