"""Plain REST: functions are created, changed, looked at and deleted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import limits
from sandbox.errors import RequestError
from sandbox.functions.changes import ConfigChange
from sandbox.functions.model import DeadLetterQueue, FunctionStatus, StatusReason
from sandbox.packages.model import Bootstrap
from scf_sandbox.preflight import Finding, Level
from tests.contract.rest_fakes import RestApp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

ZIP = {"code": ("code.zip", b"PK-zip", "application/zip")}


@pytest.fixture
def rest() -> RestApp:
    return RestApp()


@pytest.fixture
async def client(rest: RestApp) -> AsyncIterator[httpx.AsyncClient]:
    async with rest.client() as client:
        yield client


def error_of(response: httpx.Response, status: int, code: str) -> str:
    """The message of an error answer, its shape checked."""
    assert response.status_code == status, response.text
    error: dict[str, Any] = response.json()["error"]
    assert set(error) == {"code", "message", "request_id"}
    assert error["code"] == code
    assert error["request_id"] == response.headers["x-scf-request-id"]
    return str(error["message"])


async def test_a_function_is_created_from_a_zip(rest: RestApp, client: httpx.AsyncClient) -> None:
    response = await client.post("/functions", data={"name": "hello"}, files=ZIP)
    assert response.status_code == 201
    view = response.json()
    assert view["status"] == "Active"
    assert (view["memory"], view["timeout"], view["init_timeout"]) == (128, 3, 65)
    assert (view["runtime"], view["handler"]) == ("CustomRuntime", "index.main_handler")
    assert view["code"]["bootstrap"] == "ok"
    assert view["warnings"] == []
    assert rest.functions.codes == [b"PK-zip"]


async def test_every_field_of_a_create_arrives(client: httpx.AsyncClient) -> None:
    fields = {
        "name": "hello",
        "namespace": "other",
        "runtime": "CustomRuntime",
        "handler": "a.b",
        "memory": "256",
        "timeout": "10",
        "init_timeout": "20",
        "description": "says hello",
        "environment": ["A=1", "B=x=y", "C="],
    }
    view = (await client.post("/functions", data=fields, files=ZIP)).json()
    assert view["namespace"] == "other"
    assert (view["memory"], view["timeout"], view["init_timeout"]) == (256, 10, 20)
    assert (view["handler"], view["description"]) == ("a.b", "says hello")
    assert view["environment"] == {"A": "1", "B": "x=y", "C": ""}


async def test_the_environment_may_be_a_json_object(client: httpx.AsyncClient) -> None:
    fields = {"name": "hello", "environment": json.dumps({"A": "1", "B": "{}"})}
    view = (await client.post("/functions", data=fields, files=ZIP)).json()
    assert view["environment"] == {"A": "1", "B": "{}"}


@pytest.mark.parametrize("text", ["NOVALUE", '{"A": 1}', "{broken", '{"A":' * 9000, ["A=1", "A=2"]])
async def test_an_environment_that_is_none_is_refused(
    client: httpx.AsyncClient, text: str | list[str]
) -> None:
    fields = {"name": "hello", "environment": text}
    response = await client.post("/functions", data=fields, files=ZIP)
    error_of(response, 400, "InvalidParameterValue.Environment")


async def test_a_create_need_not_be_waited_for(client: httpx.AsyncClient) -> None:
    fields = {"name": "hello", "wait": "false"}
    response = await client.post("/functions", data=fields, files=ZIP)
    assert response.status_code == 202
    assert response.json()["status"] == "Creating"


async def test_a_create_that_takes_too_long_is_answered_before_it_serves(
    rest: RestApp, client: httpx.AsyncClient
) -> None:
    rest.functions.fate = FunctionStatus.CREATING
    response = await client.post("/functions", data={"name": "hello"}, files=ZIP)
    assert response.status_code == 202
    assert response.json()["status"] == "Creating"


async def test_a_failed_create_answers_its_reason(rest: RestApp, client: httpx.AsyncClient) -> None:
    rest.functions.fate = FunctionStatus.CREATE_FAILED
    rest.functions.reasons = (StatusReason(code="InternalError.System", message="disk is full"),)
    response = await client.post("/functions", data={"name": "hello"}, files=ZIP)
    assert "disk is full" in error_of(response, 500, "InternalError.System")


@pytest.mark.parametrize("code", ["InvalidParameterValue.ZipFile", ""])
async def test_a_create_that_the_package_made_fail_is_no_fault_of_the_sandbox(
    rest: RestApp, client: httpx.AsyncClient, code: str
) -> None:
    rest.functions.fate = FunctionStatus.CREATE_FAILED
    if code:
        rest.functions.reasons = (StatusReason(code=code, message="it cannot be unpacked"),)
    response = await client.post("/functions", data={"name": "hello"}, files=ZIP)
    message = error_of(response, 409, code or "FailedOperation")
    assert "GET /functions/hello" in message


async def test_a_second_function_of_the_same_name_is_a_conflict(
    rest: RestApp, client: httpx.AsyncClient
) -> None:
    await rest.with_function()
    response = await client.post("/functions", data={"name": "hello"}, files=ZIP)
    error_of(response, 409, "ResourceInUse.FunctionName")


async def test_what_the_service_refuses_is_answered_with_its_code(
    rest: RestApp, client: httpx.AsyncClient
) -> None:
    rest.functions.raises = RequestError("not a zip", "InvalidParameterValue.ZipFile")
    response = await client.post("/functions", data={"name": "hello"}, files=ZIP)
    assert error_of(response, 400, "InvalidParameterValue.ZipFile") == "not a zip"


async def test_a_zip_over_the_limit_is_not_read(rest: RestApp, client: httpx.AsyncClient) -> None:
    files = {"code": ("code.zip", b"0" * (limits.ZIP_BYTES + 1), "application/zip")}
    response = await client.post("/functions", data={"name": "hello"}, files=files)
    error_of(response, 400, "InvalidParameterValue.LimitExceeded")
    assert rest.functions.codes == []


async def test_a_missing_field_is_named(client: httpx.AsyncClient) -> None:
    response = await client.post("/functions", data={"name": "hello"})
    assert "code" in error_of(response, 400, "InvalidParameterValue")
    response = await client.post("/functions", data={"name": "x", "memory": "lots"}, files=ZIP)
    assert "memory" in error_of(response, 400, "InvalidParameterValue")


async def test_a_bootstrap_that_cannot_run_is_warned_of(
    rest: RestApp, client: httpx.AsyncClient
) -> None:
    rest.functions.bootstrap = Bootstrap.NOT_EXECUTABLE
    view = (await client.post("/functions", data={"name": "hello"}, files=ZIP)).json()
    assert "chmod 755" in view["warnings"][0]


async def test_what_was_guessed_to_take_the_zip_is_warned_of(
    rest: RestApp, client: httpx.AsyncClient
) -> None:
    rest.functions.guesses = (
        Finding(Level.WARNING, "a", None, "name-repeated", "'a' is there twice", "keep one"),
    )
    view = (await client.post("/functions", data={"name": "hello"}, files=ZIP)).json()
    assert view["warnings"] == ["'a' is there twice; keep one"]


async def test_what_becomes_of_events_is_shown_beside_what_changes_nothing(
    rest: RestApp, client: httpx.AsyncClient
) -> None:
    await rest.with_function("hello")
    view = (await client.get("/functions/hello")).json()
    assert (view["traced"], view["dead_letter"], view["kept"]) == (False, None, {})
    queue = DeadLetterQueue(type="CMQ-QUEUE", name="dead")
    change = ConfigChange(traced=True, dead_letter=queue, kept={"ClsTopicId": "t"})
    await rest.functions.update_config("default", "hello", change)
    view = (await client.get("/functions/hello")).json()
    assert (view["traced"], view["dead_letter"], view["kept"]) == (
        True,
        {"type": "CMQ-QUEUE", "name": "dead"},
        {"ClsTopicId": "t"},
    )


async def test_functions_are_listed_by_namespace(rest: RestApp, client: httpx.AsyncClient) -> None:
    for name, namespace in (("two", "default"), ("one", "default"), ("three", "other")):
        await rest.with_function(name, namespace)
    listing = (await client.get("/functions")).json()
    assert [view["name"] for view in listing["functions"]] == ["one", "two"]
    assert listing["total"] == 2
    listing = (await client.get("/functions?namespace=other")).json()
    assert [view["name"] for view in listing["functions"]] == ["three"]
    listing = (await client.get("/functions?search=tw&limit=1")).json()
    assert [view["name"] for view in listing["functions"]] == ["two"]


async def test_a_function_is_shown(rest: RestApp, client: httpx.AsyncClient) -> None:
    await rest.with_function()
    view = (await client.get("/functions/hello")).json()
    assert (view["name"], view["version"], view["versions"]) == ("hello", "$LATEST", ["$LATEST"])
    error_of(await client.get("/functions/none"), 404, "ResourceNotFound.FunctionName")
    error_of(await client.get("/functions/hello?qualifier=7"), 404, "ResourceNotFound.Qualifier")


async def test_code_is_replaced(rest: RestApp, client: httpx.AsyncClient) -> None:
    await rest.with_function()
    files = {"code": ("new.zip", b"PK-new", "application/zip")}
    response = await client.put("/functions/hello/code", files=files)
    assert response.status_code == 200
    assert response.json()["code"]["zip_bytes"] == 6
    assert rest.functions.codes[-1] == b"PK-new"


async def test_only_the_given_fields_of_a_configuration_change(
    rest: RestApp, client: httpx.AsyncClient
) -> None:
    await rest.with_function()
    change = {"memory": 256, "environment": {"A": "1"}}
    view = (await client.patch("/functions/hello", json=change)).json()
    assert (view["memory"], view["timeout"], view["environment"]) == (256, 3, {"A": "1"})
    view = (await client.patch("/functions/hello", json={"environment": {}})).json()
    assert (view["memory"], view["environment"]) == (256, {})


async def test_an_unknown_field_of_a_configuration_is_named(
    rest: RestApp, client: httpx.AsyncClient
) -> None:
    await rest.with_function()
    response = await client.patch("/functions/hello", json={"memroy": 256})
    assert "memroy" in error_of(response, 400, "InvalidParameterValue")
    response = await client.patch("/functions/hello", content=b"{nonsense")
    error_of(response, 400, "InvalidParameterValue")


@pytest.mark.parametrize("field", ["handler", "description"])
async def test_text_that_is_no_unicode_is_refused(client: httpx.AsyncClient, field: str) -> None:
    response = await client.patch(
        "/functions/hello",
        content=f'{{"{field}": "a\\ud800"}}',
        headers={"Content-Type": "application/json"},
    )
    message = error_of(response, 400, "InvalidParameterValue")
    assert message.startswith(f"{field}: ")


async def test_a_function_is_deleted(rest: RestApp, client: httpx.AsyncClient) -> None:
    await rest.with_function()
    response = await client.delete("/functions/hello")
    assert (response.status_code, response.content) == (204, b"")
    error_of(await client.delete("/functions/hello"), 404, "ResourceNotFound.FunctionName")


async def test_the_next_start_is_made_cold(rest: RestApp, client: httpx.AsyncClient) -> None:
    await rest.with_function()
    assert (await client.post("/functions/hello/cold")).status_code == 200
    assert rest.functions.get("default", "hello").epoch == 1


async def test_an_unknown_path_or_method_is_answered_in_the_same_shape(
    client: httpx.AsyncClient,
) -> None:
    message = error_of(await client.get("/function"), 404, "ResourceNotFound")
    assert "/docs" in message
    response = await client.put("/functions")
    error_of(response, 405, "UnsupportedOperation")
    assert "GET" in response.headers["allow"] or "POST" in response.headers["allow"]


async def test_a_crash_shows_no_stack_trace(rest: RestApp, client: httpx.AsyncClient) -> None:
    rest.functions.raises = ZeroDivisionError("secret detail")
    response = await client.post("/functions", data={"name": "hello"}, files=ZIP)
    error_of(response, 500, "InternalError")
    assert "secret" not in response.text
    assert "Traceback" not in response.text
