"""Whether signatures are checked: the whole product with its settings, the SDK as its client."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.support.product import Product
from tests.support.product_cloud import ProductCloud

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEYS = "id-1:key-1, id-2:key-2"
PAIRS = [("id-1", "key-1"), ("id-2", "key-2")]
WRONG = ("id-1", "key-2")


@contextmanager
def running(directory: Path, **settings: str) -> Iterator[Product]:
    product = Product(directory / "data", "process", **settings)
    product.start()
    try:
        yield product
    finally:
        product.stop()
        product.http.close()


def told(product: Product, event: str) -> int:
    """How many lines of the control plane's log tell of it."""
    return sum(event in line for line in product.log_path.read_text().splitlines())


def unsigned(product: Product) -> dict[str, object]:
    answer = product.http.post("/", json={}, headers={"X-TC-Action": "ListFunctions"})
    assert answer.status_code == 200
    body: dict[str, object] = answer.json()["Response"]
    return body


def test_without_keys_everything_is_accepted_and_that_is_said_once(tmp_path: Path) -> None:
    with running(tmp_path) as product:
        for pair in (*PAIRS, WRONG):
            assert ProductCloud(product, pair).call("ListFunctions").TotalCount == 0
        assert unsigned(product)["TotalCount"] == 0
        assert told(product, "signatures_not_checked") == 1


def test_with_keys_each_pair_is_accepted_and_nothing_else(tmp_path: Path) -> None:
    with running(tmp_path, SCF_CREDENTIALS=KEYS) as product:
        for pair in PAIRS:
            assert ProductCloud(product, pair).call("ListFunctions").TotalCount == 0
            assert product.http.get("/functions", auth=httpx.BasicAuth(*pair)).status_code == 200
        refused = ProductCloud(product, WRONG).error("ListFunctions")
        assert refused == "AuthFailure.SignatureFailure"
        unknown = ProductCloud(product, ("id-3", "key-1")).error("ListFunctions")
        assert unknown == "AuthFailure.SecretIdNotFound"
        assert "AuthFailure.InvalidAuthorization" in str(unsigned(product)["Error"])
        assert product.http.get("/functions", auth=httpx.BasicAuth(*WRONG)).status_code == 401
        assert told(product, "signatures_not_checked") == 0


@pytest.mark.parametrize(("mode", "lines"), [("off", 0), ("warn", 2)])
def test_who_asks_for_less_than_enforcement_gets_it(tmp_path: Path, mode: str, lines: int) -> None:
    with running(tmp_path, SCF_CREDENTIALS=KEYS, SCF_SIGNATURE=mode) as product:
        for pair in (*PAIRS, WRONG):
            assert ProductCloud(product, pair).call("ListFunctions").TotalCount == 0
        assert unsigned(product)["TotalCount"] == 0
        assert told(product, "signature_refused_in_enforce_mode") == lines
        assert told(product, "signatures_not_checked") == 0
