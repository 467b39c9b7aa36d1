"""A real server that had large events: it has its memory for as long as it needs it."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from sandbox.limits import MIB, SYNC_EVENT_BYTES
from tests.support.product import Product
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Gives back each event, by way of a file: a shell is slow with megabytes.
ECHO = """#!/bin/bash
api=http://$SCF_RUNTIME_API:$SCF_RUNTIME_API_PORT/runtime
event=${TMPDIR:-/tmp}/event
curl -s -o /dev/null -d ' ' $api/init/ready
while true; do
  curl -s -o "$event" $api/invocation/next
  curl -s -o /dev/null --data-binary "@$event" $api/invocation/response
done
"""
CLIENTS, EVENTS = 8, 4
EVENT = b'"' + b"x" * (SYNC_EVENT_BYTES - 2) + b'"'


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Product]:
    product = Product(tmp_path / "data", "process", SCF_STANDBY="0")
    product.start()
    try:
        yield product
    finally:
        product.stop()
        product.http.close()


def memory(product: Product, of: str) -> int:
    """``VmRSS``, or ``VmHWM``, its greatest so far; in bytes."""
    assert product.process is not None
    status = Path(f"/proc/{product.process.pid}/status").read_text()
    found = re.search(rf"^{of}:\s+(\d+) kB$", status, re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


def send_events(url: str, answers: list[int]) -> None:
    with httpx.Client(base_url=url, timeout=120, trust_env=False) as client:
        for _ in range(EVENTS):
            answer = client.post("/functions/echo/invocations", content=EVENT)
            answers.append(len(answer.content))


def test_memory_goes_back_after_a_storm_of_large_events(product: Product) -> None:
    product.create("echo", {"bootstrap": ECHO}, timeout="60")
    for _ in range(5):
        assert product.invoke("echo").status == 200
    before = memory(product, "VmRSS")
    answers: list[int] = []
    clients = [
        threading.Thread(target=send_events, args=(product.url, answers)) for _ in range(CLIENTS)
    ]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert answers == [len(EVENT)] * (CLIENTS * EVENTS)
    assert memory(product, "VmHWM") > before + 40 * MIB  # else it was no storm
    wait_until(lambda: memory(product, "VmRSS") < 1.5 * before, within_s=30)
    figures = [round(memory(product, name) / MIB) for name in ("VmHWM", "VmRSS")]
    print(f"before {before / MIB:.0f} MB, most {figures[0]}, after {figures[1]}")
