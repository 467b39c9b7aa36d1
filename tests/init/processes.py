"""Processes as ``/proc`` shows them, and some that burn."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path

from tests.init.peers import DEADLINE_S
from tests.support.waiting import eventually

#: What a test started may take so long to be gone after it.
LEFT_S = 5.0


def process_name(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def children(pid: int) -> list[int]:
    """Direct ones; those of the main thread."""
    try:
        return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def alive(pid: int) -> bool:
    """Neither gone nor a zombie."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def writes(pid: int) -> bool:
    """It waits in a write to a pipe."""
    with suppress(OSError):
        return "pipe_w" in Path(f"/proc/{pid}/wchan").read_text()
    return False


def working_in(directory: Path) -> list[str]:
    """Processes that live in a directory, by id and command."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (entry / "cwd").readlink() == directory and alive(int(entry.name)):
                found.append(f"{entry.name}: {(entry / 'cmdline').read_bytes()!r}")
    return found


async def nothing_in(directory: Path) -> None:
    """Wait until no process is left there; fail with what is."""
    try:
        await eventually(lambda: not working_in(directory), LEFT_S)
    except AssertionError:
        assert working_in(directory) == []


def sleeps(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"


async def asleep(pid: int) -> None:
    """Wait until a process waits."""
    await eventually(lambda: sleeps(pid), DEADLINE_S)


async def gone(*pids: int, deadline_s: float = DEADLINE_S) -> None:
    """Wait until none of these processes lives."""
    await eventually(lambda: not any(alive(pid) for pid in pids), deadline_s)


def below(pid: int) -> list[int]:
    """All descendants of a process that live."""
    found = children(pid)
    for child in found:
        found += children(child)
    return [child for child in found if alive(child)]


def cpu_s(pid: int) -> float:
    """CPU time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def switches(pid: int) -> int:
    """How often a process has gone to sleep so far."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("voluntary")).split()[1])


def own_kb(pid: int) -> int:
    """Resident memory that is a process's alone: not the pages of its program's file, which all
    instances share."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("RssAnon:")).split()[1])


class Burners:
    """Keeps every core busy while it is entered."""

    async def __aenter__(self) -> None:
        shell = shutil.which("sh") or "/bin/sh"
        self._processes = [
            await asyncio.create_subprocess_exec(shell, "-c", "while :; do :; done")
            for _ in range(os.cpu_count() or 1)
        ]

    async def __aexit__(self, *_: object) -> None:
        for process in self._processes:
            process.send_signal(signal.SIGKILL)
            await process.wait()
