"""Measures warm invokes beside an earlier commit's, in the same rounds."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.contest import EVENT, FUNCTION, latencies, rates
from benchmarks.earlier import earlier
from benchmarks.load import Load, wrk
from benchmarks.machine import processor_s
from benchmarks.rows import Row, Series, at_least

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.contest import Contest
    from benchmarks.earlier import Earlier
    from benchmarks.ours import Sandbox

OURS = "this commit"
#: Two runs of one commit differ by this much.
NOISE = 0.05


@dataclass(frozen=True)
class Turn:
    """``spent_us`` is the control plane's processor time for one invocation."""

    load: Load
    spent_us: float


def against(revision: str) -> Callable[[Contest], list[Row]]:
    """The measure beside that commit."""

    def run(contest: Contest) -> list[Row]:
        with earlier(revision, contest.directory) as before:
            return [row for clients in (1, 8) for row in _rows(contest, before, clients)]

    return run


def _rows(contest: Contest, before: Earlier, clients: int) -> list[Row]:
    with ExitStack() as stack:
        planes = {
            OURS: stack.enter_context(contest.host()),
            before.name: stack.enter_context(contest.host(before)),
        }
        turns = contest.interleave(
            {name: _turn(contest, plane, clients) for name, plane in planes.items()}
        )
    loads = {name: [turn.load for turn in found] for name, found in turns.items()}
    spent = {
        name: Series(name, "µs", tuple(turn.spent_us for turn in found))
        for name, found in turns.items()
    }
    with_so_many = f", {clients} client{'s' if clients > 1 else ''}"
    old = before.name
    return [
        Row(
            f"rate{with_so_many}",
            rates(OURS, loads[OURS]),
            rates(old, loads[old]),
            at_least(1 - NOISE),
        ),
        Row(f"p50{with_so_many}", latencies(OURS, loads[OURS]), latencies(old, loads[old])),
        Row(f"processor time of one invocation{with_so_many}", spent[OURS], spent[old]),
    ]


def _turn(contest: Contest, plane: Sandbox, clients: int) -> Callable[[], Turn]:
    """Makes the function and its instances now, and a load at each call."""
    plane.create(FUNCTION, contest.package, timeout="60")
    if clients > 1:
        plane.warm(FUNCTION, clients)
    request = plane.checked(FUNCTION, EVENT)
    wrk(request, clients=clients, seconds=1)

    def turn() -> Turn:
        began = processor_s(plane.pid)
        load = wrk(request, clients=clients, seconds=contest.seconds)
        return Turn(load, (processor_s(plane.pid) - began) / load.requests * 1e6)

    return turn
