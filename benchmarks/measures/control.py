"""Measures the control plane: how long it starts, and how much memory it takes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from benchmarks.machine import resident_kb
from benchmarks.rows import Row, Series, below

if TYPE_CHECKING:
    from benchmarks.contest import Contest

#: A control plane counts as idle so many seconds after its first answer.
SETTLED_S = 1.0


def start(contest: Contest) -> list[Row]:
    """The time from the start to the first good answer of ``/healthz``, and the memory when
    idle."""
    starts: list[float] = []
    memory: list[float] = []

    def turn() -> None:
        with contest.host() as plane:
            starts.append(plane.started_s)
            time.sleep(SETTLED_S)
            memory.append(resident_kb(plane.pid) / 1024)

    contest.interleave({"ours": turn})
    rows = [
        Row("start to healthy", Series("ours on the host", "s", tuple(starts)), goal=below(2),
            bounds="Python starts and imports everything; the migrations are read."),
        Row("resident memory when idle", Series("ours on the host", "MB", tuple(memory)),
            goal=below(80), bounds="Python and what it has imported."),
    ]  # fmt: skip
    if not contest.short:
        with contest.compose() as plane:
            time.sleep(SETTLED_S)
            series = Series("ours by compose", "MB", (resident_kb(plane.pid) / 1024,))
        rows.append(Row("resident memory when idle", series, goal=below(80)))
    return rows
