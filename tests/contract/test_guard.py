"""Who is let in: names of our own, no foreign web page, and with enforcement who has a key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from starlette.responses import PlainTextResponse

from api.allowed_hosts import AllowedHosts
from api.guard import Guard

if TYPE_CHECKING:
    from collections.abc import Mapping

KEYS = {"SecretId": "secretKey"}
HERE = {"Host": "127.0.0.1:9000"}


async def ask(
    path: str,
    headers: Mapping[str, str] | list[tuple[bytes, bytes]],
    keys: Mapping[str, str] | None = None,
    *,
    method: str = "GET",
    allowed: tuple[str, ...] = (),
    origins: tuple[str, ...] = (),
) -> httpx.Response:
    app = Guard(PlainTextResponse("through"), keys, AllowedHosts(allowed), origins)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:9000") as client:
        return await client.request(method, path, headers=headers)


def is_refused(answer: httpx.Response) -> bool:
    if answer.text == "through":
        return False
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "UnauthorizedOperation"
    return True


#: One of every family of paths.
PATHS = [
    "/",
    "/?Action=ListFunctions",
    "/docs",
    "/docs/swagger-ui.css",
    "/openapi.json",
    "/healthz",
    "/metrics",
    "/functions",
    "/functions/hello",
    "/functions/hello/logs",
    "/invocations/5b0c8b1e",
    "/instances",
    "/dead-letters",
    "/downloads/abc/hello.zip?expires=1&signature=x",
    "/no-such-page",
]


@pytest.mark.parametrize("path", PATHS)
async def test_a_rebound_name_reads_nothing(path: str) -> None:
    answer = await ask(path, {"Host": "rebound.example:9000"})
    assert is_refused(answer)
    assert "SCF_ALLOWED_HOSTS=rebound.example" in answer.json()["error"]["message"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
async def test_a_rebound_name_does_nothing(method: str) -> None:
    answer = await ask("/functions/hello", {"Host": "rebound.example:9000"}, method=method)
    assert answer.status_code == 403


async def test_a_configured_name_is_let_in() -> None:
    allowed = ("dev.example.com", "*.lab.example")
    for host in ("dev.example.com", "DEV.example.com.:9000", "a.lab.example", "b.a.lab.example:80"):
        assert not is_refused(await ask("/functions", {"Host": host}, allowed=allowed))
    for host in ("example.com", "xdev.example.com", "lab.example", "xlab.example"):
        assert is_refused(await ask("/functions", {"Host": host}, allowed=allowed))


async def test_of_two_names_both_must_be_ours() -> None:
    for names in ((b"127.0.0.1", b"evil.example"), (b"evil.example", b"127.0.0.1")):
        assert is_refused(await ask("/functions", [(b"Host", name) for name in names]))


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://evil.example", "127.0.0.1:9000"),
        ("http://127.0.0.1:8000", "127.0.0.1:9000"),
        ("null", "127.0.0.1:9000"),
        ("http://rebound.example:9000", "rebound.example:9000"),
        ("http://[", "127.0.0.1:9000"),
        ("http://[::1", "[::1]:9000"),
        ("http://127.0.0.1:9000:1", "127.0.0.1:9000"),
        ("http://127.0.0.1:port", "127.0.0.1:9000"),
        ("", "127.0.0.1:9000"),
        ("//127.0.0.1:9000", "127.0.0.1:9000"),
        ("file://127.0.0.1:9000", "127.0.0.1:9000"),
        ("http://user@127.0.0.1:9000", "127.0.0.1:9000"),
    ],
)
async def test_a_page_from_elsewhere_is_refused(origin: str, host: str) -> None:
    assert is_refused(await ask("/functions", {"Origin": origin, "Host": host}))


async def test_an_origin_of_any_bytes_is_refused() -> None:
    for origin in (b"\xff\xfe", b"http://\xe4", b"http://[\xff]", b"%"):
        assert is_refused(await ask("/functions", [(b"Host", b"127.0.0.1"), (b"Origin", origin)]))


@pytest.mark.parametrize("host", ["127.0.0.1:9000", "localhost:9000", "[::1]:9000", "control:9000"])
async def test_our_own_pages_go_through(host: str) -> None:
    for site in ({}, {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}):
        answer = await ask("/functions", {"Origin": f"http://{host}", "Host": host, **site})
        assert answer.text == "through"


async def test_a_client_that_is_no_browser_goes_through() -> None:
    assert (await ask("/functions", {})).text == "through"


# ---------------------------------------------------------------- what browsers say of a request


@pytest.mark.parametrize("site", ["cross-site", "same-site", "Cross-Site", "something-new", ""])
@pytest.mark.parametrize("mode", ["no-cors", "cors", "websocket", ""])
async def test_what_a_foreign_page_fetches_is_refused(site: str, mode: str) -> None:
    headers = {**HERE, "Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode}
    for path in PATHS:
        assert is_refused(await ask(path, headers)), path


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_a_link_to_a_page_of_ours_works(site: str) -> None:
    headers = {**HERE, "Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate"}
    for path in ("/", "/docs", "/functions/hello", "/downloads/abc/hello.zip?expires=1"):
        for dest in ({}, {"Sec-Fetch-Dest": "document"}):
            assert not is_refused(await ask(path, {**headers, **dest})), path


@pytest.mark.parametrize(
    "path",
    [
        "/?Action=DeleteFunction&FunctionName=hello",
        "/?FunctionName=hello&Action=DeleteFunction",
        "/?%41ction=DeleteFunction",
        "/?Action",
        "/?Action=",
        "/?" + "a=b&" * 200,
    ],
)
async def test_a_link_never_does_an_action(path: str) -> None:
    headers = {**HERE, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert is_refused(await ask(path, headers))
    assert is_refused(await ask("/", {**headers, "X-TC-Action": "DeleteFunction"}))


async def test_a_foreign_page_neither_posts_nor_frames_ours() -> None:
    headers = {**HERE, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert is_refused(await ask("/", headers, method="POST"))
    for dest in ("iframe", "frame", "embed", "object"):
        assert is_refused(await ask("/docs", {**headers, "Sec-Fetch-Dest": dest}))


@pytest.mark.parametrize("site", ["none", "same-origin"])
async def test_what_a_user_types_or_our_page_asks_goes_through(site: str) -> None:
    for path in PATHS:
        if site == "none" and "Action" in path:
            continue
        answer = await ask(path, {**HERE, "Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate"})
        assert not is_refused(answer), path


ACTIONS = ["/?Action=DeleteFunction&FunctionName=hello", "/?%41ction=Invoke", "/?Action="]


@pytest.mark.parametrize("path", ACTIONS)
async def test_an_address_that_no_page_gave_does_no_action(path: str) -> None:
    """A mail's link and what a typed address is redirected to come as typed ones do."""
    answer = await ask(path, {**HERE, "Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"})
    assert is_refused(answer)
    assert "curl" in answer.json()["error"]["message"]


FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.mark.parametrize("path", ACTIONS)
@pytest.mark.parametrize("host", ["0.0.0.0:9000", "[::ffff:7f00:1]:9000", "192.168.1.5", "control"])
async def test_a_browser_that_tells_no_site_does_no_action(path: str, host: str) -> None:
    """It tells none to an address that it does not trust, such as 0.0.0.0 or a name of a LAN."""
    for method in ("GET", "HEAD", "POST"):
        headers = {"Host": host, "User-Agent": FIREFOX}
        assert (await ask(path, headers, method=method)).status_code == 403
        for program in ("curl/8.5.0", "python-requests/2.32", ""):
            headers["User-Agent"] = program
            assert (await ask(path, headers, method=method)).status_code == 200


async def test_a_browser_that_tells_no_site_opens_pages() -> None:
    for path in ("/", "/docs", "/openapi.json", "/functions/hello"):
        headers = {"Host": "192.168.1.5:9000", "User-Agent": FIREFOX}
        assert not is_refused(await ask(path, headers)), path
    headers |= {"X-TC-Action": "Invoke", "Origin": "http://192.168.1.5:9000"}
    assert not is_refused(await ask("/", headers, method="POST"))


# ---------------------------------------------------------------- keys


async def test_with_keys_plain_rest_asks_for_one() -> None:
    answer = await ask("/functions", {}, KEYS)
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


@pytest.mark.parametrize(
    "authorization",
    [b"", b"Basic", b"Basic %%%", b"Basic \xff\xfe", b"Basic /w==", b"Basic U2VjcmV0SWQ", b"\xff",
     b"Basic " + b"A" * 5001, b"Bearer x", b"Basic =", "Basic ２".encode()],
)  # fmt: skip
async def test_a_key_that_cannot_be_read_is_refused(authorization: bytes) -> None:
    headers = [(b"Host", b"127.0.0.1"), (b"Authorization", authorization)]
    assert (await ask("/functions", headers, KEYS)).status_code == 401
    assert (await ask("/functions", headers)).text == "through"


@pytest.mark.parametrize("path", ["/", "/healthz", "/docs", "/openapi.json"])
async def test_what_tells_nothing_of_functions_needs_no_key(path: str) -> None:
    assert (await ask(path, {}, KEYS)).text == "through"


# ---------------------------------------------------------------- pages that the user has named

NAMED = "http://localhost:3000"
PAGE = {**HERE, "Origin": NAMED, "User-Agent": "Mozilla/5.0", "Sec-Fetch-Mode": "cors"}


@pytest.mark.parametrize("site", ["same-site", "cross-site"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
async def test_a_named_page_may_call(site: str, method: str) -> None:
    headers = {**PAGE, "Sec-Fetch-Site": site}
    answer = await ask("/functions", headers, method=method, origins=(NAMED,))
    assert answer.text == "through"
    assert answer.headers["Access-Control-Allow-Origin"] == NAMED
    assert "X-Scf-Status" in answer.headers["Access-Control-Expose-Headers"]
    assert answer.headers["Vary"] == "Origin"


async def test_a_named_page_may_ask_what_it_may_send() -> None:
    asked = {
        **PAGE,
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "authorization, x-tc-action",
        "Access-Control-Request-Private-Network": "true",
    }
    answer = await ask("/", asked, KEYS, method="OPTIONS", origins=(NAMED,))
    assert answer.status_code == 200
    allowed = answer.headers["Access-Control-Allow-Headers"]
    assert {"authorization", "x-tc-action"} <= set(allowed.lower().split(", "))
    assert "PUT" in answer.headers["Access-Control-Allow-Methods"]
    assert answer.headers["Access-Control-Allow-Private-Network"] == "true"


async def test_a_named_page_needs_a_key_as_all_others_and_is_told_so() -> None:
    answer = await ask("/functions", PAGE, KEYS, origins=(NAMED,))
    assert answer.status_code == 401
    assert answer.headers["Access-Control-Allow-Origin"] == NAMED


@pytest.mark.parametrize("origin", ["http://localhost:3001", "https://localhost:3000", "null"])
@pytest.mark.parametrize("site", ["same-site", "cross-site"])
async def test_a_page_that_is_not_named_may_not(origin: str, site: str) -> None:
    headers = {**PAGE, "Origin": origin, "Sec-Fetch-Site": site}
    answer = await ask("/functions", headers, origins=(NAMED,))
    assert is_refused(answer)
    assert "Access-Control-Allow-Origin" not in answer.headers


async def test_a_named_page_cannot_call_by_a_foreign_name() -> None:
    answer = await ask("/functions", {**PAGE, "Host": "evil.example:9000"}, origins=(NAMED,))
    assert is_refused(answer)


async def test_without_named_pages_none_may_ask() -> None:
    asked = {**PAGE, "Access-Control-Request-Method": "PUT"}
    assert is_refused(await ask("/", asked, method="OPTIONS"))
