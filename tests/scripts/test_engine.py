"""``scripts/engine`` on a machine of its own: namespaces, and an engine that only pretends."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMESPACES = ["unshare", "--mount", "--pid", "--fork", "--mount-proc"]

#: As the real one: refuses to start beside a pid file in which some living process is named.
DOCKERD = """#!/bin/bash
other=$(cat /var/run/docker.pid 2>/dev/null)
if [[ -n $other && -d /proc/$other ]]; then
  echo "failed to start daemon: process with PID $other is still running"
  exit 1
fi
[[ ! -e /run/broken ]] || exit 1
echo $$ >/var/run/docker.pid
sleep 1000 &
wait
"""

DOCKER = """#!/bin/bash
case $1 in
  info) [[ $(cat "/proc/$(cat /var/run/docker.pid)/comm") == dockerd ]] 2>/dev/null ;;
  version) echo 1.0 ;;
  compose) echo 2.0 ;;
esac
"""

#: Nothing of the real machine's engine is to be seen, nor written to.
PRELUDE = """
set -eu
mount -t tmpfs none /run
mount -t tmpfs none /var/log
engine() { "$ROOT/scripts/engine" || echo "exit code $?" >&2; }
daemons() { grep -lx dockerd /proc/[0-9]*/comm | wc -l; }
"""


def namespaces_work() -> bool:
    if shutil.which("unshare") is None:
        return False
    mounts = [*NAMESPACES, "mount", "-t", "tmpfs", "none", "/run"]
    return subprocess.run(mounts, capture_output=True, check=False).returncode == 0


pytestmark = pytest.mark.skipif(
    not namespaces_work(), reason="it takes root to give the script a machine of its own"
)


@dataclass
class Machine:
    """What commands run on; everything they started ends with the last one."""

    directory: Path

    def run(self, commands: str, **environment: str) -> tuple[str, str]:
        """What was printed on standard output and on standard error."""
        inherited = {key: value for key, value in os.environ.items() if key != "DOCKER_HOST"}
        done = subprocess.run(
            [*NAMESPACES, "bash", "-c", PRELUDE + commands],
            env={
                **inherited,
                "PATH": f"{self.directory}:{os.environ['PATH']}",
                "ROOT": str(ROOT),
                "SCF_CACHE_DIR": str(self.directory / "cache"),
                "SCF_ENGINE_TIMEOUT": "5",
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip(), done.stderr


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    for name, program in (("dockerd", DOCKERD), ("docker", DOCKER)):
        (tmp_path / name).write_text(program)
        (tmp_path / name).chmod(0o755)
    return Machine(tmp_path)


def test_an_engine_is_started_where_none_answers(machine: Machine) -> None:
    printed, said = machine.run("engine; daemons")
    assert printed == "1"
    assert "starting dockerd" in said
    assert "dockerd answers" in said
    assert "exit code" not in said


def test_an_engine_that_answers_is_used_as_it_is(machine: Machine) -> None:
    printed, said = machine.run("engine; engine; daemons")
    assert printed == "1"
    assert said.count("starting dockerd") == 1
    assert "container engine: 1.0 answers" in said


def test_a_pid_file_with_another_programs_number_is_removed(machine: Machine) -> None:
    printed, said = machine.run("echo 1 >/var/run/docker.pid; engine; daemons")
    assert printed == "1"
    assert "removing /var/run/docker.pid: no dockerd runs as process 1" in said
    assert "exit code" not in said


def test_a_killed_daemon_is_replaced_whatever_it_left(machine: Machine) -> None:
    printed, said = machine.run(
        """
        engine
        pid=$(cat /var/run/docker.pid)
        kill -9 "$pid"
        mkdir -p /run/docker/containerd /run/docker.sock
        echo 1 >/run/docker/containerd/containerd.pid
        : >/run/docker/containerd/containerd.sock
        engine
        [[ $(cat /var/run/docker.pid) != "$pid" ]] && ls -A /run/docker/containerd
        daemons
        """
    )
    assert printed == "1"
    assert said.count("starting dockerd") == 2
    assert "removing /var/run/docker/containerd/containerd.pid" in said
    assert "exit code" not in said


def test_an_engine_that_cannot_be_had_is_said_to_be_with_what_to_do(machine: Machine) -> None:
    _, said = machine.run(": >/run/broken; engine")
    assert "trying a second time" in said
    assert "there is no container engine here" in said
    assert "Install Docker" in said
    assert "exit code 69" in said


def test_an_engine_named_by_docker_host_that_is_silent_is_not_replaced(machine: Machine) -> None:
    printed, said = machine.run("engine; daemons", DOCKER_HOST="tcp://127.0.0.1:1")
    assert printed == "0"
    assert "DOCKER_HOST is set to tcp://127.0.0.1:1" in said
    assert "exit code 69" in said
