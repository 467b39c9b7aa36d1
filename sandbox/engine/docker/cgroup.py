"""A container's memory, read from the control group file system."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def _candidates(root: Path, container_id: str) -> Iterator[tuple[Path, str, str]]:
    """(directory, file of the peak, file of the OOM count) for the layouts Docker uses."""
    for parent in (f"docker/{container_id}", f"system.slice/docker-{container_id}.scope"):
        yield root / "memory" / parent, "memory.max_usage_in_bytes", "memory.oom_control"
        yield root / parent, "memory.peak", "memory.events"


class MemoryGauge:
    """Peak memory and OOM kills of one container; 0 where the files cannot be seen.

    The peak is the kernel's own high-water mark: v1 ``memory.max_usage_in_bytes``, v2
    ``memory.peak``. The last value read stays after the control group is gone.
    """

    def __init__(self, root: Path, container_id: str) -> None:
        self._root = root
        self._container_id = container_id
        self._peak_fd = -1
        self._events_fd = -1
        self._peak = 0
        self._oom_kills = 0
        self._closed = False

    def peak(self) -> int:
        """Bytes."""
        if self._peak_fd < 0:
            self._open()
        with contextlib.suppress(OSError, ValueError):  # gone: the last value stands
            self._peak = int(os.pread(self._peak_fd, 32, 0))
        return self._peak

    def oom_kills(self) -> int:
        """How many processes in it were killed for want of memory."""
        if self._events_fd < 0:
            self._open()
        try:
            text = os.pread(self._events_fd, 512, 0).decode()
        except OSError:
            return self._oom_kills
        for line in text.splitlines():
            if line.startswith("oom_kill "):
                self._oom_kills = int(line.split()[1])
        return self._oom_kills

    def close(self) -> None:
        """Let go of the files. The last values stand."""
        for fd in (self._peak_fd, self._events_fd):
            if fd >= 0:
                os.close(fd)
        self._peak_fd = self._events_fd = -1
        self._closed = True

    def _open(self) -> None:
        if self._closed:
            return
        for directory, peak, events in _candidates(self._root, self._container_id):
            if (directory / peak).exists() and (directory / events).exists():
                self._peak_fd = os.open(directory / peak, os.O_RDONLY | os.O_CLOEXEC)
                self._events_fd = os.open(directory / events, os.O_RDONLY | os.O_CLOEXEC)
                return
