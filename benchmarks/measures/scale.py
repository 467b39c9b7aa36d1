"""Measures large numbers: many warm instances, many functions, a long history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.contest import EVENT, FUNCTION, rates
from benchmarks.fill import fill
from benchmarks.load import wrk
from benchmarks.machine import resident_kb
from benchmarks.rows import Row, Series, at_least, below

if TYPE_CHECKING:
    from benchmarks.contest import Contest

FEW, MANY = 8, 200
FUNCTIONS, RECORDS, LINES_EACH = 1000, 100_000, 10


def instances(contest: Contest) -> list[Row]:
    """Eight clients on 200 warm instances against 8 warm instances, and the memory per instance."""
    budget = {"SCF_MEMORY_BUDGET_MB": str(64 * (MANY + 20))}
    with contest.host(**budget) as crowded, contest.host(**budget) as calm:
        for plane in (crowded, calm):
            plane.create(FUNCTION, contest.package, memory="64", timeout="300")
            plane.warm(FUNCTION, FEW)
        request = crowded.checked(FUNCTION, EVENT)
        wrk(
            request, clients=FEW, seconds=2
        )  # allocate what is needed once before the memory is read
        before = resident_kb(crowded.pid)
        crowded.warm(FUNCTION, MANY, hold_ms=8000)
        wrk(request, clients=FEW, seconds=2)
        grown = (resident_kb(crowded.pid) - before) / (MANY - FEW)
        loads = contest.loads({"many": (request, FEW), "few": (calm.checked(FUNCTION, EVENT), FEW)})
    return [
        Row(
            f"rate, {MANY} warm instances",
            rates("ours on the host", loads["many"]),
            rates(f"{FEW} instances", loads["few"]),
            at_least(0.9),
            bounds="A tenth of a second's tick looks at every busy instance; idle ones cost"
            " nothing per event.",
        ),
        Row(
            "resident memory per warm instance",
            Series("ours on the host", "KB", (grown,)),
            goal=below(100),
            bounds="Buffers of the connections to its init and its runtime, and of the log.",
        ),
    ]


def history(contest: Contest) -> list[Row]:
    """One client, with a full store against an empty one."""
    filled = contest.directory / "filled"
    fill(filled, functions=FUNCTIONS, records=RECORDS, lines_each=LINES_EACH, code=contest.package)
    settings = {
        "SCF_DATA_DIR": str(filled),
        "SCF_FUNCTIONS_PER_NAMESPACE": str(FUNCTIONS + 1),
    }
    with contest.host(**settings) as full, contest.host() as empty:
        for plane in (full, empty):
            plane.create(FUNCTION, contest.package)
        loads = contest.loads(
            {
                "full": (full.checked(FUNCTION, EVENT), 1),
                "empty": (empty.checked(FUNCTION, EVENT), 1),
            }
        )
    what = f"rate, {FUNCTIONS} functions, {RECORDS} records, {RECORDS * LINES_EACH} log lines"
    bounds = "Records are written after the answer, in batches; a larger index takes longer."
    ours, peer = rates("full store", loads["full"]), rates("empty store", loads["empty"])
    return [Row(what, ours, peer, at_least(0.95), bounds=bounds)]
