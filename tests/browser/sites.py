"""The other sites: one with a page that attacks, and one that takes whatever comes."""

from __future__ import annotations

import base64
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from tests.support.product import bash_runtime
from tests.support.zips import zip_of

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "only-for-its-owner"
ATTACKS = Path(__file__).with_name("attacks.js")
#: With this a page has no origin at all: "null".
SANDBOXED = "sandbox allow-scripts allow-forms allow-popups"


def attacking_page(download: str) -> str:
    """A page that can do everything in attacks.js. ``download`` is the path of a package."""
    planted = base64.b64encode(zip_of({"bootstrap": bash_runtime()})).decode()
    return f"""<!doctype html><title>Another site</title><link rel=icon href=data:,>
<body><a id=docs>docs</a> <a id=action>action</a><script>
window.download = {json.dumps(download)};
window.zip = Uint8Array.from(atob('{planted}'), c => c.charCodeAt(0));
{ATTACKS.read_text()}
</script>"""


@dataclass
class Site:
    """A web server of another port. ``arrived`` are the method and target of every request."""

    page: str
    port: int = 0
    arrived: list[tuple[str, str]] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def log_message(self, *_: Any) -> None:
        """Say nothing: the tests have ``arrived``."""

    def send(self, status: int, kind: str, text: str, **headers: str) -> None:
        body = text.encode()
        self.send_response(status)
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        fixed = {"Content-Type": kind, "Content-Length": str(len(body)), "Connection": "close"}
        for name, value in {**fixed, **more}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def take(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.site.arrived.append((self.command, self.path))

    def do_GET(self) -> None:
        self.take()
        url = urlsplit(self.path)
        if url.path == "/redirect":
            wanted = parse_qs(url.query)
            self.send(int(wanted["code"][0]), "text/plain", "", Location=wanted["to"][0])
        elif url.path == "/sandboxed":
            self.send(200, "text/html", self.site.page, Content_Security_Policy=SANDBOXED)
        else:
            self.send(200, "text/html", self.site.page)

    do_HEAD = do_POST = do_GET


class _Unguarded(_Handler):
    """What a server without a guard is: it takes everything, and lets everyone read."""

    def do_GET(self) -> None:
        self.take()
        who = self.headers.get("Origin", "*")
        allowed = {
            "Origin": who,
            "Methods": "PATCH, DELETE",
            "Headers": "x-tc-action, authorization",
        }
        more = {f"Access_Control_Allow_{name}": value for name, value in allowed.items()}
        self.send(200, "text/plain", SECRET, **more)

    do_HEAD = do_POST = do_PATCH = do_DELETE = do_OPTIONS = do_GET


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: Any) -> None:
        """A browser hangs up when it pleases."""


def another_site(page: str) -> Iterator[Site]:
    """A site that serves this page, at any path."""
    return _serve(_Handler, Site(page))


def unguarded_site() -> Iterator[Site]:
    """A site in the sandbox's place that keeps nobody out."""
    return _serve(_Unguarded, Site(""))


def _serve(kind: type[_Handler], site: Site) -> Iterator[Site]:
    with _Server(("127.0.0.1", 0), type("Handler", (kind,), {"site": site})) as server:
        site.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield site
        finally:
            server.shutdown()
            thread.join()
