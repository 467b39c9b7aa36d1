"""CopyFunction through the official SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.errors import EngineError
from tests.contract.cloud_kit import running_cloud
from tests.contract.coverage_kit import drives
from tests.contract.listed_codes import listed
from tests.contract.sdk_kit import Sdk, cloud_at_address
from tests.support.zips import zip_text

if TYPE_CHECKING:
    from pathlib import Path

CONFIGURATION: dict[str, Any] = {
    "Handler": "a.b",
    "Timeout": 9,
    "Description": "the original",
    "Environment": {"Variables": [{"Key": "A", "Value": "1"}]},
    "Tags": [{"Key": "team", "Value": "red"}],
    "VpcConfig": {"VpcId": "vpc-1", "SubnetId": "s-1"},
}


@drives("CopyFunction")
async def test_a_copy_has_code_and_configuration_and_a_life_of_its_own(tmp_path: Path) -> None:
    async with cloud_at_address(tmp_path, signature="off") as (cloud, address):
        sdk = Sdk(address)
        await cloud.call("CreateNamespace", Namespace="stage")
        await cloud.create(**CONFIGURATION)
        await cloud.call("PublishVersion", FunctionName="echo")
        await sdk.call(
            "CopyFunction",
            FunctionName="echo",
            Namespace="default",
            NewFunctionName="copy",
            TargetNamespace="stage",
            Description="a copy",
            TargetRegion="na-toronto",  # the region that the client calls
            Override=False,
            CopyConfiguration=True,
        )
        await cloud.functions.settled("stage", "copy")
        await cloud.call("DeleteFunction", FunctionName="echo")
        await cloud.functions.rollout.drain()
        await cloud.functions.code.drain()
        found = await cloud.call(
            "GetFunction", FunctionName="copy", Namespace="stage", ShowCode="TRUE"
        )
        versions = await cloud.call("ListVersionByFunction", FunctionName="copy", Namespace="stage")
    expected = {**CONFIGURATION, "Description": "a copy"}
    assert {name: found[name] for name in expected} == expected
    assert found["Status"] == "Active"
    assert found["CodeInfo"].startswith("#!")
    assert versions["FunctionVersion"] == ["$LATEST"]


async def test_a_copy_without_configuration_has_the_platforms_defaults(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create(**CONFIGURATION)
        await cloud.call(
            "CopyFunction", FunctionName="echo", NewFunctionName="bare", CopyConfiguration=False
        )
        await cloud.functions.settled("default", "bare")
        found = await cloud.call("GetFunction", FunctionName="bare")
    assert (found["Handler"], found["Timeout"], found["Description"]) == ("a.b", 3, "")
    assert found["Environment"]["Variables"] == found["Tags"] == []


async def test_a_copy_replaces_a_function_only_when_it_is_told_to(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create()
        await cloud.create("old", Code={"ZipFile": zip_text({"bootstrap": "old"})})
        before = cloud.functions.get("default", "old").function_id
        copy = {"FunctionName": "echo", "NewFunctionName": "old"}
        assert await cloud.code_of("CopyFunction", **copy) == "ResourceInUse.FunctionName"
        await cloud.call("CopyFunction", **copy, Override=True)
        await cloud.functions.settled("default", "old")
        found = await cloud.call("GetFunction", FunctionName="old", ShowCode="TRUE")
        await cloud.functions.rollout.drain()
        await cloud.functions.code.drain()
        packages = list((tmp_path / "packages").glob("*.zip"))
    assert found["CodeInfo"].startswith("#!")
    assert found["FunctionId"] != before
    assert len(packages) == 1


ERRORS: list[tuple[dict[str, Any], str]] = [
    ({"FunctionName": "nobody"}, "ResourceNotFound.FunctionName"),
    ({"NewFunctionName": "-x"}, "InvalidParameterValue.FunctionName"),
    ({"NewFunctionName": "echo"}, "ResourceInUse.FunctionName"),
    ({"NewFunctionName": "echo", "Override": True}, "ResourceInUse.FunctionName"),
    ({"TargetNamespace": "nowhere"}, "ResourceNotFound.Namespace"),
    ({"TargetRegion": "mars"}, "FailedOperation.CopyFunction"),
    ({"Description": "x" * 1001}, "InvalidParameterValue.Description"),
    ({"FunctionName": "failed"}, "FailedOperation.CopyFailed"),
    ({"NewFunctionName": None}, "MissingParameter"),
]


async def test_what_is_wrong_about_a_copy_has_a_code_of_the_action(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create()
        cloud.engine.prepare_error = EngineError("no space left")
        await cloud.create("failed")
        for params, code in ERRORS:
            given = {"FunctionName": "echo", "NewFunctionName": "copy", **params}
            assert (params, await cloud.code_of("CopyFunction", **given)) == (params, code)
            assert code in listed("CopyFunction"), code


async def test_a_copy_counts_as_a_function(tmp_path: Path) -> None:
    async with running_cloud(tmp_path, functions_per_namespace=1) as cloud:
        await cloud.create()
        code = await cloud.code_of("CopyFunction", FunctionName="echo", NewFunctionName="copy")
    assert code == "LimitExceeded.Function"
