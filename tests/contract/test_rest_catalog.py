"""Plain REST for versions, aliases, layers, namespaces, concurrency and asynchronous settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from api.app import Application
from tests.contract.rest_fakes import error_of
from tests.support.control_plane import running_plane
from tests.support.waiting import eventually
from tests.support.zips import zip_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

CODE = {"code": ("code.zip", zip_of({"bootstrap": "#!/bin/sh\n"}))}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Of a sandbox with the function ``hello``."""
    async with running_plane(tmp_path) as plane:
        transport = httpx.ASGITransport(app=Application(plane).asgi, raise_app_exceptions=False)
        address = "http://127.0.0.1:9000"
        async with httpx.AsyncClient(transport=transport, base_url=address) as client:
            await made(client.post("/functions", data={"name": "hello"}, files=CODE))
            yield client


async def made(answer: Any) -> Any:
    """What a 201 says, which is what is then found at its ``Location``."""
    found = await answer
    assert found.status_code == 201, found.text
    assert found.headers["location"].startswith("/")
    return found.json()


async def there(client: httpx.AsyncClient, path: str) -> Any:
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def publish(client: httpx.AsyncClient, **fields: str) -> str:
    """The number of a new version that serves."""
    version = await made(client.post("/functions/hello/versions", json=fields))
    path = f"/functions/hello/versions/{version['version']}"

    async def active() -> bool:
        return bool((await there(client, path))["status"] == "Active")

    await eventually(active)
    return str(version["version"])


# ---------------------------------------------------------------- versions


async def test_a_version_is_published_listed_and_deleted(client: httpx.AsyncClient) -> None:
    assert await publish(client, description="first") == "1"
    listed = (await there(client, "/functions/hello/versions"))["versions"]
    assert [(v["version"], v["description"]) for v in listed] == [("$LATEST", ""), ("1", "first")]
    assert listed[1]["created_at_utc"].endswith("Z")
    assert len(listed[1]["sha256"]) == 64
    assert (await client.delete("/functions/hello/versions/1")).status_code == 204
    error_of(await client.get("/functions/hello/versions/1"), 404, "ResourceNotFound.Qualifier")


async def test_latest_cannot_be_deleted_as_a_version(client: httpx.AsyncClient) -> None:
    answer = await client.delete("/functions/hello/versions/$LATEST")
    message = error_of(answer, 400, "InvalidParameterValue.Qualifier")
    assert "Qualifier" not in message


async def test_a_version_of_no_function_is_not_found(client: httpx.AsyncClient) -> None:
    for method, path in (("GET", "versions"), ("POST", "versions"), ("GET", "aliases")):
        answer = await client.request(method, f"/functions/nobody/{path}", json={})
        error_of(answer, 404, "ResourceNotFound.FunctionName")


# ---------------------------------------------------------------- aliases


async def test_an_alias_is_made_pointed_elsewhere_and_deleted(client: httpx.AsyncClient) -> None:
    await publish(client)
    await publish(client)
    fields = {"name": "live", "version": "1", "weights": {"2": 0.25}, "description": "d"}
    alias = await made(client.post("/functions/hello/aliases", json=fields))
    assert (alias["version"], alias["weights"], alias["rules"]) == ("1", {"2": 0.25}, [])
    names = [a["name"] for a in (await there(client, "/functions/hello/aliases"))["aliases"]]
    assert names == ["$DEFAULT", "live"]
    rule = {
        "version": "1",
        "key": "invoke.headers.User",
        "method": "exact",
        "expression": "me",
    }
    path = "/functions/hello/aliases/live"
    answer = await client.put(path, json={"version": "2", "rules": [rule]})
    assert answer.status_code == 200, answer.text
    found = await there(client, path)
    assert (found["version"], found["weights"], found["rules"]) == ("2", {}, [rule])
    assert found["description"] == "d"
    assert (await client.delete(path)).status_code == 204
    error_of(await client.get(path), 404, "ResourceNotFound.Alias")


async def test_an_alias_that_is_there_is_told_of_in_the_words_of_rest(
    client: httpx.AsyncClient,
) -> None:
    await publish(client)
    fields = {"name": "live", "version": "1"}
    await made(client.post("/functions/hello/aliases", json=fields))
    answer = await client.post("/functions/hello/aliases", json=fields)
    assert "PUT it to point it elsewhere" in error_of(answer, 409, "ResourceInUse.Alias")


async def test_a_share_above_one_is_refused(client: httpx.AsyncClient) -> None:
    await publish(client)
    await publish(client)
    fields = {"name": "live", "version": "1", "weights": {"2": 1.5}}
    answer = await client.post("/functions/hello/aliases", json=fields)
    assert answer.status_code == 400
    assert "RoutingConfig" not in answer.json()["error"]["message"]


# ---------------------------------------------------------------- layers


async def test_a_layer_is_published_bound_and_kept_while_it_is_used(
    client: httpx.AsyncClient,
) -> None:
    layer = {"code": ("layer.zip", zip_of({"lib/word": "hi"}))}
    version = await made(
        client.post("/layers/words/versions", files=layer, data={"description": "d"})
    )
    assert (version["name"], version["version"], version["runtimes"]) == (
        "words",
        1,
        ["CustomRuntime"],
    )
    listed = await there(client, "/layers")
    assert [v["name"] for v in listed["versions"]] == ["words"]
    bound = [{"name": "words", "version": 1}]
    answer = await client.patch("/functions/hello", json={"layers": bound})
    assert answer.json()["layers"] == bound
    error_of(await client.delete("/layers/words/versions/1"), 409, "ResourceInUse.LayerVersion")
    assert (await client.patch("/functions/hello", json={"layers": []})).json()["layers"] == []
    assert (await client.delete("/layers/words/versions/1")).status_code == 204
    error_of(await client.get("/layers/words/versions/1"), 404, "ResourceNotFound.LayerVersion")


async def test_a_function_is_created_with_layers(client: httpx.AsyncClient) -> None:
    layer = {"code": ("layer.zip", zip_of({"lib/word": "hi"}))}
    await made(client.post("/layers/words/versions", files=layer))
    data = {"name": "other", "layers": ["words:1"], "traced": "true"}
    function = await made(client.post("/functions", data=data, files=CODE))
    assert function["layers"] == [{"name": "words", "version": 1}]
    assert function["traced"] is True
    wrong = {"name": "third", "layers": ["words"]}
    answer = await client.post("/functions", data=wrong, files=CODE)
    assert "is not NAME:VERSION" in error_of(answer, 400, "InvalidParameterValue")


async def test_a_layer_that_is_no_zip_is_told_of_in_the_words_of_rest(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.post("/layers/words/versions", files={"code": ("l.zip", b"no zip")})
    assert answer.status_code == 400
    assert "base64" not in answer.json()["error"]["message"]


# ---------------------------------------------------------------- namespaces


async def test_a_namespace_is_made_changed_and_deleted(client: httpx.AsyncClient) -> None:
    await made(client.post("/namespaces", json={"name": "team", "description": "a"}))
    answer = await client.patch("/namespaces/team", json={"description": "b", "memory": 2048})
    assert (answer.json()["description"], answer.json()["memory"]) == ("b", 2048)
    listed = await there(client, "/namespaces")
    assert [n["name"] for n in listed["namespaces"]] == ["default", "team"]
    await made(client.post("/functions", data={"name": "in", "namespace": "team"}, files=CODE))
    error_of(await client.delete("/namespaces/team"), 409, "ResourceInUse.Namespace")
    await client.delete("/functions/in", params={"namespace": "team"})
    assert (await client.delete("/namespaces/team")).status_code == 204
    error_of(await client.get("/namespaces/team"), 404, "ResourceNotFound.Namespace")
    answer = await client.patch("/namespaces/team", json={"memory": 128})
    error_of(answer, 404, "ResourceNotFound.Namespace")


# ---------------------------------------------------------------- concurrency


async def test_memory_is_reserved_and_given_back(client: httpx.AsyncClient) -> None:
    path = "/functions/hello/concurrency"
    assert (await there(client, path))["memory"] is None
    assert (await client.put(path, json={"memory": 1024})).json()["memory"] == 1024
    answer = await client.put(path, json={"memory": 10**9})
    message = error_of(answer, 400, "LimitExceeded.FunctionReservedConcurrencyMemory")
    assert "ReservedConcurrencyMem" not in message
    assert (await client.put(path, json={"memory": None})).json()["memory"] is None
    answer = await client.put(path, json={})
    assert "memory" in error_of(answer, 400, "InvalidParameterValue")


async def test_instances_of_a_version_are_kept_initialised(client: httpx.AsyncClient) -> None:
    number = await publish(client)
    path = f"/functions/hello/versions/{number}/provisioned"
    view = (await client.put(path, json={"count": 2})).json()
    assert [(p["version"], p["count"]) for p in view["provisioned"]] == [(number, 2)]

    async def done() -> bool:
        (found,) = (await there(client, "/functions/hello/concurrency"))["provisioned"]
        return bool(found["status"] == "Done" and found["available"] == 2)

    await eventually(done)
    assert (await client.put(path, json={"count": 0})).json()["provisioned"] == []
    answer = await client.put("/functions/hello/versions/$LATEST/provisioned", json={"count": 1})
    error_of(answer, 400, "InvalidParameterValue.Qualifier")


async def test_how_events_are_tried_again_is_changed(client: httpx.AsyncClient) -> None:
    path = "/functions/hello/async"
    before = await there(client, path)
    answer = await client.patch(path, json={"retries": 0})
    assert answer.json() == {"retries": 0, "max_age": before["max_age"]}
    message = error_of(await client.patch(path, json={"retries": 9}), 400, "LimitExceeded.RetryNum")
    assert "RetryNum" not in message


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/functions/hello/versions"),
        ("POST", "/functions/hello/aliases"),
        ("PUT", "/functions/hello/concurrency"),
        ("PATCH", "/functions/hello/async"),
        ("POST", "/namespaces"),
        ("PATCH", "/namespaces/default"),
    ],
)
async def test_a_field_that_is_not_there_is_refused(
    client: httpx.AsyncClient, method: str, path: str
) -> None:
    answer = await client.request(method, path, json={"Memory": 1})
    assert "no field 'Memory'" in error_of(answer, 400, "InvalidParameterValue")
