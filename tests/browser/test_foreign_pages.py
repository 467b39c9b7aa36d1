"""Real pages of other sites, in Chromium, read nothing of the sandbox and do nothing in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.sites import SECRET

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser.sandbox import Sandbox
    from tests.browser.sites import Site

pytestmark = pytest.mark.browser

GROUPS = ["tags", "fetches", "forms", "frames", "windows", "beacons", "streams"]

#: Where the page is, and what it calls the sandbox. P is the sandbox's port, Q the other site's.
PLACES = {
    "another port": ("http://127.0.0.1:Q/", "http://127.0.0.1:P"),
    "another name of this machine": ("http://localhost:Q/", "http://127.0.0.1:P"),
    "this machine by another name": ("http://127.0.0.1:Q/", "http://localhost:P"),
    "another site": ("http://evil.example:Q/", "http://127.0.0.1:P"),
    "a page without an origin": ("http://evil.example:Q/sandboxed", "http://127.0.0.1:P"),
    # Browsers say nothing of the page that asks when the address is one they do not trust.
    "a name of the local network": ("http://evil.example:Q/", "http://control:P"),
    "the unspecified address": ("http://evil.example:Q/", "http://0.0.0.0:P"),
    "a mapped address": ("http://evil.example:Q/", "http://[::ffff:127.0.0.1]:P"),
}


def attack(page: Page, sandbox: Sandbox, base: str) -> dict[str, str]:
    """What an attacking page, which is open, can read; nothing happens in the sandbox."""
    before = sandbox.state()
    read: dict[str, str] = {}
    for group in GROUPS:
        found: dict[str, str | None] = page.evaluate(f"attackAll({group!r}, {base!r})")
        assert found
        read |= {f"{group}: {name}": text for name, text in found.items() if text is not None}
        assert (group, sandbox.state()) == (group, before)
    return read


@pytest.mark.parametrize("place", PLACES)
def test_a_page_of_another_site_reads_nothing_and_does_nothing(
    page: Page, sandbox: Sandbox, elsewhere: Site, place: str
) -> None:
    home, base = PLACES[place]
    page.goto(home.replace("Q", str(elsewhere.port)))
    assert attack(page, sandbox, base.replace("P", str(sandbox.port))) == {}


def test_a_rebound_name_reads_nothing_and_does_nothing(
    page: Page, sandbox: Sandbox, elsewhere: Site
) -> None:
    base = f"http://evil.example:{sandbox.port}"
    # The page came while the name still led to its owner.
    page.route(
        f"{base}/page",
        lambda route: route.fulfill(body=elsewhere.page, content_type="text/html"),
    )
    page.goto(f"{base}/page")
    read = attack(page, sandbox, base)
    refused = "this sandbox does not go by the name evil.example"
    assert {name: text for name, text in read.items() if refused not in text} == {}


@pytest.mark.parametrize("group", GROUPS)
def test_every_attack_is_a_real_one(
    page: Page, elsewhere: Site, unguarded: Site, group: str
) -> None:
    """Where nobody guards, it arrives, and what is to be read is read."""
    page.goto(f"http://evil.example:{elsewhere.port}/")
    base = f"http://127.0.0.1:{unguarded.port}"
    names: list[str] = page.evaluate(f"Object.keys(attacks[{group!r}])")
    vain = []
    for name in names:
        count = len(unguarded.arrived)
        read: Any = page.evaluate(f"patiently(attacks[{group!r}][{name!r}]({base!r}))")
        if len(unguarded.arrived) == count or (name.startswith("read ") and read != SECRET):
            vain.append((name, read))
    assert vain == []
