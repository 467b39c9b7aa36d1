"""Runs the bare rendezvous as a process, and its bootstraps in containers like instances."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmarks.client import Request, call
from benchmarks.containers import LIMITS, Containers, docker, free_port
from benchmarks.machine import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Limit:
    """A running rendezvous. ``environment`` is what a bootstrap needs to find it."""

    def __init__(self, port: int, environment: dict[str, str], pid: int) -> None:
        self.port = port
        self.pid = pid
        self.environment = environment

    def request(self, event: bytes) -> Request:
        return Request(self.port, "/", event)

    def checked(self, event: bytes) -> Request:
        """``request``, after one call that checks the answer."""
        request = self.request(event)
        answer = call(request).body
        if answer != event:
            raise RuntimeError(f"the bare rendezvous answered {answer[:200]!r}")
        return request


@contextmanager
def rendezvous(address: str) -> Iterator[Limit]:
    """The rendezvous alone, without a bootstrap yet. Bootstraps reach it at ``address``."""
    client_port, runtime_port = free_port(), free_port(address)
    module = "benchmarks.peers.rendezvous"
    process = subprocess.Popen(
        [sys.executable, "-m", module, str(client_port), address, str(runtime_port)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        if not process.stdout.readline():
            raise RuntimeError("the bare rendezvous did not start")
        where = {"SCF_RUNTIME_API": address, "SCF_RUNTIME_API_PORT": str(runtime_port)}
        yield Limit(client_port, where, process.pid)
    finally:
        process.kill()
        process.communicate()


@contextmanager
def limit(containers: Containers, code: Path, instances: int = 1) -> Iterator[Limit]:
    """Run the rendezvous with ``instances`` bootstraps, each in its own container."""
    with rendezvous(containers.network.gateway) as found:
        started: list[str] = []
        try:
            for _ in range(instances):
                started.append(containers.start(code, found.environment, *LIMITS))
            yield found
        finally:
            if started:
                docker("rm", "--force", *started)
