"""A page whose name was led to this machine reads and does nothing, on any path of the product."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.product import bash_runtime

if TYPE_CHECKING:
    import httpx

    from tests.support.product_cloud import ProductCloud

EVIL = "rebound.example:9000"
SECRET = "only-for-its-owner"


@pytest.fixture(scope="module")
def hello(cloud: ProductCloud) -> str:
    """A function with a secret, which has run once; the id of that invocation."""
    environment = json.dumps({"SECRET": SECRET})
    bootstrap = bash_runtime('echo "$SECRET" >&2; echo "$SECRET"')
    cloud.product.create("hello", {"bootstrap": bootstrap}, environment=environment)
    # Instances call the runtime port by a name of their own, which the control port does not take.
    answer = cloud.product.invoke("hello")
    assert answer.status == 200
    request_id: str = answer.response.headers["X-Scf-Request-Id"]
    return request_id


def ask(cloud: ProductCloud, method: str, path: str, **more: Any) -> httpx.Response:
    headers = {"Host": EVIL, **more.pop("headers", {})}
    return cloud.product.http.request(method, path, headers=headers, **more)


READS = [
    "/",
    "/?Action=ListFunctions",
    "/docs",
    "/docs/swagger-ui.css",
    "/openapi.json",
    "/healthz",
    "/metrics",
    "/instances",
    "/functions",
    "/functions/hello",
    "/functions/hello/logs",
    "/invocations",
    "/invocations/%s",
    "/dead-letters",
    "/nothing-here",
]


@pytest.mark.parametrize("path", READS)
def test_a_rebound_name_reads_nothing(cloud: ProductCloud, hello: str, path: str) -> None:
    answer = ask(cloud, "GET", path.replace("%s", hello))
    assert answer.status_code == 403
    assert "SCF_ALLOWED_HOSTS=rebound.example" in answer.json()["error"]["message"]
    assert SECRET not in answer.text


def test_a_rebound_name_downloads_nothing(cloud: ProductCloud, hello: str) -> None:
    link = cloud.call("GetFunctionAddress", FunctionName="hello").Url
    assert cloud.product.http.get(link).content.startswith(b"PK")
    path = link.partition(str(cloud.product.port))[2]
    assert ask(cloud, "GET", path).status_code == 403


@pytest.mark.parametrize("action", ["Invoke", "InvokeFunction", "DeleteFunction", "GetFunction"])
@pytest.mark.parametrize("host", [EVIL, f"http://{EVIL}", "evil.example"])
def test_a_rebound_name_does_no_action(
    cloud: ProductCloud, hello: str, action: str, host: str
) -> None:
    headers = {"X-TC-Action": action, "Host": host}
    answer = ask(cloud, "POST", "/", headers=headers, json={"FunctionName": "hello"})
    assert answer.status_code == 403
    assert SECRET not in answer.text
    assert cloud.product.http.get("/functions/hello").status_code == 200


def test_a_rebound_name_changes_nothing(cloud: ProductCloud, hello: str) -> None:
    assert ask(cloud, "DELETE", "/functions/hello").status_code == 403
    assert ask(cloud, "POST", "/functions/hello/cold").status_code == 403
    assert ask(cloud, "POST", "/functions/hello/invocations", json={}).status_code == 403
    assert cloud.product.http.get("/functions/hello").status_code == 200


@pytest.mark.parametrize("host", ["localhost:1", "scf.tencentcloudapi.com", "http://127.0.0.1:9"])
def test_names_of_ours_read_it_all(cloud: ProductCloud, hello: str, host: str) -> None:
    answer = cloud.product.http.get("/functions/hello", headers={"Host": host})
    assert answer.status_code == 200
    headers = {"X-TC-Action": "Invoke", "Host": host}
    run = cloud.product.http.post("/", headers=headers, json={"FunctionName": "hello"})
    assert run.json()["Response"]["Result"]["InvokeResult"] == 0
