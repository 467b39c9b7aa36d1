"""Plain REST's manners: methods, kinds of bodies, places of what was made, numbers and times."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from api.app import Application
from sandbox.functions.model import FunctionConfig
from sandbox.limits import INTEGER_MAX
from tests.contract.rest_fakes import RestApp, error_of
from tests.fuzz.requests import ask
from tests.support.control_plane import running_plane
from tests.support.records import make_record

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

import httpx

ZIP = {"code": ("demo.zip", b"PK-data", "application/zip")}
#: More than 64 bits have.
LARGE = "99999999999999999999"


@pytest.fixture
def rest() -> RestApp:
    return RestApp()


@pytest.fixture
async def client(rest: RestApp) -> AsyncIterator[httpx.AsyncClient]:
    async with rest.client() as client:
        yield client


@pytest.fixture
async def whole(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Every route that the product has."""
    async with running_plane(tmp_path) as plane:
        transport = httpx.ASGITransport(app=Application(plane).asgi, raise_app_exceptions=False)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1:9000"
        ) as client:
            yield client


async def described(client: httpx.AsyncClient) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every method, path and operation of the OpenAPI document."""
    document = (await client.get("/openapi.json")).json()
    return (
        (method.upper(), path, operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    )


# ---------------------------------------------------------------- methods


@pytest.mark.parametrize(
    "path",
    ["/functions", "/functions/hello", "/instances", "/healthz", "/docs", "/openapi.json",
     "/docs/static/swagger-ui.css", "/functions/hello/invocations", "/dead-letters"],
)  # fmt: skip
async def test_head_is_answered_as_get_is_without_the_body(
    whole: httpx.AsyncClient, path: str
) -> None:
    get, head = await whole.get(path), await whole.head(path)
    assert head.status_code == get.status_code
    assert head.headers["content-type"] == get.headers["content-type"]
    assert head.headers["content-length"] == str(len(get.content))
    if get.status_code == 200:
        assert head.content == b""


@pytest.mark.parametrize("path", ["/events", "/functions/hello/logs?follow=true"])
async def test_head_begins_no_stream(rest: RestApp, client: httpx.AsyncClient, path: str) -> None:
    await rest.with_function()
    answer = await client.head(path)
    assert (answer.status_code, answer.content) == (200, b"")


async def test_every_path_tells_all_of_its_methods(whole: httpx.AsyncClient) -> None:
    taken: dict[str, set[str]] = {}
    for method, path, _ in await described(whole):
        taken.setdefault(path, {"OPTIONS"}).add(method)
    taken |= {"/docs": {"GET", "OPTIONS"}, "/": {"GET", "POST", "OPTIONS"}}
    for path, methods in taken.items():
        allowed = ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))
        address = re.sub(r"\{\w+\}", "x", path)
        options = await whole.options(address)
        assert (options.status_code, options.headers["allow"]) == (204, allowed), path
        assert options.content == b""
        refused = await whole.request("BREW", address)
        assert allowed in error_of(refused, 405, "UnsupportedOperation")
        assert refused.headers["allow"] == allowed


async def test_options_of_a_path_that_does_not_exist_is_not_found(
    client: httpx.AsyncClient,
) -> None:
    error_of(await client.options("/nothing"), 404, "ResourceNotFound")


# ---------------------------------------------------------------- kinds of bodies


async def test_a_create_that_is_no_form_is_told_what_to_send(client: httpx.AsyncClient) -> None:
    bodies: list[dict[str, Any]] = [
        {"json": {"name": "hello"}},
        {"content": b"PK\3\4"},
        {"content": b"PK\3\4", "headers": {"Content-Type": "application/zip"}},
        # As curl --data-binary @demo.zip and curl -d '{...}' send it.
        {"content": b"PK\3\4", "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
        {"content": b"{}", "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
    ]
    for body in bodies:
        message = error_of(await client.post("/functions", **body), 415, "InvalidParameter")
        assert "-F name=... -F code=@demo.zip" in message


async def test_code_that_is_no_form_is_told_what_to_send(
    rest: RestApp, client: httpx.AsyncClient
) -> None:
    await rest.with_function()
    answer = await client.put("/functions/hello/code", content=b"PK\3\4")
    assert error_of(answer, 415, "InvalidParameter") == (
        "the body's Content-Type is missing, which is not taken here; send a form, with curl"
        " -F code=@demo.zip"
    )


async def test_a_change_that_is_no_json_is_told_what_to_send(
    rest: RestApp, client: httpx.AsyncClient
) -> None:
    await rest.with_function()
    for kind in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data; b=c"):
        answer = await client.patch(
            "/functions/hello", content=b'{"memory": 256}', headers={"Content-Type": kind}
        )
        message = error_of(answer, 415, "InvalidParameter")
        assert "-H 'Content-Type: application/json' -d '{\"memory\": 256" in message


@pytest.mark.parametrize("kind", [None, "application/json; charset=utf-8", "application/x+json"])
async def test_json_is_taken_under_its_names_and_under_none(
    rest: RestApp, client: httpx.AsyncClient, kind: str | None
) -> None:
    await rest.with_function()
    headers = {"Content-Type": kind} if kind else {}
    answer = await client.patch("/functions/hello", content=b'{"memory": 256}', headers=headers)
    assert answer.json()["memory"] == 256


async def test_an_event_may_be_of_any_kind(rest: RestApp, client: httpx.AsyncClient) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "image/png"):
        answer = await client.post(
            "/functions/hello/invocations", content=b"1", headers={"Content-Type": kind}
        )
        assert answer.status_code == 200


# ---------------------------------------------------------------- one shape, its own words


@pytest.mark.parametrize(
    ("request_of", "status", "words"),
    [
        ({"data": {"name": "a"}}, 400, "code is missing: send a file: -F code=@demo.zip"),
        (
            {"files": {"name": (None, "a"), "code": (None, "demo.zip")}},
            400,
            "code is no file: send a file: -F code=@demo.zip",
        ),
        ({"data": {"name": "a", "memory": "much"}, "files": ZIP}, 400, "memory: 'much' is not a"),
        ({"data": {"name": "a", "wait": "soon"}, "files": ZIP}, 400, "neither true nor false"),
        ({"data": {"name": "a", "memory": LARGE}, "files": ZIP}, 400, "beyond 64 bits"),
        ({"data": {"name": "a", "memory": "9" * 9000}, "files": ZIP}, 400, "beyond 64 bits"),
        (
            {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}},
            400,
            "the body cannot be read",
        ),
    ],
)
async def test_a_wrong_form_is_told_in_the_words_of_plain_rest(
    client: httpx.AsyncClient, request_of: dict[str, Any], status: int, words: str
) -> None:
    message = error_of(
        await client.post("/functions", **request_of), status, "InvalidParameterValue"
    )
    assert words in message
    assert not re.search(r"UploadFile|<class|[Ii]nput should|base64|pydantic", message)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{nonsense", "the body is not JSON"),
        (b"[]", "is not a JSON object"),
        (b"", "the body is missing"),
        (b'{"memory": "x"}', "memory: 'x' is not a whole number"),
        (b'{"memory": 1.5}', "is not a whole number"),
        (b'{"memory": ' + LARGE.encode() + b"}", "memory: "),
        (b'{"memory": ' + b"9" * 5000 + b"}", "the body cannot be read"),
        (b'{"description": 5}', "description: 5 is not text"),
        (b'{"description": "\\ud800"}', "surrogate"),
        (b'{"environment": {"A": 1}}', "environment.A: 1 is not text"),
        (b'{"environment": []}', "is not a JSON object"),
        (b'{"memory": null}', ""),
    ],
)
async def test_a_wrong_change_is_told_in_the_words_of_plain_rest(
    rest: RestApp, client: httpx.AsyncClient, body: bytes, words: str
) -> None:
    await rest.with_function()
    answer = await client.patch("/functions/hello", content=body)
    if not words:
        assert answer.status_code == 200
        return
    message = error_of(answer, 400, "InvalidParameterValue")
    assert words in message
    assert not re.search(r"<class|[Ii]nput should|valid dictionary|Value error", message)


async def test_what_the_services_refuse_is_told_in_the_words_of_plain_rest(
    whole: httpx.AsyncClient,
) -> None:
    refused: list[tuple[dict[str, str], Any, str]] = [
        ({"name": "hello"}, {"code": ("demo.zip", b"text")}, "send a zip archive"),
        ({"name": "1"}, ZIP, "name '1' is not valid"),
        ({"name": "hello", "memory": "100"}, ZIP, "memory 100 is not valid"),
        ({"name": "hello", "timeout": "1000"}, ZIP, "timeout 1000 is not within"),
        ({"name": "hello", "init_timeout": "1"}, ZIP, "init_timeout 1 is not within"),
        ({"name": "hello", "namespace": "x y"}, ZIP, "namespace 'x y' is not valid"),
        ({"name": "hello", "runtime": "Python3.6"}, ZIP, "runtime 'Python3.6'"),
        ({"name": "hello", "handler": "\x07"}, ZIP, "handler "),
        ({"name": "hello", "environment": "SCF_X=1"}, ZIP, "environment key 'SCF_X'"),
    ]
    for fields, files, words in refused:
        answer = await whole.post("/functions", data=fields, files=files)
        assert answer.status_code == 400
        message = answer.json()["error"]["message"]
        assert words in message
        assert not re.search(r"base64|\b[A-Z][a-z]+[A-Z][a-z]+\b(?<!CustomRuntime)", message)


async def test_what_is_quoted_stays_as_it_was_sent(whole: httpx.AsyncClient) -> None:
    answer = await whole.post(
        "/functions", data={"name": "hello", "environment": "Timeout x=1"}, files=ZIP
    )
    assert "'Timeout x'" in answer.json()["error"]["message"]


# ---------------------------------------------------------------- where things are


async def test_what_was_made_tells_where_it_is(client: httpx.AsyncClient) -> None:
    made = await client.post("/functions", data={"name": "hello"}, files=ZIP)
    assert (made.status_code, made.headers["location"]) == (201, "/functions/hello")
    fields = {"name": "hello", "namespace": "a-b", "wait": "false"}
    made = await client.post("/functions", data=fields, files=ZIP)
    assert (made.status_code, made.headers["location"]) == (202, "/functions/hello?namespace=a-b")
    assert (await client.get(made.headers["location"])).json()["namespace"] == "a-b"


async def test_a_change_under_way_tells_where_it_shows(
    rest: RestApp, client: httpx.AsyncClient
) -> None:
    await rest.functions.create("default", "hello", b"zip", FunctionConfig())
    changed = await client.patch("/functions/hello?wait=false", json={"memory": 256})
    assert (changed.status_code, changed.headers["location"]) == (202, "/functions/hello")


async def test_an_accepted_event_tells_where_its_record_will_be(
    rest: RestApp, client: httpx.AsyncClient
) -> None:
    accepted = await client.post("/functions/hello/invocations?type=event", content=b"{}")
    assert accepted.status_code == 202
    place = accepted.headers["location"]
    rest.history.records = [make_record(accepted.json()["request_id"])]
    assert (await client.get(place)).status_code == 200


async def test_times_stand_in_rfc_3339_beside_the_epoch(
    rest: RestApp, client: httpx.AsyncClient
) -> None:
    await rest.with_function()
    view = (await client.get("/functions/hello")).json()
    assert view["created_at"] == 1_700_000_000.0
    assert view["created_at_utc"] == view["modified_at_utc"] == "2023-11-14T22:13:20.000Z"
    rest.history.records = [make_record("r1", ended_at=0.0)]
    record = (await client.get("/invocations/r1")).json()
    assert record["started_at_utc"].endswith("Z")
    assert record["ended_at_utc"] is None


# ---------------------------------------------------------------- found by scripts/fuzz


@pytest.mark.parametrize("path", ["/instances", "/functions", "/functions/hello/versions"])
@pytest.mark.parametrize("query", [b"\xc0\x17", b"x=\xd7\xd7", b"\xff=1&namespace=\xff"])
async def test_a_query_that_is_no_text_is_refused(tmp_path: Path, path: str, query: bytes) -> None:
    async with running_plane(tmp_path) as plane:
        status, said = await ask(Application(plane).asgi, "GET", path, query, [], b"")
    assert (status, b"InvalidParameterValue" in said) == (400, True)


# ---------------------------------------------------------------- numbers


async def test_no_number_of_any_request_has_more_than_64_bits(whole: httpx.AsyncClient) -> None:
    document = (await whole.get("/openapi.json")).json()

    def integers(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
        if isinstance(node, list):
            for item in node:
                yield from integers(item, path)
        if not isinstance(node, dict):
            return
        if node.get("type") == "integer":
            yield path, node
        if "$ref" in node:
            name = node["$ref"].rpartition("/")[2]
            yield from integers(document["components"]["schemas"][name], f"{path} {name}")
        for key, value in node.items():
            yield from integers(value, f"{path} {key}")

    for method, path, operation in await described(whole):
        sent = [operation.get("parameters", []), operation.get("requestBody", {})]
        for where, number in integers(sent, f"{method} {path}"):
            # The framework writes these bounds as floats.
            assert number["maximum"] <= float(INTEGER_MAX), where
            assert number["minimum"] >= -float(INTEGER_MAX), where


async def test_a_number_beyond_64_bits_is_refused_in_every_query(whole: httpx.AsyncClient) -> None:
    asked = 0
    for method, path, operation in await described(whole):
        for parameter in operation.get("parameters", []):
            if parameter["in"] == "query" and parameter["name"] in ("limit", "offset", "since"):
                address = re.sub(r"\{\w+\}", "x", path)
                for number in (LARGE, "9" * 400, f"-{LARGE}"):
                    query = {parameter["name"]: number}
                    answer = await whole.request(method, address, params=query)
                    if parameter["name"] == "since" and "x" in address:
                        assert answer.status_code in (400, 404)
                        continue
                    error_of(answer, 400, "InvalidParameterValue")
                    asked += 1
    assert asked > 10


async def test_since_takes_no_number_beyond_64_bits(
    rest: RestApp, client: httpx.AsyncClient
) -> None:
    await rest.with_function()
    for since in (LARGE, "9" * 400, f"{LARGE}d"):
        answer = await client.get("/functions/hello/logs", params={"since": since})
        assert "beyond 64 bits" in error_of(answer, 400, "InvalidParameterValue")


# ---------------------------------------------------------------- the OpenAPI document


async def test_the_openapi_document_tells_of_the_keys(whole: httpx.AsyncClient) -> None:
    document = (await whole.get("/openapi.json")).json()
    scheme = document["components"]["securitySchemes"]["keys"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "basic")
    assert document["security"] == [{}, {"keys": []}]


#: Programs that are made of the OpenAPI document call these names. Add to them; change none.
OPERATIONS = {
    "create_alias": "POST /functions/{name}/aliases",
    "create_namespace": "POST /namespaces",
    "delete_alias": "DELETE /functions/{name}/aliases/{alias}",
    "delete_layer_version": "DELETE /layers/{name}/versions/{version}",
    "delete_namespace": "DELETE /namespaces/{name}",
    "delete_version": "DELETE /functions/{name}/versions/{version}",
    "list_aliases": "GET /functions/{name}/aliases",
    "list_layer_versions": "GET /layers/{name}/versions",
    "list_layers": "GET /layers",
    "list_namespaces": "GET /namespaces",
    "list_versions": "GET /functions/{name}/versions",
    "provision_version": "PUT /functions/{name}/versions/{version}/provisioned",
    "publish_layer": "POST /layers/{name}/versions",
    "publish_version": "POST /functions/{name}/versions",
    "reserve_concurrency": "PUT /functions/{name}/concurrency",
    "show_alias": "GET /functions/{name}/aliases/{alias}",
    "show_async": "GET /functions/{name}/async",
    "show_concurrency": "GET /functions/{name}/concurrency",
    "show_layer_version": "GET /layers/{name}/versions/{version}",
    "show_namespace": "GET /namespaces/{name}",
    "show_version": "GET /functions/{name}/versions/{version}",
    "update_alias": "PUT /functions/{name}/aliases/{alias}",
    "update_async": "PATCH /functions/{name}/async",
    "update_namespace": "PATCH /namespaces/{name}",
    "create_function": "POST /functions",
    "delete_dead_letter": "DELETE /dead-letters/{request_id}",
    "delete_function": "DELETE /functions/{name}",
    "invoke_function": "POST /functions/{name}/invocations",
    "list_dead_letters": "GET /dead-letters",
    "list_functions": "GET /functions",
    "list_instances": "GET /instances",
    "list_invocations": "GET /functions/{name}/invocations",
    "listen_to_events": "GET /events",
    "make_function_cold": "POST /functions/{name}/cold",
    "read_logs": "GET /functions/{name}/logs",
    "read_metrics": "GET /metrics",
    "redrive_dead_letter": "POST /dead-letters/{request_id}/redrive",
    "show_function": "GET /functions/{name}",
    "show_health": "GET /healthz",
    "show_invocation": "GET /invocations/{request_id}",
    "update_function": "PATCH /functions/{name}",
    "update_function_code": "PUT /functions/{name}/code",
}


async def test_operation_ids_are_stable(whole: httpx.AsyncClient) -> None:
    found = {
        operation["operationId"]: f"{method} {path}"
        for method, path, operation in await described(whole)
    }
    assert found == OPERATIONS
