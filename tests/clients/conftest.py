"""A sandbox that enforces signatures, for all tests of a module."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.clients.client import SECRET_ID, SECRET_KEY
from tests.support.product import Product, left_behind

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The clients do not care what runs the functions: where there is no Docker, processes do.
ENGINE = os.environ.get("SCF_TEST_ENGINE", "docker")
MARKS = [pytest.mark.engine] if ENGINE == "docker" else []


@pytest.fixture(scope="module", params=[pytest.param(ENGINE, marks=MARKS)])
def product(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Product]:
    product = Product(
        tmp_path_factory.mktemp("product") / "data",
        request.param,
        SCF_CREDENTIALS=f"{SECRET_ID}:{SECRET_KEY}",
    )
    product.http.auth = (SECRET_ID, SECRET_KEY)
    product.start()
    try:
        yield product
    finally:
        product.stop()
        product.http.close()
    if request.param == "docker":
        assert left_behind(product.installation) == []
