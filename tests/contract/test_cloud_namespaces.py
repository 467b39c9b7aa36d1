"""Namespaces through the official SDK: made, listed, changed, deleted, and lived in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.contract.cloud_kit import running_cloud
from tests.contract.coverage_kit import drives, sample_of
from tests.contract.listed_codes import listed
from tests.contract.sdk_kit import Sdk, cloud_at_address, require_complete

if TYPE_CHECKING:
    from pathlib import Path

ACTIONS = ("CreateNamespace", "ListNamespaces", "UpdateNamespace", "DeleteNamespace")


@drives(*ACTIONS)
async def test_namespaces_live_their_whole_life_through_the_sdk(tmp_path: Path) -> None:
    async with cloud_at_address(tmp_path, signature="off") as (_, address):
        sdk = Sdk(address)
        await sdk.call("CreateNamespace", Namespace="stage", Description="before")
        await sdk.call("UpdateNamespace", Namespace="stage", Description="for tests")
        found = await sdk.call(
            "ListNamespaces",
            Limit=5,
            Offset=0,
            Orderby="Name",
            Order="ASC",
            SearchKey=[
                {"Key": "Namespace", "Value": "AG"},
                {"Key": "Description", "Value": "tests"},
            ],
        )
        require_complete(found)
        assert [(n.Name, n.Description, n.Type) for n in found.Namespaces] == [
            ("stage", "for tests", "default")
        ]
        assert found.TotalCount == 1
        await sdk.call("DeleteNamespace", Namespace="stage")
        names = [n.Name for n in (await sdk.call("ListNamespaces")).Namespaces]
        assert names == ["default"]
        error = await sdk.error_of(
            "CreateNamespace", Namespace="own", ResourceEnv=sample_of("NamespaceResourceEnv")
        )
        assert error.code == "UnsupportedOperation"


async def test_functions_of_one_name_live_apart_in_their_namespaces(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.call("CreateNamespace", Namespace="stage")
        await cloud.create("echo", Description="here")
        await cloud.create("echo", Namespace="stage", Description="there")
        for namespace, description in (("default", "here"), ("stage", "there")):
            found = await cloud.call("GetFunction", FunctionName="echo", Namespace=namespace)
            assert (found["Namespace"], found["Description"]) == (namespace, description)
            listing = await cloud.call("ListFunctions", Namespace=namespace)
            assert listing["TotalCount"] == 1
        account = await cloud.call("GetAccount")
        assert (
            await cloud.code_of("DeleteNamespace", Namespace="stage") == "ResourceInUse.Namespace"
        )
        await cloud.call("DeleteFunction", FunctionName="echo", Namespace="stage")
        assert "Error" not in await cloud.call("DeleteNamespace", Namespace="stage")
        code = await cloud.code_of("GetFunction", FunctionName="echo", Namespace="stage")
    usage = account["AccountUsage"]
    assert usage["NamespacesCount"] == 2
    assert {n["Namespace"]: n["Functions"] for n in usage["Namespace"]} == {
        "default": ["echo"],
        "stage": ["echo"],
    }
    assert code == "ResourceNotFound.FunctionName"


async def test_namespaces_outlast_a_restart(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.call("CreateNamespace", Namespace="stage")
        await cloud.create("echo", Namespace="stage")
    async with running_cloud(tmp_path) as cloud:
        found = await cloud.call("GetFunction", FunctionName="echo", Namespace="stage")
    assert found["Status"] == "Active"


async def test_namespaces_are_listed_in_the_order_asked_for(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        for name in ("beta", "alpha"):
            await cloud.call("CreateNamespace", Namespace=name)

        async def names(**params: Any) -> list[str]:
            answer = await cloud.call("ListNamespaces", **params)
            assert answer["TotalCount"] == 3
            return [item["Name"] for item in answer["Namespaces"]]

        assert await names() == ["alpha", "beta", "default"]
        assert await names(Order="ASC") == ["default", "beta", "alpha"]
        assert await names(Orderby="Name", Order="DESC") == ["default", "beta", "alpha"]
        assert await names(Orderby="Name", Order="ASC", Offset=1, Limit=1) == ["beta"]


VALUE = "InvalidParameterValue"
ERRORS: list[tuple[str, dict[str, Any], str]] = [
    ("CreateNamespace", {"Namespace": "1st"}, f"{VALUE}.NamespaceInvalid"),
    ("CreateNamespace", {"Namespace": "x" * 61}, f"{VALUE}.NamespaceInvalid"),
    ("CreateNamespace", {"Namespace": "default"}, f"{VALUE}.DefaultNamespace"),
    ("CreateNamespace", {"Namespace": "n1"}, "ResourceInUse.Namespace"),
    ("CreateNamespace", {"Namespace": "n5"}, "LimitExceeded.Namespace"),
    ("CreateNamespace", {"Namespace": "n5", "Description": "x" * 1001}, f"{VALUE}.Description"),
    ("ListNamespaces", {"Order": "up"}, f"{VALUE}.Order"),
    ("ListNamespaces", {"SearchKey": [{"Key": "Size", "Value": "1"}]}, f"{VALUE}.SearchKey"),
    ("UpdateNamespace", {"Namespace": "no", "Description": ""}, "ResourceNotFound.Namespace"),
    ("UpdateNamespace", {"Namespace": "n1", "Description": "x" * 1001}, f"{VALUE}.Description"),
    ("DeleteNamespace", {"Namespace": "default"}, "FailedOperation.DeleteNamespace"),
    ("DeleteNamespace", {"Namespace": "nothing"}, "ResourceNotFound.Namespace"),
]


async def test_what_is_wrong_about_namespaces_has_a_code_of_the_action(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        for number in range(1, 5):
            await cloud.call("CreateNamespace", Namespace=f"n{number}")
        for action, params, code in ERRORS:
            found = await cloud.code_of(action, **params)
            assert (action, params, found) == (action, params, code)
            assert code in listed(action), (action, code)
