"""Actions on functions, as JSON requests against real services."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
from tencentcloud.scf.v20180416 import models as sdk

from sandbox.functions.model import FunctionStatus, StatusReason
from tests.contract.cloud_kit import fields_of, running_cloud
from tests.support.zips import zip_of, zip_text

if TYPE_CHECKING:
    from pathlib import Path

CODE = {"ZipFile": zip_text()}


async def test_the_seeds_create_request_makes_a_function_with_the_platforms_defaults(
    tmp_path: Path,
) -> None:
    async with running_cloud(tmp_path) as cloud:
        answer = await cloud.call(
            "CreateFunction",
            FunctionName="CustomRuntime-Bash",
            Code=CODE,
            Timeout=3,
            Runtime="CustomRuntime",
            InitTimeout=3,
        )
        assert set(answer) == {"RequestId"}
        await cloud.functions.settled("default", "CustomRuntime-Bash")
        found = await cloud.call("GetFunction", FunctionName="CustomRuntime-Bash")
    assert found["Status"] == "Active"
    assert found["Handler"] == "index.main_handler"
    assert (found["MemorySize"], found["Timeout"], found["InitTimeout"]) == (128, 3, 3)
    assert found["CodeSize"] == len(zip_of())
    assert found["FunctionVersion"] == found["Qualifier"] == "$LATEST"


async def test_get_function_has_every_field_that_the_sdk_knows(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create(
            Environment={"Variables": [{"Key": "A", "Value": "1"}]},
            Tags=[{"Key": "team", "Value": "x"}],
        )
        found = await cloud.call("GetFunction", FunctionName="echo")
    assert set(found) == fields_of(sdk.GetFunctionResponse)
    for field, model in {
        "VpcConfig": sdk.VpcConfig,
        "EipConfig": sdk.EipOutConfig,
        "AccessInfo": sdk.AccessInfo,
        "DeadLetterConfig": sdk.DeadLetterConfig,
        "PublicNetConfig": sdk.PublicNetConfigOut,
        "CfsConfig": sdk.CfsConfig,
        "IntranetConfig": sdk.IntranetConfigOut,
        "Environment": sdk.Environment,
    }.items():
        assert set(found[field]) == fields_of(model), field
    assert found["Environment"] == {"Variables": [{"Key": "A", "Value": "1"}]}
    assert found["Tags"] == [{"Key": "team", "Value": "x"}]
    assert found["StatusReasons"] == found["Layers"] == found["Triggers"] == []


async def test_what_the_sandbox_does_not_simulate_is_given_back_as_it_was_given(
    tmp_path: Path,
) -> None:
    kept: dict[str, Any] = {
        "VpcConfig": {"VpcId": "vpc-1", "SubnetId": "subnet-1"},
        "ClsTopicId": "topic",
        "TraceEnable": "TRUE",
        "ProtocolParams": {"WSParams": {"IdleTimeOut": 15}},
    }
    async with running_cloud(tmp_path) as cloud:
        await cloud.create(**kept, PublicNetConfig={"PublicNetStatus": "DISABLE"})
        found = await cloud.call("GetFunction", FunctionName="echo")
    assert {name: found[name] for name in kept} == kept
    assert found["PublicNetConfig"]["PublicNetStatus"] == "DISABLE"
    assert found["PublicNetConfig"]["EipConfig"] == {"EipStatus": "DISABLE", "EipAddress": []}


@pytest.mark.parametrize(
    ("files", "shown"),
    [
        ({"bootstrap": "#!/bin/bash\necho 中\n"}, "#!/bin/bash\necho 中\n"),
        ({"bootstrap": "x" * (1024 * 1024 + 1)}, ""),
        ({"bootstrap": b"\x7fELF\xff"}, ""),
        ({"index.sh": "no bootstrap here"}, ""),
    ],
    ids=["text", "above 1 MB", "binary", "none"],
)
async def test_show_code_gives_the_text_of_the_bootstrap(
    tmp_path: Path, files: dict[str, str | bytes], shown: str
) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create(Code={"ZipFile": zip_text(files)})
        found = await cloud.call("GetFunction", FunctionName="echo", ShowCode="TRUE")
        hidden = await cloud.call("GetFunction", FunctionName="echo", ShowCode="FALSE")
    assert (found["CodeInfo"], hidden["CodeInfo"]) == (shown, "")


async def test_a_failed_function_shows_its_reason(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create()
        function = cloud.functions.get("default", "echo")
        broken = function.latest.model_copy(
            update={
                "status": FunctionStatus.CREATE_FAILED,
                "status_reasons": (StatusReason(code="InternalError", message="no space"),),
            }
        )
        await cloud.functions._registry.change(
            function.key, lambda before: before.with_version(broken)
        )
        found = await cloud.call("GetFunction", FunctionName="echo")
        listed = await cloud.call("ListFunctions")
    reasons = [{"ErrorCode": "InternalError", "ErrorMessage": "no space"}]
    assert found["Status"] == listed["Functions"][0]["Status"] == "CreateFailed"
    assert found["StatusReasons"] == listed["Functions"][0]["StatusReasons"] == reasons
    assert (found["CodeResult"], found["CodeError"]) == ("failed", "no space")


CREATE_ERRORS = [
    ({"Code": None}, "MissingParameter.Code"),
    ({"Code": {}}, "MissingParameter.Code"),
    ({"Runtime": None}, "MissingParameter.Runtime"),
    ({"Runtime": "Python3.6"}, "InvalidParameterValue.Runtime"),
    ({"Code": {"ZipFile": "%%%"}}, "InvalidParameterValue.ZipFileBase64BinasciiError"),
    (
        {"Code": {"ZipFile": base64.b64encode(b"no zip at all").decode()}},
        "InvalidParameterValue.ZipFile",
    ),
    ({"Code": {"CosBucketName": "b", "CosObjectName": "o"}}, "UnsupportedOperation"),
    (
        {"Code": {"ImageConfig": {"ImageType": "personal", "ImageUri": "u"}}},
        "UnsupportedOperation",
    ),
    ({"MemorySize": 100}, "InvalidParameterValue.Memory"),
    ({"MemorySize": 4096}, "LimitExceeded.Memory"),
    ({"Timeout": 901}, "LimitExceeded.Timeout"),
    ({"Timeout": 0}, "LimitExceeded.Timeout"),
    ({"InitTimeout": 2}, "LimitExceeded.InitTimeout"),
    ({"FunctionName": "-bad"}, "InvalidParameterValue.FunctionName"),
    ({"Description": "x" * 1001}, "InvalidParameterValue.Description"),
    ({"Handler": "x" * 129}, "InvalidParameterValue.Handler"),
    ({"Type": "Other"}, "InvalidParameterValue.Type"),
    ({"Type": "HTTP"}, "UnsupportedOperation"),
    ({"AsyncRunEnable": "maybe"}, "InvalidParameterValue.AsyncRunEnable"),
    (
        {"Environment": {"Variables": [{"Key": "SCF_X", "Value": "1"}]}},
        "InvalidParameterValue.EnvironmentSystemProtect",
    ),
    (
        {"Environment": {"Variables": [{"Key": "A", "Value": "x" * 4096}]}},
        "InvalidParameterValue.EnvironmentExceededLimit",
    ),
    ({"Layers": [{"LayerName": "l", "LayerVersion": 1}]}, "ResourceNotFound.Layer"),
    ({"Namespace": "nowhere"}, "ResourceNotFound.Namespace"),
]


@pytest.mark.parametrize(("wrong", "code"), CREATE_ERRORS)
async def test_a_create_request_that_is_wrong_gets_the_platforms_code(
    tmp_path: Path, wrong: dict[str, Any], code: str
) -> None:
    params = {"FunctionName": "echo", "Runtime": "CustomRuntime", "Code": CODE, **wrong}
    async with running_cloud(tmp_path) as cloud:
        assert await cloud.code_of("CreateFunction", **params) == code


async def test_a_second_function_of_one_name_is_refused(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create()
        params = {"FunctionName": "echo", "Runtime": "CustomRuntime", "Code": CODE}
        assert await cloud.code_of("CreateFunction", **params) == "ResourceInUse.FunctionName"


async def test_an_asynchronously_running_function_may_run_for_a_day(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create(AsyncRunEnable="TRUE", Timeout=86_400)
        found = await cloud.call("GetFunction", FunctionName="echo")
    assert (found["AsyncRunEnable"], found["Timeout"]) == ("TRUE", 86_400)


@pytest.mark.parametrize(
    "params",
    [
        {"ZipFile": zip_text({"bootstrap": "new"})},
        {"Code": {"ZipFile": zip_text({"bootstrap": "new"})}},
    ],
    ids=["beside Code", "in Code"],
)
async def test_code_is_updated_wherever_the_zip_is(tmp_path: Path, params: dict[str, Any]) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create()
        answer = await cloud.call(
            "UpdateFunctionCode", FunctionName="echo", Handler="main.run", **params
        )
        assert set(answer) == {"RequestId"}
        await cloud.functions.settled("default", "echo")
        found = await cloud.call("GetFunction", FunctionName="echo", ShowCode="TRUE")
    assert (found["CodeInfo"], found["Handler"]) == ("new", "main.run")
    assert found["Status"] == "Active"


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, "MissingParameter"),
        ({"Code": {}}, "MissingParameter"),
        ({"ZipFile": "?"}, "InvalidParameterValue.ZipFileBase64BinasciiError"),
        ({"CosBucketName": "b", "CosObjectName": "o"}, "UnsupportedOperation"),
        ({"ZipFile": zip_text(), "Publish": "perhaps"}, "InvalidParameterValue"),
        ({"ZipFile": zip_text(), "Code": {"ZipFile": zip_text()}}, "InvalidParameterValue.Code"),
        ({"ZipFile": zip_text(), "CodeSource": "Cos"}, "UnsupportedOperation"),
        ({"ZipFile": zip_text(), "CodeSource": "Fax"}, "InvalidParameterValue.CodeSource"),
        ({"Code": {"ZipFile": zip_text(), "GitUrl": "u"}}, "UnsupportedOperation"),
        ({"FunctionName": "nobody", "ZipFile": zip_text()}, "ResourceNotFound.FunctionName"),
    ],
)
async def test_an_update_of_code_that_is_wrong_gets_the_platforms_code(
    tmp_path: Path, params: dict[str, Any], code: str
) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create()
        given = {"FunctionName": "echo", **params}
        assert await cloud.code_of("UpdateFunctionCode", **given) == code


async def test_an_update_of_the_configuration_changes_only_what_is_given(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create(
            Description="before", Environment={"Variables": [{"Key": "A", "Value": "1"}]}
        )
        await cloud.call("UpdateFunctionConfiguration", FunctionName="echo", Timeout="9")
        await cloud.functions.settled("default", "echo")
        found = await cloud.call("GetFunction", FunctionName="echo")
    assert (found["Timeout"], found["Description"], found["MemorySize"]) == (9, "before", 128)
    assert found["Environment"]["Variables"] == [{"Key": "A", "Value": "1"}]


async def test_one_empty_variable_empties_the_environment(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create(Environment={"Variables": [{"Key": "A", "Value": "1"}]})
        await cloud.call(
            "UpdateFunctionConfiguration",
            FunctionName="echo",
            Environment={"Variables": [{"Key": "", "Value": ""}]},
            Layers=[{"LayerName": "", "LayerVersion": 0}],
        )
        await cloud.functions.settled("default", "echo")
        found = await cloud.call("GetFunction", FunctionName="echo")
    assert found["Environment"]["Variables"] == []


async def test_a_deleted_function_is_not_found_any_more(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create()
        assert set(await cloud.call("DeleteFunction", FunctionName="echo")) == {"RequestId"}
        for action in ("GetFunction", "DeleteFunction"):
            code = await cloud.code_of(action, FunctionName="echo")
            assert code == "ResourceNotFound.FunctionName"


@pytest.mark.parametrize(
    ("qualifier", "code"),
    [("$LATEST", "InvalidParameterValue.Qualifier"), ("7", "ResourceNotFound.Qualifier")],
)
async def test_a_single_version_that_cannot_be_deleted_leaves_the_function(
    tmp_path: Path, qualifier: str, code: str
) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create()
        given = {"FunctionName": "echo", "Qualifier": qualifier}
        assert await cloud.code_of("DeleteFunction", **given) == code
        assert "Error" not in await cloud.call("GetFunction", FunctionName="echo")


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, "InvalidParameter.FunctionNameOrResourceIdRequired"),
        ({"FunctionName": "nobody"}, "ResourceNotFound.FunctionName"),
        ({"FunctionName": "echo", "Qualifier": "3"}, "ResourceNotFound.Version"),
        ({"FunctionName": "echo", "ShowCode": "perhaps"}, "InvalidParameterValue"),
        ({"FunctionName": ["echo"]}, "InvalidParameterValue.FunctionName"),
    ],
)
async def test_a_function_that_cannot_be_shown_gets_the_platforms_code(
    tmp_path: Path, params: dict[str, Any], code: str
) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create()
        assert await cloud.code_of("GetFunction", **params) == code
