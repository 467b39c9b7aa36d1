"""Plain REST: logs and records of invocations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.rest_fakes import RestApp, log_of
from tests.support.clock import EPOCH
from tests.support.records import make_record

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

LOGS = "/functions/hello/logs"


@pytest.fixture
async def rest() -> RestApp:
    rest = RestApp()
    await rest.with_function()
    rest.history.records = [
        make_record("a", EPOCH - 100),
        make_record("b", EPOCH - 50, status_code=433, ret_msg="timed out"),
        make_record("c", EPOCH - 10),
    ]
    return rest


@pytest.fixture
async def client(rest: RestApp) -> AsyncIterator[httpx.AsyncClient]:
    async with rest.client() as client:
        yield client


async def test_logs_are_text_oldest_first(client: httpx.AsyncClient) -> None:
    response = await client.get(LOGS)
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.text == log_of("a") + log_of("b") + log_of("c")


async def test_a_limit_keeps_the_newest_logs(client: httpx.AsyncClient) -> None:
    assert (await client.get(LOGS + "?limit=2")).text == log_of("b") + log_of("c")


async def test_the_log_of_one_request_is_picked(client: httpx.AsyncClient) -> None:
    assert (await client.get(LOGS + "?request_id=b")).text == log_of("b")


async def test_logs_are_records_for_those_who_ask_for_json(client: httpx.AsyncClient) -> None:
    response = await client.get(LOGS + "?limit=1", headers={"Accept": "application/json"})
    listing = response.json()
    assert listing["total"] == 3
    assert [item["request_id"] for item in listing["invocations"]] == ["c"]
    assert listing["invocations"][0]["log"] == log_of("c")


@pytest.mark.parametrize(
    ("since", "start"),
    [
        ("30s", EPOCH - 30),
        ("1.5m", EPOCH - 90),
        ("2h", EPOCH - 7200),
        ("1d", EPOCH - 86400),
        ("1699999999.5", EPOCH - 0.5),
        ("2023-11-14T22:13:20Z", EPOCH),
        ("2023-11-14T22:13:20", EPOCH),
        ("2023-11-15T06:13:20%2B08:00", EPOCH),
    ],
)
async def test_since_takes_times_and_how_long_ago(
    rest: RestApp, client: httpx.AsyncClient, since: str, start: float
) -> None:
    assert (await client.get(LOGS + f"?since={since}")).status_code == 200
    assert rest.history.queries[-1]["start"] == pytest.approx(start)


async def test_a_since_that_is_no_time_is_refused(client: httpx.AsyncClient) -> None:
    response = await client.get(LOGS + "?since=yesterday")
    assert response.status_code == 400
    assert "yesterday" in response.json()["error"]["message"]


async def test_logs_of_no_function_are_not_found(client: httpx.AsyncClient) -> None:
    for path in (LOGS, LOGS + "?follow=true", "/functions/hello/invocations"):
        response = await client.get(path.replace("hello", "none"))
        assert response.status_code == 404
        assert response.json()["error"]["code"] == "ResourceNotFound.FunctionName"


async def test_invocations_are_listed_newest_first(client: httpx.AsyncClient) -> None:
    listing = (await client.get("/functions/hello/invocations?limit=2")).json()
    assert listing["total"] == 3
    assert [item["request_id"] for item in listing["invocations"]] == ["c", "b"]
    listing = (await client.get("/functions/hello/invocations?limit=2&offset=2")).json()
    assert [item["request_id"] for item in listing["invocations"]] == ["a"]


async def test_failed_invocations_can_be_picked(rest: RestApp, client: httpx.AsyncClient) -> None:
    listing = (await client.get("/functions/hello/invocations?result=failed")).json()
    assert [item["request_id"] for item in listing["invocations"]] == ["b"]
    assert listing["invocations"][0]["status"] == 433
    await client.get("/functions/hello/invocations?result=ok&qualifier=2")
    assert rest.history.queries[-1] == {"result": "is0", "start": None, "qualifier": "2"}


async def test_one_invocation_is_shown_with_its_stages_and_log(client: httpx.AsyncClient) -> None:
    detail = (await client.get("/invocations/b")).json()
    assert detail["result"] == "timed out"
    assert detail["timeline"] == {"received": EPOCH - 50, "finished": EPOCH - 50 + 0.1}
    assert detail["log"] == log_of("b")
    assert detail["timeline_utc"]["received"] == "2023-11-14T22:12:30.000Z"
    line = {"time": EPOCH, "time_utc": "2023-11-14T22:13:20.000Z", "text": "hello from b"}
    assert detail["lines"] == [line]
    assert detail["instance"] == "0123456789ab"


async def test_an_unknown_invocation_is_not_found(client: httpx.AsyncClient) -> None:
    response = await client.get("/invocations/nothing")
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "ResourceNotFound"
