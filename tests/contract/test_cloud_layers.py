"""Layers through the official SDK: published, bound, listed, downloaded, deleted."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any
from zipfile import ZIP_STORED

import httpx

from sandbox import limits
from tests.contract.cloud_kit import running_cloud
from tests.contract.coverage_kit import drives
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

    import pytest

    from tests.contract.cloud_kit import LocalCloud

ACTIONS = (
    "PublishLayerVersion",
    "GetLayerVersion",
    "ListLayers",
    "ListLayerVersions",
    "DeleteLayerVersion",
)
RUNTIMES = ["CustomRuntime"]


def digest_of(files: dict[str, str | bytes]) -> str:
    return hashlib.sha256(zip_of(files)).hexdigest()


async def publish(cloud: LocalCloud, name: str, text: str, **params: Any) -> int:
    answer = await cloud.call(
        "PublishLayerVersion",
        LayerName=name,
        Content={"ZipFile": zip_text({"lib/text": text})},
        **{"CompatibleRuntimes": RUNTIMES, **params},
    )
    version: int = answer["LayerVersion"]
    return version


def bound(*layers: tuple[str, int]) -> list[dict[str, Any]]:
    return [{"LayerName": name, "LayerVersion": version} for name, version in layers]


@drives(*ACTIONS)
async def test_layers_live_their_whole_life_through_the_sdk(tmp_path: Path) -> None:
    async with cloud_at_address(tmp_path, signature="off") as (_, address):
        sdk = Sdk(address)
        published = await sdk.call(
            "PublishLayerVersion",
            LayerName="tools",
            CompatibleRuntimes=["CustomRuntime", "Python3.6"],
            Content={"ZipFile": zip_text({"bin/tool": "x"})},
            Description="what we need",
            LicenseInfo="MIT",
            Tags=[{"Key": "team", "Value": "red"}],
        )
        assert published.LayerVersion == 1
        which = {"LayerName": "tools", "LayerVersion": 1}
        found = await sdk.call("GetLayerVersion", **which)
        require_complete(found)
        assert found.CompatibleRuntimes == ["CustomRuntime", "Python3.6"]
        assert (found.Description, found.LicenseInfo) == ("what we need", "MIT")
        assert found.CodeSha256 == digest_of({"bin/tool": "x"})
        assert found.Status == "Active"
        async with httpx.AsyncClient(trust_env=False) as client:
            loaded = await client.get(found.Location)
        assert loaded.content == zip_of({"bin/tool": "x"})

        layers = await sdk.call(
            "ListLayers", CompatibleRuntime="Python3.6", Offset=0, Limit=5, SearchKey="OO"
        )
        require_complete(layers)
        assert [(item.LayerName, item.LayerVersion) for item in layers.Layers] == [("tools", 1)]
        assert layers.Layers[0].Tags[0].Value == "red"
        versions = await sdk.call(
            "ListLayerVersions", LayerName="tools", CompatibleRuntime=["Python3.6"]
        )
        require_complete(versions)
        assert [item.LayerVersion for item in versions.LayerVersions] == [1]

        await sdk.call("DeleteLayerVersion", **which)
        error = await sdk.error_of("GetLayerVersion", **which)
        assert error.code == "ResourceNotFound.LayerVersion"
        await require_other_sources_refused(
            sdk,
            "PublishLayerVersion",
            "Content",
            LayerName="other",
            CompatibleRuntimes=["CustomRuntime"],
        )
        assert (await sdk.call("ListLayers")).TotalCount == 0


async def test_a_function_gets_its_layers_in_the_order_in_which_they_are_bound(
    tmp_path: Path,
) -> None:
    async with running_cloud(tmp_path) as cloud:
        for name in ("first", "second"):
            assert await publish(cloud, name, name) == 1
        await cloud.create(Layers=bound(("second", 1), ("first", 1)))
        found = await cloud.call("GetFunction", FunctionName="echo")
    one, two = (digest_of({"lib/text": name}) for name in ("first", "second"))
    assert cloud.engine.prepared == [(hashlib.sha256(zip_of()).hexdigest(), (two, one))]
    assert [layer["LayerName"] for layer in found["Layers"]] == ["second", "first"]
    assert found["Layers"][0]["CompatibleRuntimes"] == RUNTIMES


async def test_one_empty_layer_unbinds_all_and_published_versions_keep_theirs(
    tmp_path: Path,
) -> None:
    async with running_cloud(tmp_path) as cloud:
        await publish(cloud, "tools", "x")
        await cloud.create(Layers=bound(("tools", 1)))
        await cloud.call("PublishVersion", FunctionName="echo")
        await cloud.functions.settled("default", "echo")
        await cloud.call("UpdateFunctionConfiguration", FunctionName="echo", Layers=bound(("", 0)))
        await cloud.functions.settled("default", "echo")
        latest = await cloud.call("GetFunction", FunctionName="echo")
        frozen = await cloud.call("GetFunction", FunctionName="echo", Qualifier="1")
        which = {"LayerName": "tools", "LayerVersion": 1}
        in_use = await cloud.code_of("DeleteLayerVersion", **which)
        await cloud.call("DeleteFunction", FunctionName="echo")
        assert "Error" not in await cloud.call("DeleteLayerVersion", **which)
    assert latest["Layers"] == []
    assert [layer["LayerName"] for layer in frozen["Layers"]] == ["tools"]
    assert in_use == "ResourceInUse.LayerVersion"


async def test_numbers_of_deleted_layer_versions_are_not_used_again(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        assert [await publish(cloud, "tools", text) for text in "ab"] == [1, 2]
        for number in (1, 2):
            await cloud.call("DeleteLayerVersion", LayerName="tools", LayerVersion=number)
        assert (await cloud.call("ListLayers"))["Layers"] == []
        code = await cloud.code_of("ListLayerVersions", LayerName="tools")
    async with running_cloud(tmp_path) as cloud:
        assert await publish(cloud, "tools", "c") == 3
    assert code == "ResourceNotFound.Layer"


async def test_a_list_shows_each_layer_by_its_newest_version_for_the_runtime(
    tmp_path: Path,
) -> None:
    async with running_cloud(tmp_path) as cloud:
        await publish(cloud, "tools", "a")
        await publish(cloud, "tools", "b", CompatibleRuntimes=["Go1"])
        await publish(cloud, "other", "c")

        async def shown(**params: Any) -> list[tuple[str, int]]:
            layers = (await cloud.call("ListLayers", **params))["Layers"]
            return [(layer["LayerName"], layer["LayerVersion"]) for layer in layers]

        assert await shown() == [("other", 1), ("tools", 2)]
        assert await shown(CompatibleRuntime="CustomRuntime") == [("other", 1), ("tools", 1)]
        assert await shown(Offset=1, Limit=1) == [("tools", 2)]
        assert await shown(SearchKey="nothing") == []
        versions = await cloud.call("ListLayerVersions", LayerName="tools")
    assert [item["LayerVersion"] for item in versions["LayerVersions"]] == [2, 1]


async def test_packages_of_layers_outlast_a_restart_and_go_with_their_last_user(
    tmp_path: Path,
) -> None:
    digest = digest_of({"lib/text": "x"})
    async with running_cloud(tmp_path) as cloud:
        await publish(cloud, "tools", "x")
        await publish(cloud, "again", "x")
    async with running_cloud(tmp_path) as cloud:
        packages = tmp_path / "packages"
        await cloud.call("DeleteLayerVersion", LayerName="tools", LayerVersion=1)
        await cloud.functions.code.drain()
        assert (packages / f"{digest}.zip").exists()
        await cloud.call("DeleteLayerVersion", LayerName="again", LayerVersion=1)
        await cloud.functions.code.drain()
        assert not (packages / f"{digest}.zip").exists()


async def test_code_and_layers_have_one_limit_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_cloud(tmp_path) as cloud:
        await publish(cloud, "tools", "x" * 600)
        await publish(cloud, "small", "x")
        await cloud.create("echo", Layers=bound(("small", 1)))
        monkeypatch.setattr(limits, "CODE_BYTES", 1000)
        large = zip_text({"bootstrap": "x" * 500}, method=ZIP_STORED)
        given = {
            "FunctionName": "other",
            "Runtime": "CustomRuntime",
            "Code": {"ZipFile": large},
            "Layers": bound(("tools", 1)),
        }
        create = await cloud.code_of("CreateFunction", **given)
        await cloud.call("UpdateFunctionCode", FunctionName="echo", ZipFile=large)
        await cloud.functions.settled("default", "echo")
        bind = {"FunctionName": "echo", "Layers": given["Layers"]}
        config = await cloud.code_of("UpdateFunctionConfiguration", **bind)
        huge = zip_text({"bootstrap": "x" * 1000}, method=ZIP_STORED)
        larger = {"FunctionName": "echo", "ZipFile": huge}
        code = await cloud.code_of("UpdateFunctionCode", **larger)
    assert create == config == "InvalidParameterValue.LimitExceeded"
    assert code == "InvalidParameterValue.ZipFile"


async def test_layers_and_their_versions_have_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LAYERS", 1)
    monkeypatch.setattr(limits, "VERSIONS_PER_LAYER", 1)
    async with running_cloud(tmp_path) as cloud:
        await publish(cloud, "tools", "a")
        given = {"CompatibleRuntimes": RUNTIMES, "Content": {"ZipFile": zip_text()}}
        for name in ("tools", "other"):
            code = await cloud.code_of("PublishLayerVersion", LayerName=name, **given)
            assert code == "LimitExceeded.LayerVersions"


CONTENT = {"ZipFile": zip_text()}
VALUE = "InvalidParameterValue"
ERRORS: list[tuple[str, dict[str, Any], str]] = [
    ("PublishLayerVersion", {"LayerName": "-x"}, f"{VALUE}.LayerName"),
    ("PublishLayerVersion", {"LayerName": "x_"}, f"{VALUE}.LayerName"),
    ("PublishLayerVersion", {"LayerName": "x" * 65}, f"{VALUE}.LayerName"),
    ("PublishLayerVersion", {"CompatibleRuntimes": ["Cobol"]}, f"{VALUE}.CompatibleRuntimes"),
    ("PublishLayerVersion", {"CompatibleRuntimes": []}, f"{VALUE}.CompatibleRuntimes"),
    ("PublishLayerVersion", {"Description": "x" * 1001}, f"{VALUE}.Description"),
    ("PublishLayerVersion", {"Content": {}}, f"{VALUE}.Content"),
    (
        "PublishLayerVersion",
        {"Content": {"ZipFile": base64.b64encode(b"no zip").decode()}},
        f"{VALUE}.Content",
    ),
    ("PublishLayerVersion", {"Content": {"ZipFile": "?"}}, f"{VALUE}.ZipFileBase64BinasciiError"),
    ("PublishLayerVersion", {"Content": {"CosBucketName": "b"}}, "UnsupportedOperation"),
    ("GetLayerVersion", {"LayerVersion": 9}, "ResourceNotFound.LayerVersion"),
    ("ListLayers", {"CompatibleRuntime": "Cobol"}, f"{VALUE}.Runtime"),
    ("ListLayers", {"Limit": 0}, VALUE),
    ("ListLayerVersions", {"LayerName": "nothing"}, "ResourceNotFound.Layer"),
    ("ListLayerVersions", {"CompatibleRuntime": ["Cobol"]}, f"{VALUE}.Runtime"),
    ("DeleteLayerVersion", {"LayerVersion": 9}, "ResourceNotFound.LayerVersion"),
    ("DeleteLayerVersion", {"LayerVersion": 1}, "ResourceInUse.LayerVersion"),
    (
        "UpdateFunctionConfiguration",
        {"FunctionName": "echo", "Layers": bound(("nothing", 1))},
        "ResourceNotFound.Layer",
    ),
]


async def test_what_is_wrong_about_layers_has_a_code_of_the_action(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        await publish(cloud, "tools", "a")
        await cloud.create(Layers=bound(("tools", 1)))
        for action, params, code in ERRORS:
            given = {"LayerName": "tools", **params} if "LayerVersion" in action else params
            if action == "PublishLayerVersion":
                given = {"CompatibleRuntimes": RUNTIMES, "Content": CONTENT, **given}
            assert (action, params, await cloud.code_of(action, **given)) == (action, params, code)
            assert code in listed(action), (action, code)
