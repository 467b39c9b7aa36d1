"""The official Python SDK, unmodified, against the API on a loopback port."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tencentcloud.common.credential import Credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.scf.v20180416 import models, scf_client_async

from tests.contract.sdk_kit import ID, KEY, Sdk, cloud_at_address
from tests.support.zips import zip_text

if TYPE_CHECKING:
    from pathlib import Path

WAYS = [
    ("POST", "TC3-HMAC-SHA256"),
    ("GET", "TC3-HMAC-SHA256"),
    ("POST", "HmacSHA1"),
    ("GET", "HmacSHA1"),
    ("POST", "HmacSHA256"),
    ("GET", "HmacSHA256"),
]


@pytest.mark.parametrize(("method", "sign"), WAYS)
async def test_a_function_lives_its_whole_life_through_the_sdk(
    tmp_path: Path, method: str, sign: str
) -> None:
    async with cloud_at_address(tmp_path) as (cloud, address):
        sdk = Sdk(address, method, sign)
        await sdk.call(
            "CreateFunction",
            FunctionName="echo",
            Runtime="CustomRuntime",
            Timeout=3,
            Code={"ZipFile": zip_text()},
            Environment={"Variables": [{"Key": "A", "Value": "b c&d=中"}]},
        )
        await cloud.functions.settled("default", "echo")
        found = await sdk.call("GetFunction", FunctionName="echo", ShowCode="TRUE")
        assert (found.Status, found.Timeout) == ("Active", 3)
        assert found.Environment.Variables[0].Value == "b c&d=中"
        assert found.CodeInfo.startswith("#!/bin/bash")

        invoked = await sdk.call("Invoke", FunctionName="echo", ClientContext='{"k": "v 中"}')
        assert invoked.Result.RetMsg == 'Echoing request: \'{"k": "v 中"}\''
        assert invoked.Result.InvokeResult == 0
        assert invoked.Result.FunctionRequestId == invoked.RequestId

        await sdk.call("UpdateFunctionConfiguration", FunctionName="echo", MemorySize=256)
        await cloud.functions.settled("default", "echo")
        await sdk.call("UpdateFunctionCode", FunctionName="echo", ZipFile=zip_text())
        await cloud.functions.settled("default", "echo")
        listed = await sdk.call(
            "ListFunctions", Limit=5, Filters=[{"Name": "Status", "Values": ["Active"]}]
        )
        assert [item.FunctionName for item in listed.Functions] == ["echo"]
        assert (await sdk.call("GetFunctionLogs", FunctionName="echo")).TotalCount == 0
        account = await sdk.call("GetAccount")
        assert account.AccountUsage.Namespace[0].Functions == ["echo"]

        await sdk.call("DeleteFunction", FunctionName="echo")
        error = await sdk.error_of("GetFunction", FunctionName="echo")
        assert error.code == "ResourceNotFound.FunctionName"
        assert error.requestId


@pytest.mark.parametrize(("method", "sign"), WAYS)
async def test_the_asynchronous_client_of_the_sdk_is_served_as_well(
    tmp_path: Path, method: str, sign: str
) -> None:
    async with cloud_at_address(tmp_path) as (cloud, address):
        created = {"FunctionName": "echo", "Runtime": "CustomRuntime"}
        await Sdk(address).call("CreateFunction", **created, Code={"ZipFile": zip_text()})
        await cloud.functions.settled("default", "echo")
        http = HttpProfile(endpoint=address, reqMethod=method, protocol="http")
        profile = ClientProfile(httpProfile=http, signMethod=sign)
        key = Credential(ID, KEY)
        async with scf_client_async.ScfClient(key, "na-toronto", profile) as client:
            request = models.InvokeRequest()
            request._deserialize({"FunctionName": "echo", "ClientContext": '{"k": "v 中"}'})
            answer = await client.Invoke(request)
            assert answer.Result.RetMsg == 'Echoing request: \'{"k": "v 中"}\''
            request.FunctionName = "nobody"
            with pytest.raises(TencentCloudSDKException) as caught:
                await client.Invoke(request)
        assert caught.value.code == "ResourceNotFound.FunctionName"


@pytest.mark.parametrize("http", ["httptools", "h11"])
@pytest.mark.parametrize("sign", ["TC3-HMAC-SHA256", "HmacSHA1"])
async def test_an_endpoint_with_its_scheme_works_though_it_ends_up_in_the_host_header(
    tmp_path: Path, sign: str, http: str
) -> None:
    async with cloud_at_address(tmp_path, http) as (_, address):
        answer = await Sdk(f"http://{address}", sign=sign).call("ListFunctions")
    assert answer.TotalCount == 0


@pytest.mark.parametrize(("method", "sign"), WAYS)
async def test_a_wrong_secret_is_refused_and_an_unknown_id_as_well(
    tmp_path: Path, method: str, sign: str
) -> None:
    async with cloud_at_address(tmp_path) as (_, address):
        wrong = await Sdk(address, method, sign, (ID, "wrong")).error_of("ListFunctions")
        unknown = await Sdk(address, method, sign, ("nobody", KEY)).error_of("ListFunctions")
    assert wrong.code == "AuthFailure.SignatureFailure"
    assert unknown.code == "AuthFailure.SecretIdNotFound"


async def test_the_pair_of_tencents_samples_is_accepted_without_any_configuration(
    tmp_path: Path,
) -> None:
    async with cloud_at_address(tmp_path, credentials={}) as (_, address):
        answer = await Sdk(address, secret=("SecretId", "secretKey")).call("ListFunctions")
    assert answer.TotalCount == 0


ERRORS: list[tuple[str, dict[str, Any], str]] = [
    ("CreateFunction", {"FunctionName": "fn"}, "MissingParameter.Code"),
    (
        "CreateFunction",
        {"FunctionName": "fn", "Runtime": "Php5", "Code": {"ZipFile": zip_text()}},
        "InvalidParameterValue.Runtime",
    ),
    (
        "CreateFunction",
        {
            "FunctionName": "fn",
            "Runtime": "CustomRuntime",
            "MemorySize": 65,
            "Code": {"ZipFile": zip_text()},
        },
        "InvalidParameterValue.Memory",
    ),
    ("Invoke", {}, "MissingParameter"),
    ("Invoke", {"FunctionName": "nobody"}, "ResourceNotFound.FunctionName"),
    ("Invoke", {"FunctionName": "1"}, "InvalidParameter.FunctionName"),
    ("GetFunctionLogs", {"OrderBy": "x"}, "InvalidParameterValue.OrderBy"),
    ("PublishVersion", {"FunctionName": "fn"}, "ResourceNotFound.FunctionName"),
    ("GetCustomDomain", {"Domain": "example.com"}, "UnsupportedOperation"),
]


@pytest.mark.parametrize(("method", "sign"), WAYS)
async def test_what_is_wrong_reaches_the_sdk_as_its_exception_with_the_platforms_code(
    tmp_path: Path, method: str, sign: str
) -> None:
    async with cloud_at_address(tmp_path) as (_, address):
        sdk = Sdk(address, method, sign)
        for action, params, code in ERRORS:
            error = await sdk.error_of(action, **params)
            assert (action, error.code) == (action, code)
            assert error.requestId
            assert error.message
