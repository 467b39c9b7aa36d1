"""Measures failures: how soon a caller hears of a crash, and how exact a timeout is."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from benchmarks.client import Caller, all_at_once
from benchmarks.contest import EVENT, FUNCTION
from benchmarks.rows import Row, Series, below

if TYPE_CHECKING:
    from benchmarks.contest import Contest

DIE, HANG = '{"do":"die"}', '{"do":"hang"}'
PENDING, PER_FUNCTION, TIMEOUT_S = 100, 20, 2


def crash(contest: Contest) -> list[Row]:
    """The process ends while it works on the event. The whole request is timed."""
    per_round = 2 if contest.short else 5
    walls: list[float] = []

    def turn() -> None:
        for _ in range(per_round):
            plane.await_standby(FUNCTION)
            caller.call(plane.invoke(FUNCTION, EVENT))
            reply = caller.call(plane.invoke(FUNCTION, DIE))
            if b"exit" not in reply.body:
                raise RuntimeError(f"a crash was answered with {reply.body[:300]!r}")
            walls.append(reply.seconds * 1000)

    with contest.host() as plane, closing(Caller(plane.port)) as caller:
        plane.create(FUNCTION, contest.package)
        contest.interleave({"ours": turn})
    series = Series("ours on the host", "ms", tuple(walls))
    bounds = "How soon init tells of the bootstrap's end, behind the last of its output."
    return [Row("request to answer, worst", series, goal=below(100), bounds=bounds,
                figure=max(walls))]  # fmt: skip


def timeout(contest: Contest) -> list[Row]:
    """A hundred instances have an event each at the same time, and none answers.

    The time is from the moment when the event could be fetched (see its record) to the caller's
    answer.
    """
    pending, each = (20, 10) if contest.short else (PENDING, PER_FUNCTION)
    names = [f"{FUNCTION}{number}" for number in range(pending // each)]
    late: list[float] = []

    def turn() -> None:
        for name in names:
            plane.await_standby(name, each)
        requests = [plane.invoke(name, HANG) for name in names for _ in range(each)]
        for reply in all_at_once(requests):
            answer = reply.json()["Response"]["Result"]
            record = plane.record(answer["FunctionRequestId"])
            if record["status"] != 433:
                raise RuntimeError(f"a timeout ended as {answer}")
            waited = reply.answered - record["timeline"]["dispatched"]
            late.append((waited - TIMEOUT_S) * 1000)

    # All instances stand by before. No memory is left for others, so none starts meanwhile.
    settings = {"SCF_STANDBY": str(each), "SCF_MEMORY_BUDGET_MB": str(64 * pending)}
    with contest.host(**settings) as plane:
        for name in names:
            plane.create(name, contest.package, memory="64", timeout=str(TIMEOUT_S))
        contest.interleave({"ours": turn})
    series = Series("ours on the host", "ms", tuple(late))
    bounds = (
        "The timers all end in nearly the same moment: the last answers wait for the processor. The"
        " instances are removed when it is calm again."
    )
    return [
        Row(f"past T = {TIMEOUT_S} s, {pending} pending: p99", series, goal=below(50),
            bounds=bounds, figure=series.quantile(0.99)),
        Row("earliest answer past T (not negative)", series, figure=min(late),
            note="an event never ends before its time" if min(late) >= 0 else "too early"),
    ]  # fmt: skip
