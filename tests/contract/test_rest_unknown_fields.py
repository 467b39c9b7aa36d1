"""Plain REST refuses a field or parameter that a route does not have, and names those it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.rest_fakes import RestApp, error_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

ZIP = {"code": ("code.zip", b"PK-data", "application/zip")}
#: The framework keeps this one in a file.
BIG = {"code": ("code.zip", b"0" * 2_000_000, "application/zip")}


@pytest.fixture
def rest() -> RestApp:
    return RestApp()


@pytest.fixture
async def client(rest: RestApp) -> AsyncIterator[httpx.AsyncClient]:
    async with rest.client() as client:
        yield client


@pytest.mark.parametrize("files", [ZIP, BIG], ids=["small", "on disk"])
async def test_a_form_field_that_a_create_does_not_have_is_refused(
    rest: RestApp, client: httpx.AsyncClient, files: Any
) -> None:
    fields = {"name": "hello", "Timeout": "5"}
    response = await client.post("/functions", data=fields, files=files)
    message = error_of(response, 400, "InvalidParameterValue")
    assert message == (
        "POST /functions has no form field 'Timeout'; it has form fields (-F): name, code,"
        " namespace, runtime, handler, memory, timeout, init_timeout, description, environment,"
        " layers, async_run, traced, wait; query parameters: none"
    )
    assert rest.functions.codes == []


async def test_it_is_told_before_what_is_missing(client: httpx.AsyncClient) -> None:
    response = await client.post("/functions", data={"Name": "hello"}, files=ZIP)
    assert "'Name'" in error_of(response, 400, "InvalidParameterValue")


async def test_a_file_by_another_name_is_refused(client: httpx.AsyncClient) -> None:
    response = await client.post("/functions", data={"name": "hello"}, files={"zip": ZIP["code"]})
    assert "no form field 'zip'" in error_of(response, 400, "InvalidParameterValue")


async def test_a_field_in_the_wrong_place_is_refused(
    rest: RestApp, client: httpx.AsyncClient
) -> None:
    await rest.with_function()
    response = await client.post("/functions?namespace=a", data={"name": "new"}, files=ZIP)
    assert "no query parameter 'namespace'" in error_of(response, 400, "InvalidParameterValue")
    response = await client.put("/functions/hello/code", data={"namespace": "default"}, files=ZIP)
    message = error_of(response, 400, "InvalidParameterValue")
    assert "no form field 'namespace'; it has form fields (-F): code; query" in message


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/functions/hello/invocations?typ=event"),
        ("POST", "/functions/hello/invocations?type=event&Qualifier="),
        ("PATCH", "/functions/hello?memory=256"),
        ("DELETE", "/functions/hello?qualifier=1"),
        ("POST", "/functions/hello/cold?now"),
        ("GET", "/functions?limt=5"),
        ("GET", "/functions/hello/logs?lines=5"),
        ("GET", "/functions/hello/invocations?status=failed"),
        ("GET", "/instances?name=hello"),
        ("GET", "/events?kind=x"),
    ],
)
async def test_a_query_parameter_that_a_route_does_not_have_is_refused(
    rest: RestApp, client: httpx.AsyncClient, method: str, path: str
) -> None:
    await rest.with_function()
    response = await client.request(method, path, json={} if method == "PATCH" else None)
    message = error_of(response, 400, "InvalidParameterValue")
    assert "has no query parameter" in message
    assert "query parameters: " in message
    assert rest.functions.get("default", "hello").epoch == 0


async def test_a_field_that_a_configuration_does_not_have_is_refused(
    rest: RestApp, client: httpx.AsyncClient
) -> None:
    await rest.with_function()
    response = await client.patch("/functions/hello", json={"memory": 256, "Timeout": 5})
    assert error_of(response, 400, "InvalidParameterValue") == (
        "the body has no field 'Timeout'; it has handler, description, memory, timeout,"
        " init_timeout, environment, layers, traced"
    )


@pytest.mark.parametrize("path", ["/healthz?probe=1", "/metrics?collect[]=x"])
async def test_a_probe_may_add_what_it_likes(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code in (200, 503)
