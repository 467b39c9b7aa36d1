"""Which compose files the scripts use: a published port works anywhere, this machine's own network
only where the engine is on it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HERE = os.uname().nodename
PORT, NETWORK = ["compose.yaml"], ["compose.yaml", "compose.host.yaml"]


def files(tmp_path: Path, facts: str, policy: str = "ACCEPT", **environment: str) -> list[str]:
    """What ``compose_files`` chooses with an engine that says ``facts`` of itself."""
    for name, says in (("docker", facts), ("iptables", f"-P INPUT {policy}")):
        (tmp_path / name).write_text(f'#!/bin/sh\necho "{says}"\n')
        (tmp_path / name).chmod(0o755)
    script = "source scripts/lib.sh; is_root() { true; }; compose_files"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return [Path(line).name for line in done.stdout.split() if line != "--file"]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (f"{HERE} Debian GNU/Linux 12 (bookworm) [name=seccomp,profile=default]", NETWORK),
        ("docker-desktop Docker Desktop [name=seccomp]", PORT),
        (f"{HERE} Docker Desktop []", PORT),
        ("another-machine Ubuntu 24.04 []", PORT),
        (f"{HERE} Ubuntu 24.04 [name=rootless]", PORT),
        (f"{HERE} Ubuntu 24.04 [name=userns]", PORT),
    ],
)
def test_the_machines_network_is_used_where_the_engine_is_on_it(
    tmp_path: Path, facts: str, expected: list[str]
) -> None:
    assert files(tmp_path, facts) == expected


def test_a_firewall_that_keeps_containers_out_leaves_the_published_port(tmp_path: Path) -> None:
    assert files(tmp_path, f"{HERE} Debian []", policy="DROP") == PORT


def test_the_users_own_choice_is_left_alone(tmp_path: Path) -> None:
    assert files(tmp_path, f"{HERE} Debian []", COMPOSE_FILE="compose.yaml") == []


@pytest.mark.skipif(shutil.which("docker") is None, reason="reads the files with docker compose")
@pytest.mark.parametrize("chosen", [PORT, NETWORK])
def test_the_control_plane_has_no_right_that_it_does_not_need(chosen: list[str]) -> None:
    command = ["docker", "compose"]
    for name in chosen:
        command += ["--file", name]
    done = subprocess.run(
        [*command, "config", "--format", "json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    services = json.loads(done.stdout)["services"]
    control = services["control"]
    assert control["cap_drop"] == services["instance-image"]["cap_drop"] == ["ALL"]
    assert control["security_opt"] == ["no-new-privileges:true"]
    assert control["read_only"] is services["instance-image"]["read_only"] is True
    assert control["tmpfs"] == ["/tmp"]
    assert int(control["mem_limit"]) == 2 << 30
    assert control["pids_limit"] == 512
    assert {"cap_add", "privileged", "devices", "pid"}.isdisjoint(control)
    writable = {v["target"] for v in control["volumes"] if not v.get("read_only")}
    assert writable == {"/var/lib/scf-sandbox", "/run/scf-sandbox", "/var/run/docker.sock"}
    assert services["instance-image"]["network_mode"] == "none"
