"""An Invoke is answered the same by the short way as by the long one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from api.cloud.wire.request import RawRequest
from sandbox.invocation import InvokeOptions, Outcome
from sandbox.status import error_object
from tests.contract.cloud_kit import LocalCloud, running_cloud
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

UNICODE = json.dumps({"FunctionName": "echo", "ClientContext": '"中\U0001f600\\u0000"'})
SURROGATE = '{"FunctionName": "echo", "ClientContext": "\\"\\ud800\\""}'

BODIES: dict[str, str | bytes] = {
    "plain": '{"FunctionName": "echo", "ClientContext": "{}"}',
    "no event": '{"FunctionName": "echo"}',
    "unicode": UNICODE,
    "utf-16": UNICODE.encode("utf-16"),
    "half a surrogate pair": SURROGATE,
    "not a number": '{"FunctionName": "echo", "ClientContext": NaN}',
    "routing": '{"FunctionName": "echo", "RoutingKey": "{\\"a\\": \\"b\\"}"}',
    "tail": '{"FunctionName": "echo", "LogType": "Tail"}',
    "asynchronous": '{"FunctionName": "echo", "InvocationType": "Event"}',
    "nobody": '{"FunctionName": "nobody"}',
    "no name": '{"FunctionName": "1"}',
    "without a name": "{}",
    "a list": "[1]",
    "broken": '{"FunctionName": ',
    "empty": "",
    "wrong type": '{"FunctionName": 7}',
    "other kind": '{"FunctionName": "echo", "InvocationType": "Sometimes"}',
    "another region": '{"FunctionName": "echo", "Region": "na-toronto"}',
}


def short(
    cloud: LocalCloud,
) -> Callable[[str, bytes, InvokeOptions, Callable[[Outcome], None]], bool]:
    """What the real invoker does: simple ones at once, no others."""

    def start(
        name: str, event: bytes, options: InvokeOptions, answer: Callable[[Outcome], None]
    ) -> bool:
        cloud.functions.resolve(options.namespace, name, options.qualifier, options.routing_key)
        if options.tail:
            return False
        assert cloud.invoker.outcome is not None
        cloud.invoker.outcome.request_id = options.request_id
        answer(cloud.invoker.outcome)
        return True

    return start


def without_id(body: bytes) -> Any:
    answer = json.loads(body)["Response"]
    request_id = answer.pop("RequestId")
    result = answer.get("Result")
    if result is not None:
        assert result.pop("FunctionRequestId") == request_id
        result["Log"] = result["Log"].replace(request_id, "")
    return answer


async def both(cloud: LocalCloud, raw: RawRequest) -> tuple[Any, Any]:
    """The answers of the short and of the long way."""
    answers: list[bytes] = []
    cloud.api.answer_invoke(raw, answers.append)
    await eventually(lambda: bool(answers))
    return without_id(answers[0]), without_id(await cloud.api.answer(raw))


TIMED_OUT = error_object(433, "Invoking task timed out after 3 seconds", "id")


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome("", 200, b'{"a": "\xff\xe4\xb8\xad\\u0000"}', 101.25, 102, 7_417_856),
        Outcome("", 433, TIMED_OUT, 3000, 3000),
    ],
)
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
@pytest.mark.parametrize("action", ["Invoke", "InvokeFunction"])
async def test_every_request_is_answered_the_same(
    tmp_path: Path, action: str, body: str | bytes, outcome: Outcome
) -> None:
    async with running_cloud(tmp_path, signature="off") as cloud:
        await cloud.create("echo")
        cloud.invoker.outcome = outcome
        cloud.invoker.start = short(cloud)  # type: ignore[method-assign,assignment]
        data = body if isinstance(body, bytes) else body.encode()
        headers = {"x-tc-action": action, "content-type": "application/json"}
        for more in ({}, {"x-tc-version": "2018-04-16"}, {"x-tc-version": "2017-01-01"}):
            one, other = await both(cloud, RawRequest("POST", "", {**headers, **more}, data))
            assert one == other


async def test_a_refused_signature_is_refused_on_both(tmp_path: Path) -> None:
    async with running_cloud(tmp_path, credentials={"id": "key"}) as cloud:
        raw = RawRequest("POST", "", {"x-tc-action": "Invoke"}, b'{"FunctionName": "echo"}')
        one, other = await both(cloud, raw)
        assert one == other
        assert one["Error"]["Code"] == "AuthFailure.InvalidAuthorization"


async def test_a_fault_of_ours_is_answered_on_both(tmp_path: Path) -> None:
    async with running_cloud(tmp_path, signature="off") as cloud:
        await cloud.create("echo")

        def broken(*_: Any) -> bool:
            raise KeyError("a bug")

        cloud.invoker.start = broken  # type: ignore[method-assign,assignment]
        cloud.invoker.error = KeyError("a bug")
        raw = RawRequest("POST", "", {"x-tc-action": "Invoke"}, b'{"FunctionName": "echo"}')
        one, other = await both(cloud, raw)
        assert one["Error"]["Code"] == other["Error"]["Code"] == "InternalError"


async def test_a_form_that_was_signed_for_another_action_runs_nothing(tmp_path: Path) -> None:
    async with running_cloud(tmp_path, signature="off") as cloud:
        await cloud.create("echo")
        cloud.invoker.outcome = Outcome("", 200, b"run", 1, 1)
        cloud.invoker.start = short(cloud)  # type: ignore[method-assign,assignment]
        form = b"Action=GetFunction&Version=2018-04-16&FunctionName=echo&Signature=x"
        one, other = await both(cloud, RawRequest("POST", "", {"x-tc-action": "Invoke"}, form))
        assert one == other
        assert one["FunctionName"] == "echo"
