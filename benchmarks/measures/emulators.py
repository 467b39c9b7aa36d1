"""Measures SAM local, which runs the emulator in its own containers. It is too slow to set a
goal."""

from __future__ import annotations

import statistics
import time
from contextlib import closing
from typing import TYPE_CHECKING

from benchmarks.client import Caller
from benchmarks.contest import EVENT, FUNCTION, latencies, rates
from benchmarks.measures.cold import cold_call
from benchmarks.peers.sam import installed
from benchmarks.rows import Row, Series

if TYPE_CHECKING:
    from benchmarks.contest import Contest


def sam_local(contest: Contest) -> list[Row]:
    """A warm invoke through its endpoint, and one whole ``sam local invoke``."""
    event = EVENT.encode()
    label, version = contest.label, contest.rie.version
    with (
        installed(contest.cache, contest.code, label, contest.directory / "sam", version) as sam,
        contest.host() as plane,
        closing(Caller(plane.port)) as caller,
    ):
        plane.create(FUNCTION, contest.package)
        sam.invoke_once(event)  # builds its image

        def theirs() -> float:
            began = time.perf_counter()
            sam.invoke_once(event)
            return (time.perf_counter() - began) * 1000

        def ours() -> float:
            runs = [cold_call(plane, caller)[0].seconds for _ in range(3)]
            return statistics.median(runs) * 1000

        cold = contest.interleave({"ours": ours, "theirs": theirs})
        with sam.serving(event) as request:
            checked = (plane.checked(FUNCTION, EVENT), 1)
            warm = contest.loads({"ours": checked, "theirs": (request, 1)})
    mine, other = "ours on the host", "SAM local, warm containers"
    return [
        Row("warm: rate", rates(mine, warm["ours"]), rates(other, warm["theirs"])),
        Row("warm: p50", latencies(mine, warm["ours"]), latencies(other, warm["theirs"])),
        Row("cold: request to answer", Series(mine, "ms", tuple(cold["ours"])),
            Series("sam local invoke", "ms", tuple(cold["theirs"]))),
    ]  # fmt: skip
