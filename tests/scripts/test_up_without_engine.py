"""``scripts/up`` and ``scripts/down`` where no container engine can be had."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.support.product import bash_runtime, free_port
from tests.support.waiting import wait_until
from tests.support.zips import zip_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[2]


@dataclass
class Checkout:
    """A copy of the project, with the environment that is there already."""

    directory: Path
    port: int
    runtime_port: int

    def script(
        self, name: str, *arguments: str, code: int = 0, settings: Mapping[str, str] | None = None
    ) -> str:
        """Run one, which exits with ``code``; what it said."""
        done = subprocess.run(
            [self.directory / "scripts" / name, *arguments],
            env={
                **os.environ,
                "DOCKER_HOST": "tcp://127.0.0.1:1",
                "SCF_CACHE_DIR": str(self.directory / "cache"),
                "SCF_PORT": str(self.port),
                "SCF_RUNTIME_PORT": str(self.runtime_port),
                **(settings or {}),
            },
            capture_output=True,
            text=True,
            timeout=100,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == code, done.stderr
        return done.stderr


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    if not (ROOT / ".venv" / ".made-from").exists():
        pytest.skip("scripts/test has not made .venv here")
    project = tmp_path / "checkout"
    project.mkdir()
    for name in ("scripts", "init", "api", "sandbox", "scf_sandbox"):
        shutil.copytree(ROOT / name, project / name)
    for requirements in ROOT.glob("requirements*.txt"):
        shutil.copy(requirements, project)
    (project / ".venv").symlink_to(ROOT / ".venv")
    made = Checkout(project, free_port(), free_port())
    try:
        yield made
    finally:
        made.script("down")


def test_functions_run_as_processes_and_every_place_says_so(checkout: Checkout) -> None:
    said = checkout.script("up", "--detach")
    assert "functions run as processes of this machine" in said
    assert "not CentOS 7.6" in said
    url = f"http://127.0.0.1:{checkout.port}"
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as http:
        health = http.get("/healthz").json()
        assert (health["engine"], health["os_parity"]) == ("process", False)
        assert "not on CentOS 7.6" in health["note"]
        package = zip_of({"bootstrap": bash_runtime()})
        files = {"code": ("code.zip", package)}
        assert http.post("/functions", data={"name": "hello"}, files=files).status_code == 201
        assert http.post("/functions/hello/invocations", json={"a": 1}).json() == {"a": 1}
        assert "running already" in checkout.script("up", "--detach")
        assert http.get("/functions").json()["total"] == 1

        assert "ended the embedded control plane" in checkout.script("down", "--keep-data")
        with pytest.raises(httpx.TransportError):
            http.get("/healthz")
        checkout.script("up", "--detach")
        assert http.get("/functions").json()["total"] == 1

    checkout.script("down")
    assert not (checkout.directory / "data").exists()
    assert "ended" not in checkout.script("down")


def test_two_installations_of_one_checkout_are_two_sandboxes(checkout: Checkout) -> None:
    other = {
        "SCF_INSTALLATION": "b",
        "SCF_PORT": str(free_port()),
        "SCF_RUNTIME_PORT": str(free_port()),
    }
    # Of .env what the shell has not set counts.
    (checkout.directory / ".env").write_text("SCF_ENGINE='process'\nSCF_PORT=1\n")
    said = checkout.script("up", "--detach")
    assert "SCF_ENGINE=process: functions run as processes" in said
    taken = checkout.script("up", "--detach", code=1, settings={"SCF_INSTALLATION": "b"})
    assert f"port {checkout.port} is in use" in taken
    assert "SCF_INSTALLATION=b SCF_PORT=" in taken
    assert len(taken.splitlines()) == 1, "it is said before anything else"
    checkout.script("up", "--detach", settings=other)
    try:
        with httpx.Client(timeout=60, trust_env=False) as http:
            for port in (str(checkout.port), other["SCF_PORT"]):
                assert http.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
            assert "ended the embedded" in checkout.script("down", settings=other)
            assert http.get(f"http://127.0.0.1:{checkout.port}/healthz").status_code == 200
    finally:
        checkout.script("down", settings=other)
    assert (checkout.directory / "data").exists()
    assert not (checkout.directory / "data-b").exists()


def test_data_of_a_sandbox_that_runs_stay(checkout: Checkout) -> None:
    (checkout.directory / "data").mkdir()
    lock = checkout.directory / "data" / "lock"
    with subprocess.Popen(["flock", lock, "cat"], stdin=subprocess.PIPE) as holder:
        wait_until(
            lambda: lock.exists() and subprocess.run(["flock", "-n", lock, "true"]).returncode == 1
        )
        assert "its data stays" in checkout.script("down")
        assert lock.exists()
        assert holder.stdin is not None
        holder.stdin.close()
    checkout.script("down")
    assert not lock.exists()
