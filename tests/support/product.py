"""Runs the whole product as a process, and talks to it."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from tests.support.waiting import wait_until
from tests.support.zips import zip_of

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]

#: A small, complete Custom Runtime in bash: `handler EVENT` prints the result.
BASH_RUNTIME = """#!/bin/bash
api=http://$SCF_RUNTIME_API:$SCF_RUNTIME_API_PORT/runtime
%(init)s
curl -s -o /dev/null -d ' ' $api/init/ready
while true; do
  event=$(curl -s $api/invocation/next)
  handler() { %(handler)s
  }
  handler "$event" > "${TMPDIR:-/tmp}/result"
  curl -s -o /dev/null --data-binary "@${TMPDIR:-/tmp}/result" $api/invocation/response
done
"""


def bash_runtime(handler: str = 'echo "$1"', init: str = ":") -> str:
    """A bootstrap with this handler in bash."""
    return BASH_RUNTIME % {"handler": handler, "init": init}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Answer:
    """The answer of plain REST to one invocation."""

    response: httpx.Response
    elapsed: float

    @property
    def status(self) -> int:
        return int(self.response.headers["X-Scf-Status"])

    @property
    def error(self) -> str:
        message: str = self.response.json()["errorMessage"]
        return message

    @property
    def duration(self) -> float:
        return float(self.response.headers["X-Scf-Duration-Ms"])

    @property
    def cold(self) -> bool:
        return bool(self.response.headers["X-Scf-Cold-Start"] == "true")


class Product:
    """A control plane with its own installation and ports."""

    def __init__(self, data_dir: Path, engine: str = "docker", **settings: str) -> None:
        self.port = free_port()
        run = os.environ.get("SCF_TEST_INSTALLATION", "test")
        self.installation = f"{run}-{secrets.token_hex(4)}"
        self.url = f"http://127.0.0.1:{self.port}"
        self.data_dir = data_dir
        self.runtime_port = str(free_port())
        self._environment = {
            **os.environ,
            "SCF_PORT": str(self.port),
            "SCF_RUNTIME_PORT": self.runtime_port,
            "SCF_DATA_DIR": str(data_dir),
            "SCF_ENGINE": engine,
            "SCF_INSTALLATION": self.installation,
            "SCF_PLACES": "2",
            **settings,
        }
        self.log_path = data_dir.parent / f"{self.installation}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.http = httpx.Client(base_url=self.url, timeout=60, trust_env=False)

    def start(self) -> None:
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "api"],
                cwd=ROOT,
                env=self._environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        wait_until(self._healthy)

    def again(self, **settings: str) -> subprocess.CompletedProcess[str]:
        """Start a second one by mistake. It should end by itself."""
        return subprocess.run(
            [sys.executable, "-m", "api"],
            cwd=ROOT,
            env={**self._environment, **settings},
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
        )

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(60)
            self.process = None

    def kill(self) -> None:
        """What ``kill -9`` does."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)
        self.process = None

    def _healthy(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(self.log_path.read_text())
        try:
            return self.http.get("/healthz").status_code == 200
        except httpx.TransportError:
            return False

    def create(
        self,
        name: str,
        files: Mapping[str, str | bytes],
        *,
        modes: Mapping[str, int] | None = None,
        fields: Mapping[str, str] | None = None,
        **more: str,
    ) -> dict[str, Any]:
        response = self.http.post(
            "/functions",
            data={"name": name, **(fields or {}), **more},
            files={"code": ("code.zip", zip_of(files, modes))},
        )
        assert response.status_code == 201, response.text
        view: dict[str, Any] = response.json()
        return view

    def invoke(self, name: str, event: Any = None, **query: str) -> Answer:
        body = event if isinstance(event, bytes) else json.dumps(event or {}).encode()
        began = time.monotonic()
        response = self.http.post(f"/functions/{name}/invocations", content=body, params=query)
        return Answer(response, time.monotonic() - began)

    def instances(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.http.get("/instances").json()["instances"]
        return [view for view in found if view["function"] == name]

    def log_of(self, request_id: str) -> str:
        text: str = self.http.get(f"/invocations/{request_id}").json()["log"]
        return text


def left_behind(installation: str) -> list[str]:
    """Everything in the engine with this installation's label, or only with its name: if a
    container asks for a volume that is gone, the engine makes one without a label."""
    label = f"label=scf-sandbox={installation}"
    left: list[str] = []
    for command in (
        ["docker", "ps", "-aq", "--filter", label],
        ["docker", "network", "ls", "-q", "--filter", label],
        ["docker", "volume", "ls", "-q", "--filter", label],
        ["docker", "volume", "ls", "-q", "--filter", f"name=scf-{installation}-"],
    ):
        output = subprocess.run(command, capture_output=True, text=True, check=True)
        left += output.stdout.split()
    return left
