"""ListFunctions and GetAccount."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tencentcloud.scf.v20180416 import models as sdk

from sandbox.errors import EngineError
from tests.contract.cloud_kit import fields_of, running_cloud
from tests.contract.coverage_kit import drives
from tests.contract.sdk_kit import Sdk, cloud_at_address, require_complete

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_list_of_functions_has_every_field_that_the_sdk_knows(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create()
        answer = await cloud.call("ListFunctions")
    assert set(answer) == fields_of(sdk.ListFunctionsResponse)
    assert answer["TotalCount"] == 1
    assert set(answer["Functions"][0]) == fields_of(sdk.Function)


@drives("ListFunctions", "DeleteFunction")
async def test_functions_are_found_and_deleted_through_the_sdk(tmp_path: Path) -> None:
    async with cloud_at_address(tmp_path, signature="off") as (cloud, address):
        sdk = Sdk(address)
        await cloud.call("CreateNamespace", Namespace="stage")
        where = {"FunctionName": "alpha", "Namespace": "stage"}
        await cloud.create("alpha", Namespace="default")
        await cloud.create(
            "alpha",
            Namespace="stage",
            Description="the first",
            Tags=[{"Key": "team", "Value": "red"}],
        )
        await cloud.call("PublishVersion", **where)
        await cloud.functions.settled("stage", "alpha")
        await cloud.call("PutReservedConcurrencyConfig", **where, ReservedConcurrencyMem=256)
        cloud.engine.prepare_error = EngineError("no space left")
        await cloud.create("beta", Namespace="stage", Description="the first that failed")
        asked = {
            "Namespace": "stage",
            "Order": "ASC",
            "Orderby": "FunctionName",
            "Offset": 0,
            "Limit": 5,
            "SearchKey": "a",
            "Description": "first",
            "Filters": [{"Name": "Status", "Values": ["Active", "CreateFailed"]}],
        }
        found = await sdk.call("ListFunctions", **asked)
        assert (found.TotalCount, [item.FunctionName for item in found.Functions]) == (
            2,
            ["alpha", "beta"],
        )
        alpha, beta = found.Functions
        assert (alpha.Namespace, alpha.Tags[0].Value, alpha.StatusReasons) == ("stage", "red", [])
        assert (alpha.ReservedConcurrencyMem, beta.ReservedConcurrencyMem) == (256, None)
        assert beta.StatusReasons[0].ErrorMessage == beta.StatusDesc == "no space left"

        await sdk.call("DeleteFunction", **where, Qualifier="1")
        versions = await sdk.call("ListVersionByFunction", **where)
        assert versions.FunctionVersion == ["$LATEST"]
        await sdk.call("DeleteFunction", **where)
        found = await sdk.call("ListFunctions", **asked)
        assert [item.FunctionName for item in found.Functions] == ["beta"]
        assert (await sdk.call("ListFunctions")).TotalCount == 1
        gone = await sdk.error_of("DeleteFunction", **where)
        assert gone.code == "ResourceNotFound.FunctionName"


async def test_functions_are_listed_page_by_page_in_the_order_asked_for(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        for name in ("beta", "alpha", "gamma"):
            await cloud.create(name)

        async def names(**params: Any) -> list[str]:
            answer = await cloud.call("ListFunctions", **params)
            assert answer["TotalCount"] == 3
            return [item["FunctionName"] for item in answer["Functions"]]

        assert await names(Orderby="FunctionName", Order="ASC") == ["alpha", "beta", "gamma"]
        assert await names(Orderby="AddTime", Order="DESC") == ["gamma", "alpha", "beta"]
        assert await names(Orderby="FunctionName", Order="ASC", Offset=1, Limit=1) == ["beta"]
        assert await names(Orderby="FunctionName", Order="ASC", Offset=9) == []


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({"SearchKey": "lph"}, {"alpha"}),
        ({"Description": "first"}, {"alpha"}),
        ({"Filters": [{"Name": "tag-team", "Values": ["red", "blue"]}]}, {"alpha", "beta"}),
        ({"Filters": [{"Name": "tag-team", "Values": ["red"]}]}, {"alpha"}),
        ({"Filters": [{"Name": "Status", "Values": ["Active"]}]}, {"alpha", "beta"}),
        ({"Filters": [{"Name": "Status", "Values": ["Creating"]}]}, set()),
        ({"Filters": [{"Name": "VpcId", "Values": ["vpc-1"]}]}, {"beta"}),
        ({"Filters": [{"Name": "CfsMountInsId", "Values": ["m-1"]}]}, {"beta"}),
        ({"Filters": [{"Name": "CfsId", "Values": ["cfs-1"]}]}, {"beta"}),
        ({"Filters": [{"Name": "PublicNetStatus", "Values": ["ENABLE"]}]}, {"alpha", "beta"}),
        ({"Filters": [{"Name": "Eip", "Values": ["1.2.3.4"]}]}, set()),
        ({"Filters": [{"Name": "SubnetId", "Values": ["s-1"]}]}, {"beta"}),
        ({"Filters": [{"Name": "ClsTopicId", "Values": ["topic"]}]}, {"beta"}),
        ({"Filters": [{"Name": "ClsLogsetId", "Values": ["logset"]}]}, {"beta"}),
        ({"Filters": [{"Name": "Role", "Values": ["role-1"]}]}, {"beta"}),
        ({"Filters": [{"Name": "Runtime", "Values": ["CustomRuntime"]}]}, {"alpha", "beta"}),
        ({"Filters": [{"Name": "Runtime", "Values": ["Go1"]}]}, set()),
        ({"Filters": [{"Name": "AsyncRunEnable", "Values": ["TRUE"]}]}, {"beta"}),
        ({"Filters": [{"Name": "TraceEnable", "Values": ["FALSE"]}]}, {"alpha"}),
        ({"Filters": [{"Name": "Stamp", "Values": ["Default"]}]}, {"alpha", "beta"}),
        (
            {
                "Filters": [
                    {"Name": "Type", "Values": ["Event", "HTTP"]},
                    {"Name": "tag-team", "Values": ["blue"]},
                ]
            },
            {"beta"},
        ),
    ],
)
async def test_filters_hold_together_and_their_values_alternatively(
    tmp_path: Path, params: dict[str, Any], found: set[str]
) -> None:
    mount = {
        "UserId": "0",
        "UserGroupId": "0",
        "CfsId": "cfs-1",
        "MountInsId": "m-1",
        "LocalMountDir": "/mnt",
        "RemoteMountDir": "/",
    }
    async with running_cloud(tmp_path) as cloud:
        await cloud.create("alpha", Description="the first", Tags=[{"Key": "team", "Value": "red"}])
        await cloud.create(
            "beta",
            Tags=[{"Key": "team", "Value": "blue"}],
            VpcConfig={"VpcId": "vpc-1", "SubnetId": "s-1"},
            CfsConfig={"CfsInsList": [mount]},
            ClsTopicId="topic",
            ClsLogsetId="logset",
            Role="role-1",
            AsyncRunEnable="TRUE",
            TraceEnable="TRUE",
        )
        answer = await cloud.call("ListFunctions", **params)
    assert {item["FunctionName"] for item in answer["Functions"]} == found
    assert answer["TotalCount"] == len(found)


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"Order": "UP"}, "InvalidParameterValue.Order"),
        ({"Orderby": "Size"}, "InvalidParameterValue.Order"),
        ({"Offset": -1}, "InvalidParameterValue.Offset"),
        ({"Limit": 0}, "InvalidParameterValue.Limit"),
        ({"Filters": [{"Name": "Colour", "Values": ["x"]}]}, "InvalidParameterValue.Name"),
        (
            {"Filters": [{"Name": "VpcId", "Values": ["x", "y"]}]},
            "InvalidParameterValue.LimitExceeded",
        ),
        (
            {"Filters": [{"Name": "Type", "Values": ["Event"]}] * 11},
            "InvalidParameterValue.LimitExceeded",
        ),
        ({"Namespace": "nowhere"}, "ResourceNotFound.Namespace"),
    ],
)
async def test_a_list_request_that_is_wrong_gets_the_platforms_code(
    tmp_path: Path, params: dict[str, Any], code: str
) -> None:
    async with running_cloud(tmp_path) as cloud:
        assert await cloud.code_of("ListFunctions", **params) == code


@drives("GetAccount")
async def test_the_account_shows_use_and_limits_through_the_sdk(tmp_path: Path) -> None:
    async with cloud_at_address(tmp_path, signature="off") as (cloud, address):
        await cloud.create("alpha")
        answer = await Sdk(address).call("GetAccount")
    require_complete(answer)
    assert answer.AccountLimit.Namespace[0].Trigger.Total == 110
    assert answer.AccountUsage.Namespace[0].Functions == ["alpha"]
