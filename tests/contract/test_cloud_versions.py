"""Versions through the official SDK: published for good, listed, deleted, invoked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sandbox import limits
from sandbox.errors import EngineError
from tests.contract.cloud_kit import running_cloud
from tests.contract.coverage_kit import drives
from tests.contract.listed_codes import listed
from tests.contract.sdk_kit import Sdk, cloud_at_address, require_complete
from tests.support.zips import zip_text

if TYPE_CHECKING:
    from pathlib import Path

    from tests.contract.cloud_kit import LocalCloud

ACTIONS = ("PublishVersion", "ListVersionByFunction", "DeleteFunctionVersion")


async def publish(cloud: LocalCloud, name: str = "echo", **params: Any) -> str:
    """A version that is Active."""
    answer = await cloud.call("PublishVersion", FunctionName=name, **params)
    await cloud.functions.settled("default", name)
    number: str = answer["FunctionVersion"]
    return number


@drives(*ACTIONS)
async def test_versions_live_their_whole_life_through_the_sdk(tmp_path: Path) -> None:
    async with cloud_at_address(tmp_path, signature="off") as (cloud, address):
        sdk = Sdk(address)
        where = {"FunctionName": "echo", "Namespace": "default"}
        await cloud.create(MemorySize=256, Timeout=7, Handler="a.b", Description="the first")
        published = await sdk.call("PublishVersion", **where, Description="frozen")
        require_complete(published)
        assert (published.FunctionVersion, published.Description) == ("1", "frozen")
        assert (published.MemorySize, published.Timeout, published.Handler) == (256, 7, "a.b")
        assert (published.Runtime, published.Namespace) == ("CustomRuntime", "default")
        assert published.CodeSize > 0
        await cloud.functions.settled("default", "echo")

        listed = await sdk.call(
            "ListVersionByFunction", **where, Offset=0, Limit=5, Order="ASC", OrderBy="AddTime"
        )
        require_complete(listed)
        assert listed.FunctionVersion == ["$LATEST", "1"]
        assert [(v.Status, v.Description) for v in listed.Versions] == [
            ("Active", "the first"),
            ("Active", "frozen"),
        ]
        assert listed.TotalCount == 2

        invoked = await sdk.call("Invoke", FunctionName="echo", Qualifier="1")
        assert invoked.Result.InvokeResult == 0
        assert cloud.invoker.versions == ["1"]

        await sdk.call("DeleteFunctionVersion", **where, Qualifier="1", ForceDelete="true")
        assert cloud.killed == ["1"]
        error = await sdk.error_of("Invoke", FunctionName="echo", Qualifier="1")
        assert error.code == "ResourceNotFound.Qualifier"


async def test_a_published_version_stays_as_it_was_when_latest_changes(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create(Environment={"Variables": [{"Key": "A", "Value": "1"}]})
        number = await publish(cloud)
        await cloud.call("UpdateFunctionCode", FunctionName="echo", ZipFile=zip_text({"x": "y"}))
        await cloud.functions.settled("default", "echo")
        await cloud.call(
            "UpdateFunctionConfiguration",
            FunctionName="echo",
            Environment={"Variables": [{"Key": "A", "Value": "2"}]},
        )
        await cloud.functions.settled("default", "echo")
        old = await cloud.call(
            "GetFunction", FunctionName="echo", Qualifier=number, ShowCode="TRUE"
        )
        new = await cloud.call("GetFunction", FunctionName="echo", ShowCode="TRUE")
    assert old["Environment"]["Variables"] == [{"Key": "A", "Value": "1"}]
    assert new["Environment"]["Variables"] == [{"Key": "A", "Value": "2"}]
    assert old["CodeInfo"].startswith("#!/bin/bash")
    assert new["CodeInfo"] == ""
    assert (old["Qualifier"], old["FunctionVersion"]) == (number, number)


async def test_a_version_is_publishing_until_its_instances_can_start(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create()
        cloud.engine.prepare_gate.clear()
        await cloud.call("PublishVersion", FunctionName="echo")
        shown = await cloud.call("GetFunction", FunctionName="echo", Qualifier="1")
        _, version = cloud.functions.resolve("default", "echo", "1")
        assert (shown["Status"], version.invocable) == ("Publishing", False)
        cloud.engine.prepare_gate.set()
        await cloud.functions.settled("default", "echo")
        shown = await cloud.call("GetFunction", FunctionName="echo", Qualifier="1")
    assert shown["Status"] == "Active"


async def test_a_version_that_cannot_be_made_ready_fails_with_its_reason(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create()
        cloud.engine.prepare_error = EngineError("no space left")
        await publish(cloud)
        shown = await cloud.call("GetFunction", FunctionName="echo", Qualifier="1")
        latest = await cloud.call("GetFunction", FunctionName="echo")
    assert shown["Status"] == "PublishFailed"
    assert shown["StatusReasons"][0]["ErrorMessage"] == "no space left"
    assert latest["Status"] == "Active"


@pytest.mark.parametrize(
    ("action", "params"),
    [
        ("UpdateFunctionCode", {"ZipFile": zip_text({"bootstrap": "new"})}),
        ("UpdateFunctionConfiguration", {"Timeout": 9}),
        ("UpdateFunctionConfiguration", {"Description": "changes no instance"}),
    ],
)
async def test_an_update_with_publish_makes_a_version_of_what_it_changed(
    tmp_path: Path, action: str, params: dict[str, Any]
) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create()
        await cloud.call(action, FunctionName="echo", Publish="TRUE", **params)
        await cloud.functions.settled("default", "echo")
        function = cloud.functions.get("default", "echo")
        await cloud.functions.settled("default", "echo")
        found = await cloud.call("GetFunction", FunctionName="echo", Qualifier="1")
    version = function.versions["1"]
    assert (version.code, version.config) == (function.latest.code, function.latest.config)
    assert found["Status"] == "Active"


async def test_a_failed_update_is_not_published(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create()
        cloud.engine.prepare_error = EngineError("no space left")
        await cloud.call(
            "UpdateFunctionConfiguration", FunctionName="echo", Timeout=9, Publish="TRUE"
        )
        await cloud.functions.settled("default", "echo")
        listed = await cloud.call("ListVersionByFunction", FunctionName="echo")
        found = await cloud.call("GetFunction", FunctionName="echo")
    assert listed["FunctionVersion"] == ["$LATEST"]
    assert (found["Status"], found["Timeout"]) == ("UpdateFailed", 3)


async def test_numbers_of_deleted_versions_are_not_used_again(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create()
        assert [await publish(cloud), await publish(cloud)] == ["1", "2"]
        await cloud.call("DeleteFunctionVersion", FunctionName="echo", Qualifier="2")
        assert await publish(cloud) == "3"
        listed = await cloud.call("ListVersionByFunction", FunctionName="echo")
        page = await cloud.call("ListVersionByFunction", FunctionName="echo", Offset=1, Limit=1)
        by_change = await cloud.call(
            "ListVersionByFunction", FunctionName="echo", OrderBy="ModTime", Order="DESC"
        )
    assert listed["FunctionVersion"] == ["$LATEST", "3", "1"]
    assert (page["FunctionVersion"], page["TotalCount"]) == (["3"], 3)
    assert by_change["FunctionVersion"] == ["3", "1", "$LATEST"]


async def test_versions_and_aliases_outlast_a_restart(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create()
        await publish(cloud)
        alias = {"FunctionName": "echo", "Name": "live"}
        await cloud.call("CreateAlias", **alias, FunctionVersion="1")
    async with running_cloud(tmp_path) as cloud:
        assert (await cloud.call("GetAlias", **alias))["FunctionVersion"] == "1"
        assert await publish(cloud) == "2"


async def test_a_function_with_versions_and_aliases_is_deleted_as_a_whole(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create()
        await publish(cloud)
        await cloud.call("CreateAlias", FunctionName="echo", Name="live", FunctionVersion="1")
        assert "Error" not in await cloud.call("DeleteFunction", FunctionName="echo")
        code = await cloud.code_of("GetFunction", FunctionName="echo", Qualifier="1")
    assert code == "ResourceNotFound.FunctionName"


async def test_delete_function_with_a_qualifier_deletes_this_version_only(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create()
        await publish(cloud)
        await cloud.call("DeleteFunction", FunctionName="echo", Qualifier="1")
        listed = await cloud.call("ListVersionByFunction", FunctionName="echo")
    assert listed["FunctionVersion"] == ["$LATEST"]
    assert cloud.killed == []


async def test_a_function_has_a_limited_number_of_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "VERSIONS_PER_FUNCTION", 1)
    async with running_cloud(tmp_path) as cloud:
        await cloud.create()
        await publish(cloud)
        code = await cloud.code_of("PublishVersion", FunctionName="echo")
    assert code == "LimitExceeded.FunctionVersions"


ERRORS: list[tuple[str, dict[str, Any], str]] = [
    ("PublishVersion", {}, "MissingParameter"),
    ("PublishVersion", {"FunctionName": "nobody"}, "ResourceNotFound.FunctionName"),
    ("PublishVersion", {"Description": "x" * 1001}, "InvalidParameterValue.Description"),
    ("PublishVersion", {"Namespace": "nowhere"}, "ResourceNotFound.Namespace"),
    ("PublishVersion", {"FunctionName": "failed"}, "FailedOperation.PublishVersion"),
    ("ListVersionByFunction", {"FunctionName": "nobody"}, "ResourceNotFound.FunctionName"),
    ("ListVersionByFunction", {"OrderBy": "Size"}, "InvalidParameterValue.Order"),
    ("ListVersionByFunction", {"Order": "up"}, "InvalidParameterValue.Order"),
    ("ListVersionByFunction", {"Limit": 0}, "InvalidParameterValue"),
    ("ListVersionByFunction", {"Offset": -1}, "InvalidParameterValue"),
    ("ListVersionByFunction", {"Namespace": "nowhere"}, "ResourceNotFound.Namespace"),
    ("DeleteFunctionVersion", {"Qualifier": "9"}, "ResourceNotFound.Qualifier"),
    ("DeleteFunctionVersion", {"Qualifier": "$LATEST"}, "InvalidParameterValue.Qualifier"),
    ("DeleteFunctionVersion", {"Qualifier": "$DEFAULT"}, "InvalidParameterValue.Qualifier"),
    ("DeleteFunctionVersion", {"Qualifier": "live"}, "InvalidParameterValue.Qualifier"),
    ("DeleteFunctionVersion", {"Qualifier": "1"}, "UnsupportedOperation.AliasBind"),
    ("DeleteFunctionVersion", {"Qualifier": "2"}, "UnsupportedOperation.AliasBind"),
    ("DeleteFunctionVersion", {"Qualifier": "1", "ForceDelete": "x"}, "InvalidParameterValue"),
    ("DeleteFunctionVersion", {"Qualifier": "1", "DryRun": True}, "UnsupportedOperation"),
    ("DeleteFunction", {"Qualifier": "1"}, "UnsupportedOperation.AliasBind"),
]


async def test_what_is_wrong_about_versions_has_a_code_of_the_action(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create()
        await publish(cloud)
        await publish(cloud)
        weights = [{"Version": "2", "Weight": 0.1}]
        await cloud.call(
            "CreateAlias",
            FunctionName="echo",
            Name="live",
            FunctionVersion="1",
            RoutingConfig={"AdditionalVersionWeights": weights},
        )
        cloud.engine.prepare_error = EngineError("no space left")
        await cloud.create("failed")
        for action, params, code in ERRORS:
            given = {"FunctionName": "echo", **params} if params else {}
            assert (action, params, await cloud.code_of(action, **given)) == (action, params, code)
            assert code in listed(action), (action, code)
