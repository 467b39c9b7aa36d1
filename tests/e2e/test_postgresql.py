"""The whole sandbox on PostgreSQL: what it keeps, and a server that is restarted or away."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.postgresql import postgresql
from tests.support.product import Product, bash_runtime
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.postgresql import PostgreSQL

pytestmark = pytest.mark.postgresql


@pytest.fixture
def server() -> Iterator[PostgreSQL]:
    with postgresql() as server:
        yield server


@pytest.fixture
def product(server: PostgreSQL, tmp_path: Path) -> Iterator[Product]:
    product = Product(tmp_path / "data", "process", SCF_DATABASE_URL=server.database())
    product.start()
    product.create("kept", {"bootstrap": bash_runtime('echo "line" >&2; echo "$1"')})
    yield product
    product.stop()
    product.http.close()


def sent(product: Product, number: int) -> str:
    """The request id of an asynchronous event that was accepted."""
    answer = product.http.post("/functions/kept/invocations", params={"type": "event"}, json=number)
    assert answer.status_code == 202, answer.text
    request_id: str = answer.headers["X-Scf-Request-Id"]
    return request_id


def record(product: Product, request_id: str) -> dict[str, Any]:
    found: dict[str, Any] = product.http.get(f"/invocations/{request_id}").json()
    return found


def done(product: Product, request_id: str) -> bool:
    return record(product, request_id).get("status") == 200


def test_everything_is_there_after_a_kill(product: Product) -> None:
    answer = product.invoke("kept", {"n": 1})
    assert (answer.status, answer.response.json()) == (200, {"n": 1})
    request_id = answer.response.headers["X-Scf-Request-Id"]
    event = sent(product, 2)
    wait_until(lambda: done(product, event))
    product.kill()
    product.start()
    assert product.http.get("/functions/kept").json()["status"] == "Active"
    assert record(product, request_id)["status"] == 200
    assert "line" in record(product, request_id)["log"]
    assert product.invoke("kept").status == 200


def outlive(
    product: Product, server: PostgreSQL, end: Callable[[], None], statuses: list[int]
) -> None:
    """Who waits for a result has it while the server is away; events are run when it is back."""
    events = [sent(product, number) for number in range(5)]
    end()
    seen = len(statuses)
    wait_until(lambda: len(statuses) > seen + 5)
    server.start()
    wait_until(lambda: all(done(product, event) for event in events))


def test_a_server_that_is_restarted_under_load_costs_nothing(
    product: Product, server: PostgreSQL
) -> None:
    ended = threading.Event()
    statuses: list[int] = []

    def load() -> None:
        while not ended.is_set():
            statuses.append(product.invoke("kept").status)

    caller = threading.Thread(target=load)
    caller.start()
    try:
        for end in (server.stop, server.kill):
            outlive(product, server, end, statuses)
    finally:
        ended.set()
        caller.join(60)
    assert set(statuses) == {200}


def test_without_its_server_each_answer_says_what_to_do(
    product: Product, server: PostgreSQL
) -> None:
    server.stop()
    for method, path in (
        ("GET", "/functions/kept/invocations"),
        ("PATCH", "/functions/kept"),
        ("POST", "/functions/kept/invocations?type=event"),
        ("GET", "/dead-letters"),
    ):
        answer = product.http.request(method, path, json={"timeout": 5})
        assert answer.status_code == 500, (path, answer.text)
        error = answer.json()["error"]
        assert "see that its server runs, and that SCF_DATABASE_URL names it" in error["message"]
        assert product.url not in error["message"]
    server.start()
    wait_until(lambda: product.http.get("/functions/kept/invocations").status_code == 200)
    wait_until(
        lambda: product.http.patch("/functions/kept", json={"timeout": 5}).status_code == 200
    )
    event = sent(product, 1)
    wait_until(lambda: done(product, event))
