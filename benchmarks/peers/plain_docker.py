"""Plain Docker doing the same work: the lowest time that cold starts and new functions can have."""

from __future__ import annotations

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import docker
import docker.utils

from benchmarks.client import call
from benchmarks.containers import IMAGE, LIMITS, Containers
from benchmarks.containers import docker as docker_cli

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.peers.limit import Limit

EVENT = b'{"key1": "test value 1"}'


def run_to_answer(containers: Containers, code: Path, where: Limit) -> float:
    """Seconds from ``docker run`` of the bootstrap to the answer to an event that waits for it."""
    with ThreadPoolExecutor(1) as pool:
        name = f"{containers.label}-run"
        options = ["--name", name, *containers.options(code, where.environment)]
        began = time.perf_counter()
        running = subprocess.Popen(
            ["docker", "run", *options, *LIMITS, IMAGE, "./bootstrap"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        answered = pool.submit(call, where.request(EVENT)).result(60)
        seconds = time.perf_counter() - began
        if answered.body != EVENT:
            raise RuntimeError(f"the bootstrap answered {answered.body[:200]!r}")
    docker_cli("rm", "--force", name)
    running.wait(30)
    return seconds


class PlainDocker:
    """The engine's API, called as directly as Python can."""

    def __init__(self, containers: Containers) -> None:
        self._client: Any = docker.APIClient(**docker.utils.kwargs_from_env(), timeout=120)
        self._label = {"scf-sandbox": containers.label}
        self._network = containers.network.name

    def close(self) -> None:
        self._client.close()

    def start_many(self, count: int, parallelism: int) -> float:
        """Create, start and remove ``count`` containers, some at a time. Returns the seconds until
        all have started."""
        with ThreadPoolExecutor(parallelism) as pool:
            began = time.perf_counter()
            started = list(pool.map(lambda _: self._create_and_start(), range(count)))
            seconds = time.perf_counter() - began
            for container in started:
                pool.submit(self._client.remove_container, container, force=True)
        return seconds

    def fill_volume(self, name: str, write: Callable[[], bytes]) -> float:
        """Seconds to put code into a volume: make a volume and a container, send an archive, remove
        the container."""
        client = self._client
        began = time.perf_counter()
        client.create_volume(name, labels=self._label)
        filler = client.create_container(
            IMAGE,
            command=["true"],
            labels=self._label,
            host_config=client.create_host_config(binds={name: {"bind": "/code", "mode": "rw"}}),
        )
        client.put_archive(filler["Id"], "/code", write())
        client.remove_container(filler["Id"], force=True)
        seconds = time.perf_counter() - began
        client.remove_volume(name, force=True)
        return seconds

    def _create_and_start(self) -> str:
        client = self._client
        created = client.create_container(
            IMAGE,
            command=["sh", "-c", "read -r _"],
            entrypoint=[],
            user="qcloud",
            stdin_open=True,
            labels=self._label,
            host_config=client.create_host_config(
                read_only=True,
                tmpfs={"/tmp": "size=536870912,mode=1777,exec"},
                mem_limit="128m",
                memswap_limit="128m",
                cpu_shares=102,
                pids_limit=1024,
                ulimits=[docker.types.Ulimit(name="nofile", soft=1024, hard=1024)],
                cap_drop=["ALL"],
                security_opt=["no-new-privileges"],
                network_mode=self._network,
            ),
        )
        container: str = created["Id"]
        client.start(container)
        return container
