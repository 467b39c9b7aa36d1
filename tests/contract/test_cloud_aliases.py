"""Aliases through the official SDK: named, routed by share and by rule, deleted."""

from __future__ import annotations

from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.cloud_kit import running_cloud
from tests.contract.coverage_kit import drives
from tests.contract.listed_codes import listed
from tests.contract.sdk_kit import Sdk, cloud_at_address, require_complete

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.contract.cloud_kit import LocalCloud

ACTIONS = ("CreateAlias", "GetAlias", "ListAliases", "UpdateAlias", "DeleteAlias")
BY_RULE = [
    {"Version": "2", "Key": "invoke.headers.User", "Method": "exact", "Expression": "ann"},
    {"Version": "2", "Key": "invoke.headers.Age", "Method": "range", "Expression": "(10,20]"},
]


async def publish_two(cloud: LocalCloud) -> None:
    await cloud.create()
    for _ in range(2):
        await cloud.call("PublishVersion", FunctionName="echo")
    await cloud.functions.settled("default", "echo")


@asynccontextmanager
async def published(directory: Path) -> AsyncIterator[LocalCloud]:
    """A function with versions 1 and 2."""
    async with running_cloud(directory) as cloud:
        await publish_two(cloud)
        yield cloud


async def version_of(cloud: LocalCloud, qualifier: str, routing_key: str = "") -> str:
    """The version that an invocation goes to."""
    await cloud.call("Invoke", FunctionName="echo", Qualifier=qualifier, RoutingKey=routing_key)
    return cloud.invoker.versions[-1]


@drives(*ACTIONS)
async def test_aliases_live_their_whole_life_through_the_sdk(tmp_path: Path) -> None:
    async with cloud_at_address(tmp_path, signature="off") as (cloud, address):
        sdk = Sdk(address)
        await publish_two(cloud)
        where = {"FunctionName": "echo", "Namespace": "default"}
        alias = {**where, "Name": "live"}
        weights = [{"Version": "2", "Weight": 0.25}]
        await sdk.call(
            "CreateAlias",
            **alias,
            FunctionVersion="1",
            Description="for all",
            RoutingConfig={"AdditionalVersionWeights": weights},
        )
        found = await sdk.call("GetAlias", **alias)
        require_complete(found)
        assert (found.Name, found.FunctionVersion, found.Description) == ("live", "1", "for all")
        share = found.RoutingConfig.AdditionalVersionWeights[0]
        assert (share.Version, share.Weight) == ("2", 0.25)

        rules = {"AddtionVersionMatchs": BY_RULE}
        await sdk.call(
            "UpdateAlias", **alias, FunctionVersion="1", Description="", RoutingConfig=rules
        )
        found = await sdk.call("GetAlias", **alias)
        assert (found.Description, found.RoutingConfig.AdditionalVersionWeights) == ("", [])
        rule = found.RoutingConfig.AddtionVersionMatchs[0]
        require_complete(rule)
        assert rule.Expression == "ann"
        await sdk.call("Invoke", FunctionName="echo", Qualifier="live", RoutingKey='{"User":"ann"}')
        assert cloud.invoker.versions == ["2"]

        other = {**where, "Name": "other", "FunctionVersion": "1"}
        await sdk.call("CreateAlias", **other, RoutingConfig=rules)
        found = await sdk.call("GetAlias", **where, Name="other")
        assert found.RoutingConfig._serialize() == {"AdditionalVersionWeights": [], **rules}
        half = {"AdditionalVersionWeights": [{"Version": "2", "Weight": 1}]}
        await sdk.call("UpdateAlias", **other, RoutingConfig=half)
        await sdk.call("Invoke", FunctionName="echo", Qualifier="other")
        assert cloud.invoker.versions == ["2", "2"]
        listing = await sdk.call("ListAliases", **where)
        assert [item.Name for item in listing.Aliases] == ["$DEFAULT", "live", "other"]
        await sdk.call("DeleteAlias", **where, Name="other")

        answer = await sdk.call("ListAliases", **where, FunctionVersion="2", Offset="0", Limit="5")
        require_complete(answer)
        assert ([item.Name for item in answer.Aliases], answer.TotalCount) == (["live"], 1)

        await sdk.call("DeleteAlias", **alias)
        assert (await sdk.error_of("GetAlias", **alias)).code == "ResourceNotFound.Alias"


async def test_default_is_there_from_the_start_and_can_be_routed_but_not_deleted(
    tmp_path: Path,
) -> None:
    async with published(tmp_path) as cloud:
        default = {"FunctionName": "echo", "Name": "$DEFAULT"}
        assert (await cloud.call("GetAlias", **default))["FunctionVersion"] == "$LATEST"
        assert await version_of(cloud, "$DEFAULT") == "$LATEST"
        await cloud.call("UpdateAlias", **default, FunctionVersion="1")
        assert await version_of(cloud, "$DEFAULT") == "1"
        assert await cloud.code_of("DeleteAlias", **default) == "InvalidParameterValue.Alias"
        code = await cloud.code_of("CreateAlias", **default, FunctionVersion="1")
        assert code == "ResourceInUse.Alias"


async def test_invoke_means_latest_and_invoke_function_means_default(tmp_path: Path) -> None:
    async with published(tmp_path) as cloud:
        await cloud.call("UpdateAlias", FunctionName="echo", Name="$DEFAULT", FunctionVersion="2")
        await cloud.call("Invoke", FunctionName="echo")
        await cloud.call("InvokeFunction", FunctionName="echo")
    assert cloud.invoker.versions == ["$LATEST", "2"]


async def test_shares_split_the_traffic(tmp_path: Path) -> None:
    async with published(tmp_path) as cloud:
        weights = [{"Version": "2", "Weight": 0.5}]
        await cloud.call(
            "CreateAlias",
            FunctionName="echo",
            Name="half",
            FunctionVersion="1",
            RoutingConfig={"AdditionalVersionWeights": weights},
        )
        for _ in range(200):
            await version_of(cloud, "half")
    count = Counter(cloud.invoker.versions)
    assert set(count) == {"1", "2"}
    assert 50 < count["2"] < 150  # as good as certain: seven standard deviations


@pytest.mark.parametrize(
    ("routing_key", "version"),
    [
        ("", "1"),
        ('{"User":"ann"}', "2"),
        ('{"User":"bob"}', "1"),
        ('{"user":"ann"}', "1"),
        ('{"Age":"10"}', "1"),
        ('{"Age":"11"}', "2"),
        ('{"Age":"20"}', "2"),
        ('{"Age":"old"}', "1"),
        ('{"User":"bob","Age":"15"}', "2"),
    ],
)
async def test_rules_decide_by_the_routing_key(
    tmp_path: Path, routing_key: str, version: str
) -> None:
    async with published(tmp_path) as cloud:
        await cloud.call(
            "CreateAlias",
            FunctionName="echo",
            Name="ruled",
            FunctionVersion="1",
            RoutingConfig={"AddtionVersionMatchs": BY_RULE},
        )
        assert await version_of(cloud, "ruled", routing_key) == version


async def test_an_update_without_routing_leads_to_one_version_and_keeps_the_description(
    tmp_path: Path,
) -> None:
    async with published(tmp_path) as cloud:
        alias = {"FunctionName": "echo", "Name": "live"}
        await cloud.call(
            "CreateAlias",
            **alias,
            FunctionVersion="1",
            Description="kept",
            RoutingConfig={"AdditionalVersionWeights": [{"Version": "2", "Weight": 1}]},
        )
        assert await version_of(cloud, "live") == "2"
        await cloud.call("UpdateAlias", **alias, FunctionVersion="1")
        assert await version_of(cloud, "live") == "1"
        found = await cloud.call("GetAlias", **alias)
        shown = await cloud.call("GetFunction", FunctionName="echo", Qualifier="live")
    assert found["Description"] == "kept"
    assert (shown["Qualifier"], shown["FunctionVersion"]) == ("live", "1")


async def test_aliases_are_listed_with_the_default_first_page_by_page(tmp_path: Path) -> None:
    async with published(tmp_path) as cloud:
        for name in ("b", "a"):
            await cloud.call("CreateAlias", FunctionName="echo", Name=name, FunctionVersion="1")
        every = await cloud.call("ListAliases", FunctionName="echo")
        page = await cloud.call("ListAliases", FunctionName="echo", Offset="1", Limit="1")
    assert [alias["Name"] for alias in every["Aliases"]] == ["$DEFAULT", "a", "b"]
    assert ([alias["Name"] for alias in page["Aliases"]], page["TotalCount"]) == (["a"], 3)


def weights(*pairs: tuple[str, float]) -> dict[str, Any]:
    shares = [{"Version": version, "Weight": weight} for version, weight in pairs]
    return {"RoutingConfig": {"AdditionalVersionWeights": shares}}


def rule(**changes: str) -> dict[str, Any]:
    return {"RoutingConfig": {"AddtionVersionMatchs": [{**BY_RULE[0], **changes}]}}


VALUE, ROUTING = "InvalidParameterValue", "InvalidParameterValue.RoutingConfig"
ERRORS: list[tuple[str, dict[str, Any], str]] = [
    ("CreateAlias", {"Name": "1a"}, f"{VALUE}.Name"),
    ("CreateAlias", {"Name": "a" * 65}, f"{VALUE}.Name"),
    ("CreateAlias", {"Name": "$LATEST"}, f"{VALUE}.Name"),
    ("CreateAlias", {"Name": "live"}, "ResourceInUse.Alias"),
    ("CreateAlias", {"FunctionVersion": "9"}, "ResourceNotFound.FunctionVersion"),
    ("CreateAlias", {"Description": "x" * 1001}, f"{VALUE}.Description"),
    ("CreateAlias", {"FunctionName": "nobody"}, "ResourceNotFound.FunctionName"),
    ("CreateAlias", weights(("9", 0.1)), "ResourceNotFound.FunctionVersion"),
    ("CreateAlias", weights(("1", 0.1)), ROUTING),
    ("CreateAlias", weights(("2", 1.5)), f"{VALUE}.AdditionalVersionWeights"),
    ("CreateAlias", weights(("2", -1)), f"{VALUE}.AdditionalVersionWeights"),
    ("CreateAlias", weights(("2", 0.1), ("$LATEST", 0.1)), "InvalidParameter.RoutingConfig"),
    ("CreateAlias", rule(Key="User"), ROUTING),
    ("CreateAlias", rule(Method="like"), ROUTING),
    ("CreateAlias", rule(Method="range", Expression="[1;5]"), ROUTING),
    ("CreateAlias", rule(Method="range", Expression="(1,2)"), ROUTING),
    (
        "CreateAlias",
        {"RoutingConfig": {**weights(("2", 1))["RoutingConfig"], **rule()["RoutingConfig"]}},
        "InvalidParameter.RoutingConfig",
    ),
    ("CreateAlias", {"RoutingConfig": "half"}, "InvalidParameterValue.RoutingConfig"),
    ("GetAlias", {}, "ResourceNotFound.Alias"),
    ("ListAliases", {"FunctionName": "nobody"}, "ResourceNotFound.FunctionName"),
    ("ListAliases", {"Limit": "many"}, VALUE),
    ("UpdateAlias", {}, "ResourceNotFound.Alias"),
    ("UpdateAlias", {"Name": "live", "FunctionVersion": "9"}, "ResourceNotFound.FunctionVersion"),
    ("UpdateAlias", {"Name": "live", **weights(("1", 1))}, ROUTING),
    ("DeleteAlias", {}, "ResourceNotFound.Alias"),
]


async def test_what_is_wrong_about_aliases_has_a_code_of_the_action(tmp_path: Path) -> None:
    async with published(tmp_path) as cloud:
        await cloud.call("CreateAlias", FunctionName="echo", Name="live", FunctionVersion="1")
        for action, params, code in ERRORS:
            given = {"FunctionName": "echo", **params}
            if action != "ListAliases":
                given = {"Name": "new", **given}
            if action in ("CreateAlias", "UpdateAlias"):
                given = {"FunctionVersion": "1", **given}
            assert (action, params, await cloud.code_of(action, **given)) == (action, params, code)
            assert code in listed(action), (action, code)
