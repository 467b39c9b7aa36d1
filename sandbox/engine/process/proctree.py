"""A process and its descendants, as ``/proc`` shows them. Linux only."""

from __future__ import annotations

import contextlib
import os
import signal

PAGE = os.sysconf("SC_PAGE_SIZE")


def supported() -> bool:
    """True where the kernel lists the children of a process."""
    pid = os.getpid()
    return os.path.exists(f"/proc/{pid}/task/{pid}/children")


def children(pid: int) -> list[int]:
    """The direct children of a process, those of all its threads; none when it is gone."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            found += map(int, _read(f"/proc/{pid}/task/{thread}/children").split())
    return found


def descendants(pid: int) -> list[int]:
    """Children, their children and so on, parents first; without ``pid`` itself."""
    found = children(pid)
    for child in found:
        found += children(child)
    return found


def memory(pids: list[int]) -> int:
    """Bytes of physical memory that processes use together.

    Pages that are a process's own are added up; of the pages that may be shared (libraries, mostly
    the same ones in every process) the largest share counts once.
    """
    own = shared = 0
    for pid in pids:
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = _read(f"/proc/{pid}/statm").split()
            own += int(fields[1]) - int(fields[2])
            shared = max(shared, int(fields[2]))
    return (own + shared) * PAGE


def send_signal(pid: int, parent: int, number: signal.Signals) -> None:
    """Signal a process, if it is still a child of ``parent``: never another that got its number."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if pid in children(parent):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, number)
    finally:
        os.close(handle)


def _read(path: str) -> bytes:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(handle, 65536)
    finally:
        os.close(handle)
