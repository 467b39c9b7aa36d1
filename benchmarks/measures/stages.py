"""Measures each stage of an invoke, by the clocks of all processes that take part.

Client, control plane and bootstrap run on one machine, so their wall clocks are one clock. The
bootstrap answers a traced event with its own times; the control plane's are in the record.
"""

from __future__ import annotations

import json
import statistics
from contextlib import closing
from typing import TYPE_CHECKING

from benchmarks.client import Caller, Reply
from benchmarks.contest import FUNCTION
from benchmarks.measures.cold import TRACE, cold_call
from benchmarks.ours import Sandbox, result
from benchmarks.rows import Row, Series
from benchmarks.timeline import Stage, draw

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.contest import Contest

CLIENT, CONTROL, INSTANCE = "client", "control plane", "instance"

#: The lane, what happens there, and the moments of its begin and end. In the order of time.
WARM = (
    (CONTROL, "request read and understood", "sent", "received"),
    (CONTROL, "checked, given to the warm instance", "received", "dispatched"),
    (INSTANCE, "on its way to the bootstrap", "dispatched", "got"),
    (INSTANCE, "the bootstrap's own time", "got", "pushed"),
    (CONTROL, "result read, outcome made", "pushed", "finished"),
    (CLIENT, "answer written and read", "finished", "answered"),
)
COLD = (
    (CONTROL, "request read and understood", "sent", "received"),
    (CONTROL, "instance standing by is released", "received", "released"),
    (INSTANCE, "init hears of it, the bootstrap starts", "released", "began"),
    (INSTANCE, "the bootstrap's own initialisation", "began", "init"),
    (CONTROL, "ready report read, event handed out", "init", "dispatched"),
    (INSTANCE, "on its way to the bootstrap", "dispatched", "got"),
    (INSTANCE, "the bootstrap's own time", "got", "pushed"),
    (CONTROL, "result read, outcome made", "pushed", "finished"),
    (CLIENT, "answer written and read", "finished", "answered"),
)


def stages(contest: Contest) -> list[Row]:
    """The median of each stage, warm and cold. A full run also draws the pictures in docs."""
    warm_count, cold_count = (50, 3) if contest.short else (1000, 15)
    with contest.host() as plane, closing(Caller(plane.port)) as caller:
        plane.create(FUNCTION, contest.package)
        cold: list[Mapping[str, float]] = []
        for _ in range(cold_count):
            reply, own = cold_call(plane, caller)
            cold.append(_moments(plane, reply, own))
        plane.checked(FUNCTION, "{}")
        request = plane.invoke(FUNCTION, TRACE)
        replies = [caller.call(request) for _ in range(warm_count)]
        warm = [
            _moments(plane, reply, json.loads(result(reply.json())["RetMsg"])) for reply in replies
        ]
    rows: list[Row] = []
    for kind, plan, runs in (("warm", WARM, warm), ("cold", COLD, cold)):
        measured = _measured(plan, runs)
        rows += [
            Row(
                f"{kind}, {stage.lane}: {stage.what}",
                Series("ours on the host", "ms", stage.milliseconds),
            )
            for stage in measured
        ]
        if not contest.short:
            draw(kind, measured, len(runs))
    return rows


def _moments(plane: Sandbox, reply: Reply, own: dict[str, float]) -> dict[str, float]:
    record = plane.record(result(reply.json())["FunctionRequestId"])
    timeline: dict[str, float] = record["timeline"]
    return {
        **timeline,
        "began": own["began"],
        "init": own["ready"],
        "got": own["got"],
        "pushed": own["pushed"],
        "sent": reply.sent,
        "answered": reply.answered,
    }


def _measured(
    plan: Sequence[tuple[str, str, str, str]], runs: Sequence[Mapping[str, float]]
) -> list[Stage]:
    """Each stage of the plan, with its times in all runs."""
    found = []
    for lane, what, start, end in plan:
        took = tuple((run[end] - run[start]) * 1000 for run in runs)
        found.append(Stage(lane, what, took, statistics.median(took)))
    return found
