"""Plain REST: instances, health, figures, and the page that describes it all."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CONTENT_TYPE_LATEST
from prometheus_client.parser import text_string_to_metric_families

from api.metrics.exposition import render, scrape
from api.metrics.metrics import Gauges, Metrics
from api.rest import Health
from api.rest.system import TEXT_FORMAT
from sandbox.engine.base import EngineInfo
from sandbox.feed import AT_ONCE, Feed
from sandbox.feed.facts import InvocationEnded
from sandbox.instance.lifecycle import State
from sandbox.pool.snapshot import InstanceSnapshot, Transition
from tests.contract.rest_fakes import RestApp
from tests.support.clock import EPOCH
from tests.support.records import make_record

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import httpx

EXTERNAL = re.compile(r"(?:https?:)?//(?!sandbox)[\w.-]+\.\w+")


LABELS = ("namespace", "function", "status", "state", "le")


def instance(
    *, function: str = "hello", namespace: str = "default", state: State = State.IDLE
) -> InstanceSnapshot:
    return InstanceSnapshot(
        instance_id="0123456789ab",
        container_id="c0ffee",
        namespace=namespace,
        function=function,
        version="$LATEST",
        state=state,
        memory_mb=128,
        memory_peak=7_000_000,
        served=2,
        request_id="",
        retired=False,
        transitions=(
            Transition(State.STARTING, EPOCH),
            Transition(State.STANDING_BY, EPOCH + 0.3),
        ),
    )


#: ``instance()`` as the list shows it.
SHOWN = {
    "instance_id": "0123456789ab",
    "container_id": "c0ffee",
    "namespace": "default",
    "function": "hello",
    "version": "$LATEST",
    "state": "idle",
    "memory_mb": 128,
    "memory_peak": 7_000_000,
    "served": 2,
    "request_id": "",
    "retired": False,
    "transitions": [
        {"state": "starting", "at": EPOCH, "at_utc": "2023-11-14T22:13:20.000Z"},
        {"state": "standing by", "at": EPOCH + 0.3, "at_utc": "2023-11-14T22:13:20.300Z"},
    ],
}


@pytest.fixture
def rest() -> RestApp:
    return RestApp()


@pytest.fixture
async def client(rest: RestApp) -> AsyncIterator[httpx.AsyncClient]:
    async with rest.client() as client:
        yield client


def samples(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Every sample, by its name and the values of its labels in the order of LABELS."""

    def each() -> Iterator[tuple[tuple[str, ...], float]]:
        for family in text_string_to_metric_families(render(metrics, metrics.read()).decode()):
            for sample in family.samples:
                labels = (sample.labels.get(name) for name in LABELS)
                yield (sample.name, *filter(None, labels)), sample.value

    return dict(each())


def ended(feed: Feed, **more: Any) -> None:
    """An invocation of ``hello`` ends, ``more`` as in its record."""
    feed.publish(InvocationEnded(make_record("id", **more)))


async def test_instances_are_listed_with_all_their_transitions(
    rest: RestApp, client: httpx.AsyncClient
) -> None:
    rest.pool.snapshots = [instance(), instance(function="other"), instance(namespace="ns")]
    views = (await client.get("/instances")).json()["instances"]
    assert views[0] == SHOWN
    assert len(views) == 3
    views = (await client.get("/instances?function=hello&namespace=default")).json()["instances"]
    assert views == [SHOWN]


async def test_health_names_engine_and_base_image(client: httpx.AsyncClient) -> None:
    response = await client.get("/healthz")
    assert response.status_code == 200
    health = response.json()
    assert health.pop("version")
    assert health == {
        "status": "ok",
        "engine": "docker",
        "engine_version": "27.0",
        "base_image": "centos:7.6.1810",
        "image": "scf-sandbox/centos7",
        "image_build": "",
        "abi_parity": True,
        "tools_parity": True,
        "os_parity": True,
        "differences": [],
        "tmp": "disk: 512 MB",
        "note": "",
    }


async def test_health_says_when_the_system_is_not_centos(
    rest: RestApp, client: httpx.AsyncClient
) -> None:
    info = EngineInfo("process", "1", "", "", False, "functions run on this machine's own system")
    rest.health = Health("ok", info)
    health = (await client.get("/healthz")).json()
    assert health["os_parity"] is health["abi_parity"] is health["tools_parity"] is False
    assert "own system" in health["note"]


async def test_health_tells_the_two_parts_of_parity_apart(
    rest: RestApp, client: httpx.AsyncClient
) -> None:
    info = EngineInfo(
        "docker", "1", "image:quick-1", "stand-in", True, "other tools",
        differences=("bash 5.2.15 (CentOS 7.6: 4.2.46)",), coming="3 of 20 steps",
    )  # fmt: skip
    rest.health = Health("ok", info)
    health = (await client.get("/healthz")).json()
    assert (health["abi_parity"], health["tools_parity"], health["os_parity"]) == (
        True,
        False,
        False,
    )
    assert health["differences"] == ["bash 5.2.15 (CentOS 7.6: 4.2.46)"]
    assert health["image_build"] == "3 of 20 steps"


@pytest.mark.parametrize("status", ["starting", "stopping"])
async def test_health_is_unavailable_until_it_serves(
    rest: RestApp, client: httpx.AsyncClient, status: Any
) -> None:
    rest.health = Health(status)
    response = await client.get("/healthz")
    assert response.status_code == 503
    assert response.json()["status"] == status


async def test_metrics_are_served_in_the_text_format(
    rest: RestApp, client: httpx.AsyncClient
) -> None:
    ended(rest.feed, duration_ms=2.0)
    response = await client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=")
    families = {f.name for f in text_string_to_metric_families(response.text)}
    assert {
        "scf_invocations",
        "scf_invocation_duration_seconds",
        "scf_queue_wait_seconds",
        "scf_memory_reserved_bytes",
        "scf_memory_budget_bytes",
        "scf_records_pending",
    } <= families


def test_invocations_are_counted_by_status_and_timed(rest: RestApp) -> None:
    ended(rest.feed, duration_ms=2.0, timeline={"received": EPOCH, "dispatched": EPOCH + 0.02})
    ended(rest.feed, duration_ms=700.0)
    ended(rest.feed, status_code=433, duration_ms=3000.0, namespace="other")
    found = samples(rest.metrics)
    assert found["scf_invocations_total", "default", "hello", "200"] == 2
    assert found["scf_invocations_total", "other", "hello", "433"] == 1
    name = "scf_invocation_duration_seconds"
    assert found[f"{name}_count", "default", "hello"] == 2
    assert found[f"{name}_sum", "default", "hello"] == pytest.approx(0.702)
    assert found[f"{name}_bucket", "default", "hello", "0.0025"] == 1
    assert found[f"{name}_bucket", "default", "hello", "0.5"] == 1
    assert found[f"{name}_bucket", "default", "hello", "1.0"] == 2
    assert found["scf_queue_wait_seconds_sum", "default", "hello"] == pytest.approx(0.02)


@pytest.mark.parametrize("count", [AT_ONCE - 1, AT_ONCE, 3 * AT_ONCE + 1])
def test_none_of_many_invocations_is_missed(rest: RestApp, count: int) -> None:
    for _ in range(count):
        ended(rest.feed)
    for _ in range(2):
        found = samples(rest.metrics)
        assert found["scf_invocations_total", "default", "hello", "200"] == count


def test_only_cold_starts_are_counted_as_such(rest: RestApp) -> None:
    ended(rest.feed, cold_start=True, init_ms=30.0)
    ended(rest.feed)
    found = samples(rest.metrics)
    assert found["scf_cold_starts_total", "default", "hello"] == 1
    assert found["scf_init_duration_seconds_count", "default", "hello"] == 1
    assert found["scf_init_duration_seconds_sum", "default", "hello"] == pytest.approx(0.03)


def test_instances_and_gauges_are_read_when_scraped(rest: RestApp) -> None:
    rest.pool.snapshots = [instance(), instance(), instance(state=State.STANDING_BY)]
    found = samples(rest.metrics)
    assert found["scf_instances", "default", "hello", "idle"] == 2
    assert found["scf_instances", "default", "hello", "standing_by"] == 1
    assert found[("scf_memory_reserved_bytes",)] == 128 * 2**20
    assert found[("scf_records_pending",)] == 3
    assert found[("scf_records_written_total",)] == 10
    rest.pool.snapshots = []
    assert ("scf_instances", "default", "hello", "idle") not in samples(rest.metrics)


def test_two_applications_do_not_share_figures() -> None:
    gauges = Gauges(instances=list, memory=lambda: (0, 0), records=lambda: (0, 0, 0))
    feed = Feed()
    one, other = Metrics(gauges, feed), Metrics(gauges, Feed())
    ended(feed)
    key = ("scf_invocations_total", "default", "hello", "200")
    assert key in samples(one)
    assert key not in samples(other)


async def test_a_scrape_stands_invocations_that_end_meanwhile(rest: RestApp) -> None:
    scraping = asyncio.create_task(scrape(rest.metrics))
    for number in range(300):
        ended(rest.feed, function_name=f"f{number}")
        await asyncio.sleep(0)
    assert b"scf_invocations_total" in await scraping


async def test_the_docs_page_is_shown_in_no_frame(client: httpx.AsyncClient) -> None:
    page = await client.get("/docs")
    assert page.headers["Content-Security-Policy"] == "frame-ancestors 'none'"


async def test_the_docs_page_needs_nothing_from_outside(client: httpx.AsyncClient) -> None:
    page = await client.get("/docs")
    assert page.status_code == 200
    assert not EXTERNAL.search(page.text)
    assert '"validatorUrl": null' in page.text
    files = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(files) == 3
    for path in files:
        response = await client.get(path)
        assert response.status_code == 200, path
        assert response.content


@pytest.mark.parametrize("path", ["index.html", "swagger-initializer.js", "../__init__.py", ""])
async def test_only_the_files_of_the_docs_page_are_served(
    client: httpx.AsyncClient, path: str
) -> None:
    response = await client.get(f"/docs/static/{path}")
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "ResourceNotFound"


async def test_the_openapi_document_lists_every_route(
    rest: RestApp, client: httpx.AsyncClient
) -> None:
    document = (await client.get("/openapi.json")).json()
    listed = {
        f"{method.upper()} {path}"
        for path, operations in document["paths"].items()
        for method in operations
    }
    assert listed == {
        "POST /functions",
        "GET /functions",
        "GET /functions/{name}",
        "PATCH /functions/{name}",
        "DELETE /functions/{name}",
        "PUT /functions/{name}/code",
        "POST /functions/{name}/cold",
        "POST /functions/{name}/invocations",
        "GET /functions/{name}/invocations",
        "GET /functions/{name}/logs",
        "GET /invocations/{request_id}",
        "GET /instances",
        "GET /events",
        "GET /healthz",
        "GET /metrics",
    }


async def test_the_openapi_document_is_one_the_page_can_read(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    assert document["openapi"] == "3.0.3"
    tags = {tag["name"] for tag in document["tags"]}
    schemas = document["components"]["schemas"]
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation["summary"], path
            assert set(operation["tags"]) <= tags
            assert "422" not in operation["responses"]
            assert "4XX" in operation["responses"]
    for node in _nodes(document):
        reference = node.get("$ref", "")
        assert isinstance(reference, str)
        assert not reference or reference.rpartition("/")[2] in schemas
        assert node.get("type") != "null"
        assert "contentMediaType" not in node
        assert "const" not in node


def _nodes(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            yield from _nodes(item)


def test_the_figures_are_labelled_as_the_format_that_they_are_in() -> None:
    assert TEXT_FORMAT == CONTENT_TYPE_LATEST
