"""A field that an action does not have is refused, unless a real tool sends it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from api.cloud.extra_fields import BEYOND_SDK, EXTRA
from api.cloud.models import REQUESTS
from api.cloud.unknown_fields import UnknownFields
from api.cloud.wire.params import parse
from api.cloud.wire.request import CloudRequest, RawRequest
from sandbox.errors import RequestError
from tests.contract.cloud_kit import running_cloud
from tests.contract.cloud_requests import golden, golden_ids, raw_of
from tests.support.waiting import eventually
from tests.support.zips import zip_text

if TYPE_CHECKING:
    from tests.contract.cloud_kit import LocalCloud

#: What real tools send although the published models lack it, as it was found in their sources.
REAL = json.loads((Path(__file__).parent / "extra_fields.json").read_text())

CODE = {"ZipFile": zip_text()}
#: A request, and the name in the answer.
STRANGE: list[tuple[str, dict[str, Any], str]] = [
    ("Invoke", {"InvokeType": "Event"}, "InvokeType"),
    ("Invoke", {"Payload": "{}"}, "Payload"),
    ("Invoke", {"DryRun": True}, "DryRun"),
    ("Invoke", {"functionName": "echo"}, "functionName"),
    ("InvokeFunction", {"ClientContext": "{}"}, "ClientContext"),
    ("UpdateFunctionConfiguration", {"TimeOut": 9}, "TimeOut"),
    ("UpdateFunctionConfiguration", {"Qualifier": "1", "Timeout": 9}, "Qualifier"),
    ("UpdateFunctionConfiguration", {"Environment": {"KEY": "x"}}, "Environment.KEY"),
    (
        "UpdateFunctionConfiguration",
        {"Environment": {"Variables": [{"Key": "A", "Value": "1"}, {"Key": "B", "Val": "2"}]}},
        "Environment.Variables.1.Val",
    ),
    ("UpdateFunctionConfiguration", {"Layers": [{"Name": "l"}]}, "Layers.0.Name"),
    (
        "UpdateFunctionConfiguration",
        {"PublicNetConfig": {"EipConfig": {"Eip": "x"}}},
        "PublicNetConfig.EipConfig.Eip",
    ),
    ("CreateFunction", {"Code": {**CODE, "Zip": "x"}}, "Code.Zip"),
    ("ListFunctions", {"Filters": [{"Name": "Status", "Value": ["Active"]}]}, "Filters.0.Value"),
    ("GetAccount", {"FunctionName": "echo"}, "FunctionName"),
    (
        "ListNamespaces",
        {"SearchKey": [{"Key": "Namespace", "Values": ["x"]}]},
        "SearchKey.0.Values",
    ),
]


async def refused(cloud: LocalCloud, action: str, params: dict[str, Any], name: str) -> None:
    answer = await cloud.call(action, **params)
    assert answer["Error"] == {
        "Code": "UnknownParameter",
        "Message": f"The parameter `{name}` is not recognized.",
    }


async def test_a_field_that_an_action_does_not_have_is_refused_at_any_depth(
    tmp_path: Path,
) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create()
        before = cloud.functions.get("default", "echo")
        for action, params, name in STRANGE:
            given = {} if action.startswith(("List", "GetAccount")) else {"FunctionName": "echo"}
            await refused(cloud, action, {**given, **params}, name)
        assert cloud.functions.get("default", "echo") is before
        assert cloud.invoker.calls == []
        assert cloud.invoker.queued == []


async def test_it_is_refused_before_anything_else_is_looked_at(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        await refused(cloud, "GetFunction", {"FunctionName": 7, "What": 1}, "What")
        await refused(cloud, "CreateFunction", {"Code": [], "What": {}}, "What")
        await refused(cloud, "CreateFunction", {"Code": "x", "Layers": [[1]], "What": 1}, "What")
        answer = await cloud.call("CreateTrigger", What=1)
        assert answer["Error"]["Code"] == "UnsupportedOperation"


@pytest.mark.parametrize("name", ["$schema", "a.b", "", "名", "x" * 200])
async def test_any_name_is_shown_as_far_as_it_can_be(tmp_path: Path, name: str) -> None:
    async with running_cloud(tmp_path) as cloud:
        await refused(cloud, "GetAccount", {name: None}, name[:80])


async def test_a_form_and_a_query_are_as_strict(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        fields = {"Action": "UpdateFunctionConfiguration", "Version": "2018-04-16"}
        fields |= {"FunctionName": "echo", "Environment.Variables.0.Kee": "x"}
        for response in (
            await cloud.client.post("/", data=fields),
            await cloud.client.get("/", params=fields),
        ):
            error = response.json()["Response"]["Error"]
            assert error["Code"] == "UnknownParameter"
            assert "`Environment.Variables.0.Kee`" in error["Message"]


@pytest.mark.parametrize("action", sorted(REAL))
async def test_what_real_tools_send_is_taken(tmp_path: Path, action: str) -> None:
    needed: dict[str, dict[str, Any]] = {
        "CreateFunction": {"Runtime": "CustomRuntime", "Code": CODE},
        "UpdateFunctionCode": {"Code": CODE},
        "CopyFunction": {"NewFunctionName": "copy"},
        "PublishLayerVersion": {
            "LayerName": "layer",
            "CompatibleRuntimes": ["CustomRuntime"],
            "Content": CODE,
        },
        "CreateNamespace": {"Namespace": "new"},
        "ListLayers": {},
        "ListFunctions": {},
    }
    async with running_cloud(tmp_path) as cloud:
        if action != "CreateFunction":
            await cloud.create()
        given = needed.get(action, {})
        if "Function" in action and action != "ListFunctions":
            given = {"FunctionName": "echo", **given}
        answer = await cloud.call(action, **given, **REAL[action])
        assert "Error" not in answer, answer


def test_every_such_field_is_in_the_table_with_its_source() -> None:
    for action, fields in REAL.items():
        assert set(fields) <= {extra.name for extra in EXTRA[action]}, action
    for extras in EXTRA.values():
        assert all(extra.sender.source for extra in extras)


def test_the_table_has_no_field_that_the_model_has() -> None:
    for action, extras in EXTRA.items():
        names = [extra.name for extra in extras]
        assert len(names) == len(set(names)), action
        assert set(names).isdisjoint(REQUESTS[action].model_fields), action


@pytest.mark.parametrize("item", golden(), ids=golden_ids())
def test_nothing_that_a_real_client_was_seen_to_send_is_refused(item: dict[str, Any]) -> None:
    request = parse(raw_of(item))
    # One request of an SDK was made up, to see how bytes are sent: its action has no such field.
    if request.action in EXTRA and not isinstance(request.params.get("ZipFile"), bytes):
        UnknownFields(refuse=True).check(request)


@pytest.mark.parametrize("action", sorted(BEYOND_SDK))
async def test_an_action_that_the_cloud_has_and_the_sdk_lacks_is_not_called_a_misspelling(
    tmp_path: Path, action: str
) -> None:
    async with running_cloud(tmp_path) as cloud:
        error = (await cloud.call(action, FunctionName="echo", What=1))["Error"]
        assert error["Code"] == "UnsupportedOperation"
        assert action in error["Message"]
        assert action not in REQUESTS


async def test_unknown_fields_can_be_let_through_with_a_warning(tmp_path: Path) -> None:
    async with running_cloud(tmp_path, unknown_fields="warn") as cloud:
        await cloud.create()
        with capture_logs() as logs:
            answer = await cloud.call("GetFunction", FunctionName="echo", What=1, Who=[2])
        assert "Error" not in answer
        (warning,) = [entry for entry in logs if entry["event"] == "unknown_fields_dropped"]
        assert (warning["action"], warning["fields"]) == ("GetFunction", ["What", "Who"])
        assert warning["request_id"] == answer["RequestId"]
        with capture_logs() as logs:
            assert "Error" not in await cloud.call("Invoke", FunctionName="echo", InvokeType="x")
        assert [entry["fields"] for entry in logs if "fields" in entry] == [["InvokeType"]]
        # It is not told twice where the short way hands the request on.
        raw = RawRequest("POST", "", {"x-tc-action": "Invoke"}, b'{"FunctionName": "e", "X": 1}')
        answers: list[bytes] = []
        with capture_logs() as logs:
            cloud.api.answer_invoke(raw, answers.append)
            await eventually(lambda: bool(answers))
        assert [entry["fields"] for entry in logs if "fields" in entry] == [["X"]]


async def test_a_dry_run_that_cannot_be_is_refused_even_where_unknown_fields_are_let_through(
    tmp_path: Path,
) -> None:
    async with running_cloud(tmp_path, unknown_fields="warn") as cloud:
        await cloud.create()
        deleted = await cloud.code_of("DeleteFunction", FunctionName="echo", DryRun=True)
        assert deleted == "UnsupportedOperation"


async def test_the_short_way_is_as_strict(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create()
        body = b'{"FunctionName": "echo", "InvokeType": "Event"}'
        answers: list[bytes] = []
        raw = RawRequest("POST", "", {"x-tc-action": "Invoke"}, body)
        cloud.api.answer_invoke(raw, answers.append)
        (answer,) = answers
        assert json.loads(answer)["Response"]["Error"]["Code"] == "UnknownParameter"
        assert cloud.invoker.calls == []


def test_a_thousand_unknown_fields_are_one_short_answer() -> None:
    call = CloudRequest("GetAccount", "2018-04-16", {f"f{number}": 1 for number in range(1000)})
    with pytest.raises(RequestError, match="`f0` is not"):
        UnknownFields(refuse=True).check(call)
    with capture_logs() as logs:
        UnknownFields(refuse=False).check(call)
    assert len(logs[0]["fields"]) == 10
