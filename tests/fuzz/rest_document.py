"""Plain REST by its own OpenAPI document: schemathesis makes up the requests."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from tests.support.product import free_port
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
#: Streams do not end.
STREAMS = ("/events", "/functions/{name}/logs")
MORE_S = 120


def rest_document(seconds: int, seed: int, directory: Path) -> tuple[int, str]:
    """How many requests were made, and what was found."""
    program = shutil.which("schemathesis", path=str(Path(sys.executable).parent))
    if program is None:
        return 0, "schemathesis is not installed: scripts/fuzz does that"
    log = directory / "openapi.log"
    with served(directory / "server.log") as url, log.open("wb") as out:
        command = [
            *(program, "run", f"{url}/openapi.json", "--max-time", f"{seconds}"),
            *("--seed", f"{seed}", "--checks", "not_a_server_error", "--no-color"),
            *("--continue-on-failure", "--request-timeout", "10", "--warnings", "off"),
            *(part for path in STREAMS for part in ("--exclude-path", path)),
        ]
        try:
            done = subprocess.run(
                command, stdout=out, stderr=out, cwd=directory, timeout=seconds + MORE_S
            )
        except subprocess.TimeoutExpired:
            return 0, f"it did not end; see {log}"
    found = re.findall(r"(\d+) generated", log.read_text(errors="replace"))
    count = int(found[-1]) if found else 0
    return count, f"exit code {done.returncode}; see {log}" if done.returncode else ""


@contextmanager
def served(log: Path) -> Iterator[str]:
    """The control port of a sandbox on an engine in memory."""
    port = free_port()
    with log.open("wb") as out:
        command = [sys.executable, "-m", "tests.fuzz.server", f"{port}"]
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: process.poll() is not None or _answers(url))
        yield url
    finally:
        process.terminate()
        process.wait(30)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
