"""Plain REST: an event goes in as it is, the result comes out as it is."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from sandbox import limits
from sandbox.errors import NotFoundError, RequestError
from sandbox.status import error_object
from tests.contract.rest_fakes import RestApp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

PATH = "/functions/hello/invocations"


@pytest.fixture
def rest() -> RestApp:
    return RestApp()


@pytest.fixture
async def client(rest: RestApp) -> AsyncIterator[httpx.AsyncClient]:
    async with rest.client() as client:
        yield client


async def test_the_event_arrives_byte_for_byte(rest: RestApp, client: httpx.AsyncClient) -> None:
    event = b'{ "a" : 1.0,\n "b":"\xe4\xbd\xa0" }'
    response = await client.post(PATH, content=event, headers={"Content-Type": "text/weird"})
    assert response.status_code == 200
    name, given, options = rest.invoker.events[0]
    assert (name, given) == ("hello", event)
    assert (options.namespace, options.qualifier, options.tail) == ("default", "$LATEST", False)
    assert options.request_id == response.headers["x-scf-request-id"]


async def test_an_empty_body_is_an_empty_event(rest: RestApp, client: httpx.AsyncClient) -> None:
    await client.post(PATH)
    assert rest.invoker.events[0][1] == b"{}"


async def test_namespace_and_qualifier_are_passed_on(
    rest: RestApp, client: httpx.AsyncClient
) -> None:
    await client.post(PATH + "?namespace=other&qualifier=3")
    options = rest.invoker.events[0][2]
    assert (options.namespace, options.qualifier) == ("other", "3")


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (b'{"a":1}', "application/json"),
        (b'"text"', "application/json"),
        (b"12", "application/json"),
        (b"hello", "text/plain; charset=utf-8"),
        (b"{broken", "text/plain; charset=utf-8"),
        (b"NaN", "text/plain; charset=utf-8"),
        (b"", "text/plain; charset=utf-8"),
        (b"\xff\xfe", "text/plain; charset=utf-8"),
    ],
)
async def test_a_result_comes_out_as_it_is_with_the_type_that_fits(
    rest: RestApp, client: httpx.AsyncClient, body: bytes, media_type: str
) -> None:
    rest.invoker.outcome["body"] = body
    response = await client.post(PATH)
    assert response.content == body
    assert response.headers["content-type"] == media_type


async def test_the_headers_tell_how_it_went(rest: RestApp, client: httpx.AsyncClient) -> None:
    rest.invoker.outcome |= {
        "duration_ms": 12.3456,
        "bill_ms": 13,
        "mem_usage": 7_000_000,
        "cold_start": True,
        "init_ms": 20.5,
        "instance_id": "0123456789abcdef0123456789abcdef",
    }
    headers = (await client.post(PATH)).headers
    assert headers["x-scf-status"] == "200"
    assert headers["x-scf-duration-ms"] == "12.346"
    assert headers["x-scf-bill-duration-ms"] == "13"
    assert headers["x-scf-memory-usage"] == "7000000"
    assert headers["x-scf-cold-start"] == "true"
    assert headers["x-scf-init-ms"] == "20.500"
    assert headers["x-scf-instance"] == "0123456789ab"
    assert "x-scf-log" not in headers


@pytest.mark.parametrize(
    ("status", "http"),
    [
        (400, 400),
        (406, 413),
        (407, 502),
        (430, 502),
        (432, 429),
        (433, 502),
        (434, 502),
        (438, 409),
        (439, 502),
        (443, 502),
        (449, 503),
        (450, 502),
        (446, 502),
        (499, 503),
        (500, 500),
    ],
)
async def test_a_failed_function_answers_its_error_object(
    rest: RestApp, client: httpx.AsyncClient, status: int, http: int
) -> None:
    body = error_object(status, "it failed", "id")
    rest.invoker.outcome |= {"status_code": status, "body": body}
    response = await client.post(PATH)
    assert response.status_code == http
    assert response.content == body
    assert response.headers["x-scf-status"] == str(status)


async def test_a_tail_is_asked_for_and_comes_in_base64(
    rest: RestApp, client: httpx.AsyncClient
) -> None:
    log = "START RequestId: 1\n你好\nEND RequestId: 1\n"
    rest.invoker.outcome["log"] = log
    response = await client.post(PATH + "?log=tail")
    assert rest.invoker.events[0][2].tail
    assert base64.b64decode(response.headers["x-scf-log"]).decode() == log


async def test_an_asynchronous_event_is_accepted_with_its_request_id(
    rest: RestApp, client: httpx.AsyncClient
) -> None:
    response = await client.post(PATH + "?type=event", content=b"[1]")
    assert response.status_code == 202
    _, event, options = rest.invoker.events[0]
    assert (event, options.invocation_type) == (b"[1]", "Event")
    assert response.json() == {"request_id": options.request_id}
    assert response.headers["x-scf-request-id"] == options.request_id


@pytest.mark.parametrize(
    ("query", "limit"),
    [("", limits.SYNC_EVENT_BYTES), ("?type=event", limits.ASYNC_EVENT_BYTES)],
)
async def test_an_event_over_the_limit_is_refused(
    rest: RestApp, client: httpx.AsyncClient, query: str, limit: int
) -> None:
    assert (await client.post(PATH + query, content=b"1" * limit)).is_success
    response = await client.post(PATH + query, content=b"1" * (limit + 1))
    assert response.status_code == 413
    assert response.json()["error"]["code"] == "InvalidParameter.RequestTooLarge"
    assert len(rest.invoker.events) == 1


@pytest.mark.parametrize(
    ("error", "http"),
    [
        (RequestError("not JSON", "InvalidParameterValue.Param"), 400),
        (NotFoundError("no function hello", "ResourceNotFound.FunctionName"), 404),
    ],
)
@pytest.mark.parametrize("query", ["", "?type=event"])
async def test_an_event_that_reaches_no_function_has_the_error_body(
    rest: RestApp,
    client: httpx.AsyncClient,
    query: str,
    error: RequestError | NotFoundError,
    http: int,
) -> None:
    rest.invoker.raises = error
    response = await client.post(PATH + query)
    assert response.status_code == http
    assert response.json()["error"] == {
        "code": error.code,
        "message": error.message,
        "request_id": rest.invoker.events[0][2].request_id,
    }
    assert "x-scf-status" not in response.headers


async def test_a_wrong_option_is_named(client: httpx.AsyncClient) -> None:
    response = await client.post(PATH + "?type=sometime")
    assert response.status_code == 400
    assert response.json()["error"]["message"].startswith("type: ")
