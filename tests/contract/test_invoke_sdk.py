"""Invoke and InvokeFunction through the official SDK: the whole product, real bootstraps."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.coverage_kit import drives
from tests.contract.sdk_kit import require_complete
from tests.support.product import bash_runtime
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.support.product_cloud import ProductCloud

#: Tells which version ran with which event, and writes a line of log.
TELLS = bash_runtime('echo "working on $1" >&2; echo "$SCF_FUNCTIONVERSION $1"')
WHERE = {"FunctionName": "told", "Namespace": "stage"}
BY_RULE = {
    "AddtionVersionMatchs": [
        {"Version": "2", "Key": "invoke.headers.User", "Method": "exact", "Expression": "ann"}
    ]
}


@pytest.fixture(scope="module")
def told(cloud: ProductCloud) -> ProductCloud:
    """A function with versions 1 and 2, an alias ``live`` by rule, and ``$DEFAULT`` on 1."""
    cloud.call("CreateNamespace", Namespace="stage")
    cloud.create("told", TELLS, Namespace="stage", MemorySize=256, Timeout=9)
    for version in ("1", "2"):
        cloud.call("PublishVersion", **WHERE)
        cloud.active("told", "stage", version)
    cloud.call("CreateAlias", **WHERE, Name="live", FunctionVersion="1", RoutingConfig=BY_RULE)
    cloud.call("UpdateAlias", **WHERE, Name="$DEFAULT", FunctionVersion="1")
    return cloud


def invoked(cloud: ProductCloud, **params: Any) -> str:
    """The version that an Invoke ran."""
    text: str = cloud.call("Invoke", **WHERE, **params).Result.RetMsg
    return text.split()[0]


def require_measured(result: Any, tail: bool) -> None:
    """What a result says of time and memory, in its own units."""
    assert (result.InvokeResult, result.ErrMsg) == (0, "")
    assert 0 < result.Duration < 9000
    assert result.BillDuration == math.ceil(result.Duration)
    assert 100 * 1024 < result.MemUsage < 256 * 1024 * 1024
    if not tail:
        assert result.Log == ""
        return
    lines = result.Log.splitlines()
    assert lines[0] == f"START RequestId: {result.FunctionRequestId}"
    assert 'working on {"n": 1}' in lines
    assert f"END RequestId: {result.FunctionRequestId}" in lines


@drives("Invoke")
def test_invoke_runs_the_version_asked_for_with_every_field(told: ProductCloud) -> None:
    answer = told.call(
        "Invoke",
        **WHERE,
        InvocationType="RequestResponse",
        Qualifier="live",
        ClientContext='{"n": 1}',
        LogType="Tail",
        RoutingKey='{"User": "ann"}',
    )
    require_complete(answer)
    assert answer.Result.RetMsg.strip() == '2 {"n": 1}'
    assert answer.Result.FunctionRequestId == answer.RequestId
    require_measured(answer.Result, tail=True)


@drives("InvokeFunction")
def test_invoke_function_runs_the_version_asked_for_with_every_field(told: ProductCloud) -> None:
    answer = told.call(
        "InvokeFunction",
        **WHERE,
        Qualifier="live",
        Event='{"n": 1}',
        LogType="Tail",
        RoutingKey='{"User": "ann"}',
    )
    require_complete(answer)
    assert answer.Result.RetMsg.strip() == '2 {"n": 1}'
    require_measured(answer.Result, tail=True)
    silent = told.call("InvokeFunction", **WHERE, Event='{"n": 1}', LogType="None").Result
    require_measured(silent, tail=False)


@pytest.mark.parametrize(
    ("qualifier", "version"),
    [("$LATEST", "$LATEST"), ("1", "1"), ("2", "2"), ("live", "1"), ("$DEFAULT", "1")],
)
def test_any_qualifier_can_be_invoked(told: ProductCloud, qualifier: str, version: str) -> None:
    assert invoked(told, Qualifier=qualifier) == version
    result = told.call("InvokeFunction", **WHERE, Qualifier=qualifier).Result
    assert result.RetMsg.split()[0] == version


def test_without_a_qualifier_invoke_means_latest_and_invoke_function_default(
    told: ProductCloud,
) -> None:
    assert invoked(told) == "$LATEST"
    assert told.call("InvokeFunction", **WHERE).Result.RetMsg.split()[0] == "1"


@pytest.mark.parametrize(("key", "version"), [('{"User": "ann"}', "2"), ('{"User": "bob"}', "1")])
def test_the_routing_key_of_a_later_event_decides_as_well(
    told: ProductCloud, key: str, version: str
) -> None:
    request_id = told.send("told", Namespace="stage", Qualifier="live", RoutingKey=key)
    ended = wait_until(lambda: finished(told, request_id))
    assert ended.RetMsg.split()[0] == version


def finished(cloud: ProductCloud, request_id: str) -> Any:
    found = cloud.call("GetRequestStatus", **WHERE, FunctionRequestId=request_id).Data
    return found[0] if found and found[0].RetCode != 1 else None


@pytest.mark.parametrize("action", ["Invoke", "InvokeFunction"])
def test_a_failure_is_told_in_the_result_and_not_as_an_error_of_the_api(
    cloud: ProductCloud, action: str
) -> None:
    name = f"failing-{action}"
    cloud.create(
        name, bash_runtime('curl -s -o /dev/null -d broken $api/invocation/error; echo "$1"')
    )
    result = cloud.call(action, FunctionName=name, LogType="Tail").Result
    assert (result.InvokeResult, result.RetMsg) == (-1, result.ErrMsg)
    error = json.loads(result.ErrMsg)
    assert (error["statusCode"], error["errorMessage"]) == (430, "broken")
    assert error["requestId"] == result.FunctionRequestId


@pytest.mark.parametrize(
    ("action", "params", "code"),
    [
        ("Invoke", {"Qualifier": "9"}, "ResourceNotFound.Qualifier"),
        ("InvokeFunction", {"Qualifier": "nobody"}, "ResourceNotFound.Qualifier"),
        ("Invoke", {"Namespace": "nowhere"}, "ResourceNotFound.FunctionName"),
        ("Invoke", {"ClientContext": "no json"}, "InvalidParameterValue.Param"),
        ("InvokeFunction", {"Event": "no json"}, "InvalidParameterValue.Param"),
        ("InvokeFunction", {"LogType": "Head"}, "InvalidParameterValue"),
        ("Invoke", {"InvocationType": "Later"}, "InvalidParameterValue"),
        (
            "Invoke",
            {"InvocationType": "Event", "ClientContext": '"' + "x" * (128 * 1024) + '"'},
            "InvalidParameter.RequestTooLarge",
        ),
        (
            "InvokeFunction",
            {"Event": '"' + "x" * (6 * 1024 * 1024) + '"'},
            "InvalidParameter.RequestTooLarge",
        ),
    ],
)
def test_what_cannot_be_invoked_has_a_code_of_the_action(
    told: ProductCloud, action: str, params: dict[str, str], code: str
) -> None:
    assert told.error(action, **{**WHERE, **params}) == code
