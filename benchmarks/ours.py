"""Runs the sandbox: its control plane is a process of the host, or compose runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from benchmarks import signing
from benchmarks.client import Request, all_at_once, call
from benchmarks.containers import EngineFailed, docker, free_port, sweep
from benchmarks.machine import ROOT
from benchmarks.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

CLOUD = {
    "Content-Type": "application/json",
    "X-TC-Version": "2018-04-16",
    "X-TC-Region": "ap-guangzhou",
}


class Sandbox:
    """A running sandbox, and what the measures do with it."""

    def __init__(self, port: int, installation: str, signed: bool = False) -> None:
        self.port = port
        self.installation = installation
        self.pid = 0
        self.started_s = 0.0
        self._signed = signed
        self._http = httpx.Client(
            base_url=f"http://127.0.0.1:{port}",
            timeout=120,
            trust_env=False,
            auth=(signing.SECRET_ID, signing.SECRET_KEY) if signed else None,
        )

    def healthy(self) -> bool:
        try:
            return self._http.get("/healthz").status_code == 200
        except httpx.TransportError:
            return False

    def create(self, name: str, package: bytes, **fields: str) -> None:
        """Create a function from a zip and wait until it serves."""
        answer = self._http.post(
            "/functions", data={"name": name, **fields}, files={"code": ("code.zip", package)}
        )
        if answer.status_code != 201:
            raise RuntimeError(f"creating {name}: {answer.text}")

    def cloud(self, action: str, fields: dict[str, Any]) -> Request:
        """A request of the cloud API, signed if this control plane asks for that."""
        body = json.dumps(fields).encode()
        headers = {**CLOUD, "X-TC-Action": action}
        if self._signed:
            headers = signing.signed(headers, f"127.0.0.1:{self.port}", body)
        return Request(self.port, "/", body, headers)

    def invoke(self, name: str, event: str) -> Request:
        """Invoke of the cloud API."""
        return self.cloud("Invoke", {"FunctionName": name, "ClientContext": event})

    def checked(self, name: str, event: str, expected: str | None = None) -> Request:
        """``invoke``, after one call that checks the answer. That call leaves a warm instance."""
        request = self.invoke(name, event)
        answer = result(call(request).json())
        if answer["RetMsg"] != (event if expected is None else expected):
            raise RuntimeError(f"{name} answered {answer['RetMsg'][:200]!r}")
        return request

    def warm(self, name: str, count: int, hold_ms: int = 2000) -> None:
        """Start ``count`` warm instances of a function: send as many events at once, each held for
        a while."""
        order = json.dumps({"do": "delay", "ms": hold_ms}, separators=(",", ":"))
        deadline = time.monotonic() + 400
        # Instances that start too late for an event stand by. The next wave warms them.
        while (found := len(self.instances(name, "idle"))) < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{found} instances of {name} are warm, not {count}")
            for reply in all_at_once([self.invoke(name, order)] * count):
                result(reply.json())

    def instances(self, name: str, state: str) -> list[dict[str, Any]]:
        return [instance for instance in self.of(name) if instance["state"] == state]

    def of(self, name: str) -> list[dict[str, Any]]:
        """Every instance of a function, in whatever state."""
        found: list[dict[str, Any]] = self._http.get("/instances").json()["instances"]
        return [instance for instance in found if instance["function"] == name]

    def await_standby(self, name: str, count: int = 1) -> None:
        """Wait until so many instances of a function stand by."""
        until(
            lambda: len(self.instances(name, "standing by")) >= count,
            f"{count} instances of {name} stand by",
            within=30 + count,
            every=0.02,
        )

    def await_none(self, name: str) -> None:
        """Wait until the engine has removed every instance of a function."""
        until(lambda: not self.of(name), f"the instances of {name} are gone", every=0.1)

    def await_places(self, count: int) -> None:
        """Wait until there are so many places: network ends that instances start into."""
        labels = (f"scf-sandbox={self.installation}", "scf-sandbox.role=place")
        filters = [word for label in labels for word in ("--filter", f"label={label}")]
        until(
            lambda: len(docker("ps", "--quiet", *filters).split()) >= count,
            f"{count} places",
            within=60 + 5 * count,
            every=0.2,
        )

    def force_cold(self, name: str) -> None:
        """End the function's instances, and wait until they are gone and a new one stands by."""
        self._http.post(f"/functions/{name}/cold")
        self.await_none(name)
        call(self.invoke(name, '{"do":"die"}'))
        self.await_standby(name)

    def record(self, request_id: str) -> dict[str, Any]:
        """One invocation with its timeline."""
        found: dict[str, Any] = self._http.get(f"/invocations/{request_id}").json()
        return found

    def failures(self, name: str) -> int:
        """How many records of a function's invocations say that they failed."""
        query: dict[str, str | int] = {"result": "failed", "limit": 1}
        total: int = self._http.get(f"/functions/{name}/invocations", params=query).json()["total"]
        return total

    def close(self) -> None:
        self._http.close()


def result(answer: dict[str, Any]) -> dict[str, Any]:
    """``Result`` of an Invoke that succeeded."""
    found: dict[str, Any] | None = answer["Response"].get("Result")
    if found is None or found["InvokeResult"] != 0:
        raise RuntimeError(f"an invocation failed: {answer}")
    return found


@contextmanager
def on_host(
    installation: str, data: Path, root: Path = ROOT, /, **settings: str
) -> Iterator[Sandbox]:
    """The control plane as a process of this machine. ``root`` holds its code."""
    signed = "SCF_CREDENTIALS" in settings
    plane = Sandbox(free_port(), installation, signed)
    data.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    with (data.parent / f"{installation}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "api"],
            cwd=root,
            env={
                **_own_environment(),
                "SCF_PORT": str(plane.port),
                "SCF_RUNTIME_PORT": str(free_port()),
                "SCF_DATA_DIR": str(data),
                "SCF_ENGINE": "docker",
                "SCF_INSTALLATION": installation,
                **settings,
            },
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
        )
    try:

        def healthy() -> bool:
            if process.poll() is not None:
                last = Path(log.name).read_text().strip().splitlines()[-1:]
                raise RuntimeError(f"the control plane ended at once: {' '.join(last)}")
            return plane.healthy()

        until(healthy, "the control plane is healthy", every=0.005)
        plane.started_s = time.perf_counter() - began
        plane.pid = process.pid
        yield plane
    finally:
        plane.close()
        process.terminate()
        try:
            process.wait(120)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        with suppress(EngineFailed):  # the end of the run sweeps again, and reports a failure
            sweep(installation)


@contextmanager
def by_compose(installation: str, *, published: bool = False, **settings: str) -> Iterator[Sandbox]:
    """A control plane that compose runs in the machine's network, as ``scripts/up`` does.

    With ``published`` it runs behind a published port, as plain ``docker compose up`` does. The
    image must exist.
    """
    plane = Sandbox(free_port(), installation)
    environment = {
        **_own_environment(),
        "SCF_PORT": str(plane.port),
        "SCF_RUNTIME_PORT": str(free_port()),
        "SCF_INSTALLATION": installation,
        **settings,
    }
    files = ["compose.yaml"] if published else ["compose.yaml", "compose.host.yaml"]
    project = f"scf-sandbox-{installation}"
    bases = ROOT / ".env.images"
    compose = [
        *("docker", "compose", "--project-directory", str(ROOT), "--project-name", project),
        *(("--env-file", str(bases)) if bases.exists() else ()),
        *(part for file in files for part in ("--file", str(ROOT / file))),
    ]

    def run(*arguments: str) -> None:
        done = subprocess.run(
            [*compose, *arguments], env=environment, capture_output=True, text=True, timeout=180
        )
        if done.returncode:
            raise EngineFailed(f"docker compose {arguments[0]}: {done.stderr.strip()[-500:]}")

    try:
        run("up", "--detach", "--no-build")
        until(plane.healthy, "the composed control plane is healthy")
        container = docker("ps", "--quiet", "--filter", f"name={project}-control")
        init = docker("inspect", "--format", "{{.State.Pid}}", container)
        plane.pid = int(Path(f"/proc/{init}/task/{init}/children").read_text().split()[0])
        yield plane
    finally:
        plane.close()
        run("down", "--volumes", "--timeout", "30")
        with suppress(EngineFailed):
            sweep(installation)


def _own_environment() -> dict[str, str]:
    """This process's environment without the settings of the user's own sandbox."""
    return {name: value for name, value in os.environ.items() if not name.startswith("SCF_")}
