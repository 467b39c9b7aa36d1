"""The whole product on the process engine, as the official SDK sees it; one for a module."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.product import Product
from tests.support.product_cloud import ProductCloud

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProductCloud]:
    directory = tmp_path_factory.mktemp("product") / "data"
    product = Product(directory, "process", SCF_ASYNC_RETRY_INTERVAL="0.2", SCF_STANDBY="0")
    product.start()
    try:
        yield ProductCloud(product)
    finally:
        product.stop()
        product.http.close()
