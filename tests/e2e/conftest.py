"""One product for all tests of a module; nothing of it may be left in the engine after."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.product import Product, left_behind

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    product = Product(tmp_path_factory.mktemp("product") / "data")
    product.start()
    try:
        yield product
    finally:
        product.stop()
        product.http.close()
    assert left_behind(product.installation) == []
