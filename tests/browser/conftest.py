"""One Chromium, one sandbox and two other sites for all tests of this folder.

Playwright's loop runs as long as the browser does, so that no test here can be a coroutine.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import sync_playwright

from tests.browser.sandbox import Sandbox
from tests.browser.sites import SECRET, another_site, attacking_page, unguarded_site
from tests.support.product import Product, bash_runtime

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from tests.browser.sites import Site

CHROMIUM = "/usr/bin/chromium"
#: Names of other sites are led to this machine, as their owners could do; ``control`` stands for a
#: name that is in no public zone.
RULES = "MAP evil.example 127.0.0.1, MAP control 127.0.0.1"
FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--host-resolver-rules={RULES}",
]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Headless, with a profile of its own."""
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(
            executable_path=CHROMIUM, chromium_sandbox=False, args=FLAGS
        ) as browser,
    ):
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab that knows nothing of the others."""
    with browser.new_context() as context:
        yield context.new_page()


@pytest.fixture(scope="package")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox with the function ``victim``, which has run once and tells a secret."""
    directory = tmp_path_factory.mktemp("product") / "data"
    product = Product(directory, "process", SCF_STANDBY="0")
    product.start()
    try:
        bootstrap = bash_runtime('echo "$SECRET" >&2; echo "$SECRET"')
        environment = json.dumps({"SECRET": SECRET})
        product.create("victim", {"bootstrap": bootstrap}, environment=environment)
        assert product.invoke("victim").status == 200
        yield Sandbox(product)
    finally:
        product.stop()
        product.http.close()


@pytest.fixture(scope="package")
def elsewhere(sandbox: Sandbox) -> Iterator[Site]:
    """Another site, with a page that attacks."""
    yield from another_site(attacking_page(sandbox.download))


@pytest.fixture(scope="package")
def unguarded() -> Iterator[Site]:
    """What stands in the sandbox's place to show that the attacks are real."""
    yield from unguarded_site()
