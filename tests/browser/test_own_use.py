"""What the user does with a browser works: addresses, links, and the page at /docs."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import pytest
from playwright.sync_api import expect

from tests.browser.sites import SECRET

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from tests.browser.sandbox import Sandbox
    from tests.browser.sites import Site

pytestmark = pytest.mark.browser

INVOKE = "/?Action=Invoke&FunctionName=victim"


def go(page: Page, url: str) -> tuple[int, str]:
    """Type an address: the status, and where it leads."""
    answer = page.goto(url)
    assert answer is not None
    return answer.status, urlsplit(page.url).path


def follow(page: Page, elsewhere: Site, url: str) -> tuple[int, str]:
    """Click a link of another site's page."""
    page.goto(f"http://evil.example:{elsewhere.port}/")
    page.evaluate(f"document.getElementById('docs').href = {url!r}")
    with page.expect_navigation() as navigation:
        page.click("#docs")
    return navigation.value.status, urlsplit(page.url).path


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "control", "0.0.0.0"])
def test_a_typed_address_opens_a_page(page: Page, sandbox: Sandbox, host: str) -> None:
    base = f"http://{host}:{sandbox.port}"
    assert go(page, base) == (200, "/docs")
    assert go(page, f"{base}/functions/victim") == (200, "/functions/victim")
    assert SECRET in page.inner_text("body")


@pytest.mark.parametrize("host", ["127.0.0.1", "control"])
def test_a_link_from_another_site_opens_a_page(
    page: Page, sandbox: Sandbox, elsewhere: Site, host: str
) -> None:
    base = f"http://{host}:{sandbox.port}"
    assert follow(page, elsewhere, f"{base}/docs") == (200, "/docs")
    assert follow(page, elsewhere, base) == (200, "/docs")
    assert follow(page, elsewhere, f"{base}/functions/victim") == (200, "/functions/victim")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "control", "0.0.0.0"])
def test_no_address_that_is_opened_does_an_action(
    page: Page, sandbox: Sandbox, elsewhere: Site, host: str
) -> None:
    before = sandbox.state()
    url = f"http://{host}:{sandbox.port}{INVOKE}"
    assert follow(page, elsewhere, url)[0] == 403
    assert page.reload().status == 403  # type: ignore[union-attr]
    assert go(page, url)[0] == 403
    # The address is that of the other site, and the user typed it, or had it from a mail.
    assert go(page, f"http://evil.example:{elsewhere.port}/redirect?code=302&to={quote(url)}") == (
        403,
        "/",
    )
    assert "curl" in page.inner_text("body")
    assert sandbox.state() == before


def test_another_site_cannot_show_our_page_as_its_own(
    page: Page, sandbox: Sandbox, elsewhere: Site
) -> None:
    """Neither where the browser says that it is for a frame, nor where it says nothing."""
    page.goto(f"http://evil.example:{elsewhere.port}/")
    for host in ("127.0.0.1", "control"):
        page.evaluate(f"framed('iframe', {{ src: 'http://{host}:{sandbox.port}/docs' }})")
    assert [frame.locator("#swagger-ui").count() for frame in page.frames[1:]] == [0, 0]


class Watched:
    """A tab of which every complaint and every request is kept."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        page.on("console", lambda message: self._note(message.type, message.text))
        page.on("pageerror", lambda error: self._note("error", str(error)))
        page.on("requestfailed", lambda request: self._note("error", request.url))
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)


def operation(page: Page, method: str, path: str) -> Locator:
    """One operation of the OpenAPI page, opened and ready to be tried."""
    block = page.locator(f".opblock-{method}").filter(
        has=page.locator(f'.opblock-summary-path[data-path="{path}"]')
    )
    block.locator(".opblock-summary").click()
    block.get_by_role("button", name="Try it out").click()
    return block


def executed(block: Locator, status: int) -> Locator:
    block.get_by_role("button", name="Execute").click()
    answer = block.locator(".live-responses-table .response")
    expect(answer.locator(".response-col_status")).to_have_text(str(status))
    return answer


@pytest.mark.parametrize("host", ["127.0.0.1", "control"])
def test_the_page_of_the_interface_works(page: Page, sandbox: Sandbox, host: str) -> None:
    watched = Watched(page)
    base = f"{host}:{sandbox.port}"
    assert go(page, f"http://{base}/docs") == (200, "/docs")

    listed = operation(page, "get", "/functions")
    expect(executed(listed, 200)).to_contain_text('"name": "victim"')

    before = sandbox.state()
    invoked = operation(page, "post", "/functions/{name}/invocations")
    invoked.locator('[data-param-name="name"] input').fill("victim")
    expect(executed(invoked, 200)).to_contain_text(SECRET)
    assert sandbox.state()["facts"] != before["facts"]

    assert watched.complaints == []
    assert watched.hosts == {base}
