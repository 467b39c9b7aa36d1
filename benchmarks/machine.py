"""Describes the machine, and the versions of everything that was measured."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[1]


def facts(peers: dict[str, str]) -> dict[str, str]:
    """The name and the value of each fact, as text. ``peers`` are added."""
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{int(memory[1]) // 1024 // 1024} GiB" if memory else "unknown",
        "kernel": platform.release(),
        "engine": "Docker "
        + _said("docker", "version", "--format", "{{.Server.Version}}")
        + ", cgroup "
        + _said("docker", "info", "--format", "{{.CgroupVersion}}")
        + ", "
        + _said("docker", "info", "--format", "{{.Driver}}"),
        "base of the instances": _said(
            *("docker", "image", "inspect", "scf-sandbox/centos7"),
            *("--format", '{{index .Config.Labels "scf-sandbox.base"}}'),
        ),
        "Python": platform.python_version(),
        "uvicorn, uvloop, httptools": ", ".join(
            version(name) for name in ("uvicorn", "uvloop", "httptools")
        ),
        "wrk": _said("dpkg-query", "--show", "--showformat=${Version}", "wrk"),
        "gcc": _said("gcc", "-dumpfullversion"),
        "commit": _said("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD") + _changed(),
        **peers,
    }


def _processor() -> str:
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return found[1] if found else platform.machine()


def _changed() -> str:
    places = ("api", "sandbox", "scf_sandbox")
    changes = _said("git", "-C", str(ROOT), "status", "--porcelain", "--", *places)
    return " and uncommitted changes" if changes not in ("", "unknown") else ""


def _said(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()


def processor_s(pid: int) -> float:
    """Processor time that one process has taken so far, seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def calm(within_s: float = 20.0) -> None:
    """Wait until the machine is nearly idle. The engine may still remove the containers of the last
    measure. The wait ends anyway after a while, because others may use the machine too."""
    latest = time.monotonic() + within_s
    while time.monotonic() < latest:
        before = _idle_s(), time.monotonic()
        time.sleep(0.5)
        idle, took = _idle_s() - before[0], time.monotonic() - before[1]
        if idle > 0.9 * took * (os.cpu_count() or 1):
            return


def _idle_s() -> float:
    """Idle time of all processors so far, seconds."""
    fields = Path("/proc/stat").read_text().split(None, 6)
    return (int(fields[4]) + int(fields[5])) / os.sysconf("SC_CLK_TCK")


def resident_kb(pid: int) -> int:
    """Resident memory of one process, KiB."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) if found else 0
