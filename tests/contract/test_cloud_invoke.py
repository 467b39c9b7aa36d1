"""Invoke and InvokeFunction: what reaches the invoker, and how its outcome is told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tencentcloud.scf.v20180416 import models as sdk

from api.cloud.models.invoke import InvokeFunctionRequest, InvokeRequest
from sandbox.errors import LimitError, RequestError
from sandbox.invocation import Outcome
from sandbox.status import error_object
from tests.contract.cloud_kit import fields_of, running_cloud

if TYPE_CHECKING:
    from pathlib import Path

RESULT_FIELDS = fields_of(sdk.Result)


async def test_the_seeds_invocation_gets_the_seeds_answer(tmp_path: Path) -> None:
    event = '{   "key1": "test value 1",   "key2": "test value 2" }'
    async with running_cloud(tmp_path) as cloud:
        await cloud.create("CustomRuntime-Bash")
        answer = await cloud.call("Invoke", FunctionName="CustomRuntime-Bash", ClientContext=event)
    assert answer["Result"] == {
        "MemUsage": 7_417_856,
        "Log": "",
        "RetMsg": f"Echoing request: '{event}'",
        "BillDuration": 102,
        "FunctionRequestId": answer["RequestId"],
        "Duration": 101.25,
        "ErrMsg": "",
        "InvokeResult": 0,
    }
    assert set(answer["Result"]) == RESULT_FIELDS


async def test_invoke_runs_the_latest_code_and_invoke_function_the_default_alias(
    tmp_path: Path,
) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create()
        await cloud.call("Invoke", FunctionName="echo", ClientContext="1")
        await cloud.call("InvokeFunction", FunctionName="echo", Event="2")
    (name, event, first), (_, other, second) = cloud.invoker.calls
    assert (name, event, other) == ("echo", b"1", b"2")
    assert (first.qualifier, second.qualifier) == ("$LATEST", "$DEFAULT")
    assert first.namespace == second.namespace == "default"
    assert first.request_id == cloud.answers[-2]["RequestId"]


async def test_an_event_reaches_the_function_byte_by_byte(tmp_path: Path) -> None:
    event = '{"a":"中\\u0000\\n",  "b":[1.0,1e3]}'
    async with running_cloud(tmp_path) as cloud:
        await cloud.create()
        answer = await cloud.call("Invoke", FunctionName="echo", ClientContext=event)
    assert cloud.invoker.calls[0][1] == event.encode()
    assert answer["Result"]["RetMsg"] == f"Echoing request: '{event}'"


@pytest.mark.parametrize("params", [{}, {"ClientContext": ""}, {"ClientContext": None}])
async def test_without_an_event_the_function_gets_an_empty_object(
    tmp_path: Path, params: dict[str, Any]
) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create()
        await cloud.call("Invoke", FunctionName="echo", **params)
    assert cloud.invoker.calls[0][1] == b"{}"


@pytest.mark.parametrize(
    ("log_type", "tail"), [("Tail", True), ("tail", True), ("None", False), ("", False)]
)
async def test_a_log_comes_only_with_a_tail_and_as_plain_text(
    tmp_path: Path, log_type: str, tail: bool
) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create()
        answer = await cloud.call("Invoke", FunctionName="echo", LogType=log_type)
    assert cloud.invoker.calls[0][2].tail is tail
    assert answer["Result"]["Log"].startswith("START RequestId") is tail


async def test_a_failed_function_is_a_result_with_the_error_in_both_messages(
    tmp_path: Path,
) -> None:
    body = error_object(433, "Invoking task timed out after 3 seconds", "id")
    async with running_cloud(tmp_path) as cloud:
        await cloud.create()
        cloud.invoker.outcome = Outcome("", 433, body, 3000, 3000, 1024)
        answer = await cloud.call("Invoke", FunctionName="echo")
    result = answer["Result"]
    assert result["InvokeResult"] == -1
    assert result["RetMsg"] == result["ErrMsg"] == body.decode()
    assert json.loads(result["RetMsg"])["statusCode"] == 433


async def test_a_result_that_is_not_utf8_is_shown_as_far_as_possible(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create()
        cloud.invoker.outcome = Outcome("", 200, b"a\xffb")
        answer = await cloud.call("Invoke", FunctionName="echo")
    assert answer["Result"]["RetMsg"] == "a\N{REPLACEMENT CHARACTER}b"


async def test_an_event_invocation_is_taken_for_later_and_tells_only_its_id(
    tmp_path: Path,
) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create()
        answer = await cloud.call(
            "Invoke", FunctionName="echo", InvocationType="Event", ClientContext="{}"
        )
    ((name, event, options),) = cloud.invoker.queued
    assert (name, event, options.invocation_type) == ("echo", b"{}", "Event")
    assert not cloud.invoker.calls
    assert set(answer["Result"]) == RESULT_FIELDS
    filled = {name for name, value in answer["Result"].items() if value}
    assert filled == {"FunctionRequestId"}
    assert answer["Result"]["FunctionRequestId"] == answer["RequestId"] == options.request_id


async def test_a_routing_key_is_passed_on(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create()
        await cloud.call("Invoke", FunctionName="echo", RoutingKey='{"User":"7"}')
    assert cloud.invoker.calls[0][2].routing_key == {"User": "7"}


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"FunctionName": None}, "MissingParameter"),
        ({"FunctionName": 7}, "InvalidParameter.FunctionName"),
        ({"FunctionName": "nobody"}, "ResourceNotFound.FunctionName"),
        ({"FunctionName": "-bad-"}, "InvalidParameter.FunctionName"),
        ({"Namespace": "nowhere"}, "ResourceNotFound.FunctionName"),
        ({"Qualifier": "9"}, "ResourceNotFound.Qualifier"),
        ({"InvocationType": "Later"}, "InvalidParameterValue"),
        ({"LogType": "Head"}, "InvalidParameterValue"),
        ({"ClientContext": {"a": 1}}, "InvalidParameter"),
        ({"RoutingKey": "nonsense"}, "InvalidParameterValue"),
        ({"RoutingKey": '{"a":1}'}, "InvalidParameterValue"),
        ({"RoutingKey": json.dumps({"a": "x" * 1024})}, "InvalidParameterValue"),
    ],
)
async def test_an_invoke_request_that_is_wrong_gets_the_platforms_code(
    tmp_path: Path, params: dict[str, Any], code: str
) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create()
        assert await cloud.code_of("Invoke", **{"FunctionName": "echo", **params}) == code
    assert not cloud.invoker.calls


async def test_an_event_with_half_a_surrogate_pair_is_no_json_text(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create()
        response = await cloud.client.post(
            "/",
            content=b'{"FunctionName":"echo","ClientContext":"\\"\\ud800\\""}',
            headers={"X-TC-Action": "Invoke"},
        )
    error = response.json()["Response"]["Error"]
    assert error["Code"] == "InvalidParameterValue.Param"


@pytest.mark.parametrize(
    "error",
    [
        RequestError("not JSON", "InvalidParameterValue.Param"),
        LimitError("too large", "InvalidParameter.RequestTooLarge"),
        RequestError("not Active", "FailedOperation.FunctionStatusError"),
    ],
)
async def test_an_error_of_the_invoker_is_passed_on(tmp_path: Path, error: RequestError) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create()
        cloud.invoker.error = error
        answer = await cloud.call("InvokeFunction", FunctionName="echo", Event="{}")
    assert answer["Error"] == {"Code": error.code, "Message": error.message}


@pytest.mark.parametrize("model", [InvokeRequest, InvokeFunctionRequest])
async def test_the_check_by_hand_refuses_what_the_model_refuses(
    tmp_path: Path, model: type[InvokeRequest] | type[InvokeFunctionRequest]
) -> None:
    action = model.__name__.removesuffix("Request")
    wrongs: tuple[Any, ...] = (5, [], {}, True)
    async with running_cloud(tmp_path) as cloud:
        await cloud.create()
        for field in model.model_fields:
            for wrong in wrongs:
                code = await cloud.code_of(action, **{"FunctionName": "echo", field: wrong})
                assert code.startswith("InvalidParameter"), (field, wrong)
    assert not cloud.invoker.calls
