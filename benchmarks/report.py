"""Writes the results, as a page for people and as data for programs."""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from benchmarks.rows import Row

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.rows import Goal, Series

#: The rows of each measure by its title, or the reason why it has none.
Results = Mapping[str, Sequence[Row] | str]

HEAD = """# Results

Written by `scripts/bench`; do not edit. One run on one machine, all contestants in turns, so the
ratios mean more than the figures: the cores are shared by load generator, engine, functions and
control plane alike. Medians, in brackets the lowest and the highest round. Ratios are ours /
theirs, taken round by round. `docs/en/performance.md` explains what is measured and how.
"""
COLUMNS = (
    "| | ours | figure | against | figure | ratio | to reach | |",
    "|---|---|---|---|---|---|---|---|",
)


def page(facts: Mapping[str, str], results: Results, how: str) -> str:
    """The text of RESULTS.md: the machine, a table for each measure, and why goals were missed."""
    parts = [HEAD, how, "", "| | |", "|---|---|"]
    parts += [f"| {name} | {value} |" for name, value in facts.items()]
    for title, rows in results.items():
        parts += ["", f"## {title}", ""]
        if isinstance(rows, str):
            parts.append(f"Not measured: {rows}")
            continue
        parts += [*COLUMNS, *(_line(row) for row in rows)]
        remarks = sorted({f"* {row.ours.name}, {row.what}: {row.note}" for row in rows if row.note})
        parts += ["", *remarks] if remarks else []
    return "\n".join(parts) + "\n" + _missed(results)


def _line(row: Row) -> str:
    peer = (row.peer.name, _figure(row.peer)) if row.peer else ("", "")
    ratio = f"{_short(statistics.median(row.ratios))} x{_spread(row.ratios)}" if row.ratios else ""
    verdict = {None: "", True: "reached", False: "**missed**"}[row.reached]
    goal = _goal(row.goal, row.ours.unit) if row.goal else ""
    figure = _figure(row.ours, row.figure)
    cells = (row.what, row.ours.name, figure, *peer, ratio, goal, verdict)
    return f"| {' | '.join(cells)} |"


def _missed(results: Results) -> str:
    missed: dict[str, list[str]] = {}
    for title, rows in results.items():
        for row in () if isinstance(rows, str) else rows:
            if row.reached is False:
                against = f" against {row.peer.name}" if row.peer else ""
                missed.setdefault(row.bounds or "not looked into", []).append(
                    f"{title}, {row.what}, {row.ours.name}{against}"
                )
    if not missed:
        return ""
    lines = ["", "## What bounds the figures that miss their goal", ""]
    for bounds, what in missed.items():
        lines.append(f"* {'; '.join(what)}. {bounds}")
    return "\n".join(lines) + "\n"


def _goal(goal: Goal, unit: str) -> str:
    sign = ">=" if goal.at_least else "<="
    return f"{sign} {goal.bound:g} {unit if goal.of_value else 'x'}".rstrip()


def _figure(series: Series, figure: float | None = None) -> str:
    value = series.median if figure is None else figure
    return f"{_short(value)} {series.unit}".rstrip() + _spread(series.values)


def _spread(values: Sequence[float]) -> str:
    return f" ({_short(min(values))}-{_short(max(values))})" if len(values) > 1 else ""


def _short(value: float) -> str:
    """The value with three significant digits. Thousands have a comma."""
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}" if size >= 0.1 else f"{value:.3f}"


def summary(rows: Sequence[Row]) -> str:
    """The same rows for a terminal."""
    lines = []
    for row in rows:
        against = f"  against {row.peer.name} {_figure(row.peer)}" if row.peer else ""
        ratio = f"  = {_short(statistics.median(row.ratios))} x" if row.ratios else ""
        goal = f"  (to reach: {_goal(row.goal, row.ours.unit)})" if row.goal else ""
        mark = {None: " ", True: "+", False: "-"}[row.reached]
        figure = _figure(row.ours, row.figure)
        lines.append(f"  {mark} {row.what}: {row.ours.name} {figure}{against}{ratio}{goal}")
    return "\n".join(lines)


def write_raw(path: Path, facts: Mapping[str, str], results: Results) -> None:
    """Every value of every round, as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = {
        title: rows
        if isinstance(rows, str)
        else [
            {**dataclasses.asdict(row), "ratios": row.ratios, "reached": row.reached}
            for row in rows
        ]
        for title, rows in results.items()
    }
    path.write_text(json.dumps({"machine": dict(facts), "measures": data}, indent=1))
