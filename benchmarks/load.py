"""The load generator: wrk on kept connections."""

from __future__ import annotations

import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.client import Request

SCRIPT = Path(__file__).with_name("load.lua")


@dataclass(frozen=True)
class Load:
    """The result of one run of wrk: answers per second, latencies in milliseconds, failed
    requests."""

    rate: float
    p50_ms: float
    p99_ms: float
    requests: int
    failed: int


class LoadError(Exception):
    """Requests failed under load, so its rate means nothing."""


def wrk(request: Request, *, clients: int, seconds: int) -> Load:
    """Send ``request`` again and again from ``clients`` clients. ``LoadError`` unless all
    succeed."""
    load = wrk_tolerant(request, clients=clients, seconds=seconds)
    if load.failed or not load.requests:
        raise LoadError(f"{load.failed} requests failed, {load.requests} were answered")
    return load


def wrk_tolerant(request: Request, *, clients: int, seconds: int) -> Load:
    """Send ``request`` in the same way, but only count failures."""
    with tempfile.TemporaryDirectory() as place:
        body, headers = Path(place, "body"), Path(place, "headers")
        body.write_bytes(request.body)
        headers.write_text("".join(f"{name}: {v}\n" for name, v in request.headers.items()))
        done = subprocess.run(
            [
                *("wrk", "--threads", "1", "--connections", str(clients)),
                *("--duration", f"{seconds}s", "--timeout", "20s", "--script", str(SCRIPT)),
                f"http://127.0.0.1:{request.port}{request.path}",
            ],
            env={**os.environ, "BENCH_BODY": str(body), "BENCH_HEADERS": str(headers)},
            capture_output=True,
            text=True,
            check=True,
            timeout=seconds + 60,
        )
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    requests, micros, p50, p99, failed = (int(word) for word in line.split()[1:])
    return Load(requests / micros * 1e6, p50 / 1000, p99 / 1000, requests, failed)
