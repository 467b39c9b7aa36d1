"""A real page of an origin that the user has named calls the sandbox, from another site too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.sites import another_site
from tests.support.product import Product, bash_runtime

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.browser.sites import Site

pytestmark = pytest.mark.browser

CALL = """async ([url, method, headers, body]) => {
    const answer = await fetch(url, {method, headers, body});
    return [answer.status, answer.headers.get("X-Scf-Status"), await answer.text()];
}"""


@pytest.fixture
def site() -> Iterator[Site]:
    yield from another_site("<p>mine</p>")


@pytest.fixture
def product(tmp_path: Path, site: Site) -> Iterator[Product]:
    named = f"http://evil.example:{site.port},http://localhost:{site.port}"
    product = Product(tmp_path / "data", "process", SCF_ALLOWED_ORIGINS=named)
    product.start()
    product.create("mine", {"bootstrap": bash_runtime()})
    yield product
    product.stop()
    product.http.close()


@pytest.mark.parametrize("home", ["http://evil.example:Q/", "http://localhost:Q/"])
def test_a_named_page_invokes_and_reads(
    page: Page, product: Product, site: Site, home: str
) -> None:
    page.goto(home.replace("Q", str(site.port)))
    invoke = f"{product.url}/functions/mine/invocations"
    assert page.evaluate(CALL, [invoke, "POST", {}, '{"n":1}']) == [200, "200", '{"n":1}\n']
    action = {"X-TC-Action": "ListFunctions", "Content-Type": "application/json"}
    status, _, text = page.evaluate(CALL, [product.url, "POST", action, "{}"])
    assert (status, "mine" in text) == (200, True)


def test_the_same_page_from_an_origin_that_is_not_named_may_not(
    page: Page, product: Product, site: Site
) -> None:
    page.goto(f"http://127.0.0.1:{site.port}/")
    with pytest.raises(Exception, match="Failed to fetch"):
        page.evaluate(CALL, [f"{product.url}/functions", "GET", {}, None])
