"""Foreign web pages are refused; with signatures enforced plain REST asks for a key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from starlette.responses import PlainTextResponse

from api.guard import Guard

if TYPE_CHECKING:
    from collections.abc import Mapping

KEYS = {"SecretId": "secretKey"}


async def get(
    path: str, headers: dict[str, str], keys: Mapping[str, str] | None = None
) -> httpx.Response:
    app = Guard(PlainTextResponse("through"), keys)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:9000") as client:
        return await client.get(path, headers=headers)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://evil.example", "127.0.0.1:9000"),
        ("http://127.0.0.1:8000", "127.0.0.1:9000"),
        ("null", "127.0.0.1:9000"),
        ("http://rebound.example:9000", "rebound.example:9000"),
    ],
)
async def test_a_page_from_elsewhere_is_refused(origin: str, host: str) -> None:
    answer = await get("/functions", {"Origin": origin, "Host": host})
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "UnauthorizedOperation"


@pytest.mark.parametrize("host", ["127.0.0.1:9000", "localhost:9000", "[::1]:9000", "control:9000"])
async def test_our_own_pages_go_through(host: str) -> None:
    answer = await get("/functions", {"Origin": f"http://{host}", "Host": host})
    assert answer.text == "through"


async def test_a_client_that_is_no_browser_goes_through() -> None:
    assert (await get("/functions", {})).text == "through"


async def test_with_keys_plain_rest_asks_for_one() -> None:
    answer = await get("/functions", {}, KEYS)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic")
    right = httpx.BasicAuth("SecretId", "secretKey")
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=Guard(PlainTextResponse("through"), KEYS)),
        base_url="http://127.0.0.1:9000",
    ) as client:
        assert (await client.get("/functions", auth=right)).text == "through"
        wrong = await client.get("/functions", auth=httpx.BasicAuth("SecretId", "other"))
        assert wrong.status_code == 401
        garbage = await client.get("/functions", headers={"Authorization": "Basic %%%"})
        assert garbage.status_code == 401


@pytest.mark.parametrize("path", ["/", "/healthz", "/docs", "/openapi.json"])
async def test_what_tells_nothing_of_functions_needs_no_key(path: str) -> None:
    assert (await get(path, {}, KEYS)).text == "through"
