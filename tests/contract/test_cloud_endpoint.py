"""The envelope, the dispatch, and what happens when something is wrong with a request."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from api.cloud.models import REQUESTS
from api.cloud.wire.routes import CloudEndpoint
from sandbox.errors import EngineError
from tests.contract.cloud_kit import response_of, running_cloud, served

if TYPE_CHECKING:
    from pathlib import Path

    from api.cloud.wire.request import RawRequest


async def test_an_error_is_http_200_in_exactly_application_json_with_a_request_id(
    tmp_path: Path,
) -> None:
    async with running_cloud(tmp_path) as cloud:
        response = await cloud.client.post("/", json={}, headers={"X-TC-Action": "Nonsense"})
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    answer = response.json()["Response"]
    assert answer["Error"]["Code"] == "InvalidAction"
    assert len(answer["RequestId"]) == 36


async def test_each_answer_has_its_own_request_id(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        ids = {(await cloud.call("GetAccount"))["RequestId"] for _ in range(3)}
    assert len(ids) == 3


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "MissingParameter"),
        ({"X-TC-Action": "GetFunctions"}, "InvalidAction"),
        ({"X-TC-Action": "GetAccount", "X-TC-Version": "2017-03-12"}, "NoSuchVersion"),
        ({"X-TC-Action": "GetDemoAddress"}, "UnsupportedOperation"),
        ({"X-TC-Action": "GetAccount", "Authorization": "SKIP"}, "MissingParameter"),
        (
            {"X-TC-Action": "GetAccount", "Authorization": "Bearer x"},
            "AuthFailure.InvalidAuthorization",
        ),
    ],
)
async def test_a_request_that_no_action_can_be_found_for_says_why(
    tmp_path: Path, headers: dict[str, str], code: str
) -> None:
    async with running_cloud(tmp_path) as cloud:
        response = await cloud.client.post("/", json={}, headers=headers)
    assert response.json()["Response"]["Error"]["Code"] == code


async def test_an_action_that_is_not_simulated_says_so_and_not_that_it_does_not_exist(
    tmp_path: Path,
) -> None:
    async with running_cloud(tmp_path) as cloud:
        missing = sorted(set(REQUESTS) - cloud.api.simulated)
        codes = {await cloud.code_of(action) for action in missing}
    assert missing
    assert codes == {"UnsupportedOperation"}


async def test_a_body_that_is_not_json_is_an_error_in_the_envelope(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        response = await cloud.client.post(
            "/", content=b'{"a"', headers={"X-TC-Action": "GetAccount"}
        )
    assert response.status_code == 200
    assert response.json()["Response"]["Error"]["Code"] == "InvalidParameter"


async def test_a_failure_of_ours_is_an_internal_error_without_a_stack(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create()
        cloud.invoker.error = ZeroDivisionError("a detail that nobody outside should see")
        answer = await cloud.call("Invoke", FunctionName="echo")
    assert answer["Error"]["Code"] == "InternalError"
    assert answer["RequestId"] in answer["Error"]["Message"]
    assert "detail" not in json.dumps(answer)
    assert "Traceback" not in json.dumps(answer)


async def test_a_failure_of_the_engine_has_its_own_code_and_says_what_it_is(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create()
        cloud.invoker.error = EngineError("the engine does not answer: start it")
        answer = await cloud.call("Invoke", FunctionName="echo")
    assert answer["Error"]["Code"] == "InternalError.System"
    assert answer["Error"]["Message"] == "the engine does not answer: start it"


async def test_half_a_surrogate_pair_in_a_name_does_not_break_the_answer(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        response = await cloud.client.post(
            "/",
            content=b'{"FunctionName":"\\ud800"}',
            headers={"X-TC-Action": "Invoke"},
        )
    assert response.json()["Response"]["Error"]["Code"] == "InvalidParameter.FunctionName"


async def test_an_unsigned_request_is_refused_once_credentials_are_configured(
    tmp_path: Path,
) -> None:
    async with running_cloud(tmp_path, credentials={"id": "key"}) as cloud:
        assert await cloud.code_of("GetAccount") == "AuthFailure.InvalidAuthorization"


async def test_in_warn_mode_an_unsigned_request_is_served(tmp_path: Path) -> None:
    async with running_cloud(tmp_path, credentials={"id": "key"}, signature="warn") as cloud:
        assert "Error" not in await cloud.call("GetAccount")


async def test_a_browser_is_sent_to_the_documentation(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        page = await cloud.client.get("/", headers={"Accept": "text/html,*/*"})
        called = await cloud.client.get(
            "/", params={"Action": "GetAccount"}, headers={"Accept": "text/html"}
        )
    assert (page.status_code, page.headers["location"]) == (307, "/docs")
    assert "AccountUsage" in called.json()["Response"]


class Echo:
    """Answers with the size of what it was given."""

    async def answer(self, raw: RawRequest) -> bytes:
        return json.dumps({"Response": {"Size": len(raw.body), "RequestId": "id"}}).encode()


@pytest.mark.parametrize(("size", "accepted"), [(2_000_000, True), (2_000_001, False)])
async def test_a_body_over_the_limit_is_read_to_its_end_and_refused_clearly(
    size: int, accepted: bool
) -> None:
    endpoint: Any = CloudEndpoint(Echo(), max_body_bytes=2_000_000)  # type: ignore[arg-type]
    app = Starlette(routes=[Route("/", endpoint, methods=["POST"])])
    async with served(app) as address, httpx.AsyncClient() as client:
        response = await client.post(f"http://{address}/", content=b"x" * size)
    answer = response_of(response.content)
    assert response.status_code == 200
    assert answer.get("Size") == (size if accepted else None)
    if not accepted:
        assert answer["Error"]["Code"] == "RequestSizeLimitExceeded"


async def test_a_client_that_leaves_while_it_sends_is_let_go() -> None:
    endpoint = CloudEndpoint(Echo())  # type: ignore[arg-type]
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": b"x", "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "query_string": b"", "headers": []}
    await endpoint(scope, receive, send)
    assert sent == []
