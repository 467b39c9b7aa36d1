"""The table of all measures, in the order in which they run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.measures import cold, control, emulators, failures, scale, stages, variants, warm

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.contest import Contest
    from benchmarks.rows import Row


@dataclass(frozen=True)
class Measure:
    """No round begins after ``budget_s`` seconds. ``short``: a short run measures it too."""

    name: str
    title: str
    run: Callable[[Contest], list[Row]]
    budget_s: float
    short: bool = False


MEASURES = (
    Measure("warm", "Warm invoke, 1 client", warm.one_client, 300, short=True),
    Measure("warm8", "Warm invoke, 8 clients on 8 instances", warm.eight_clients, 240, short=True),
    Measure("sam", "SAM local, without a registry", emulators.sam_local, 400),
    Measure("line", "A line of log per event, 1 client", variants.line, 120, short=True),
    Measure("signature", "TC3 signatures enforced, against off", variants.signature, 120),
    Measure("bash", "The README's bash bootstrap, 1 client", variants.bash, 120),
    Measure("large", "6 MB event, 6 MB result, 1 client", variants.large, 120),
    Measure("cold", "Cold start, a container standing by", cold.standby, 240, short=True),
    Measure("none", "Cold start, none standing by", cold.none_standing_by, 240, short=True),
    Measure("burst", "Burst of cold starts, one container standing by", cold.burst, 600),
    Measure("create", "A new function of 5 MB", cold.create, 120),
    Measure("crash", "Crash during an invocation", failures.crash, 120, short=True),
    Measure("timeout", "Timeouts", failures.timeout, 600),
    Measure("control", "The control plane itself", control.start, 120, short=True),
    Measure("instances", "200 warm instances", scale.instances, 600),
    Measure("history", "A full store", scale.history, 240),
    Measure("stages", "Where the time goes", stages.stages, 120),
)
