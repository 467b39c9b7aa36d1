"""Draws the stages of an invoke. The length of a bar is the measured time of its stage."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from benchmarks.machine import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

COLOURS = {"client": "#f59e0b", "control plane": "#0284c7", "instance": "#16a34a"}
LEFT, WIDTH, ROW, TOP = 300, 560, 28, 84


@dataclass(frozen=True)
class Stage:
    """``lane`` says who works. Times are milliseconds. The picture shows ``median``."""

    lane: str
    what: str
    milliseconds: tuple[float, ...]
    median: float


def draw(kind: str, stages: Sequence[Stage], runs: int) -> None:
    """Write docs/en/timeline-<kind>.svg."""
    (ROOT / "docs" / "en" / f"timeline-{kind}.svg").write_text(picture(kind, stages, runs))


def picture(kind: str, stages: Sequence[Stage], runs: int) -> str:
    """An SVG document of the stages, one after the other."""
    # The clocks of several processes differ a little, so a stage can be below 0.
    lengths = [max(stage.median, 0.0) for stage in stages]
    total = sum(lengths)
    scale = WIDTH / total
    height = TOP + ROW * len(stages) + 20
    bars, at = [], 0.0
    for number, (stage, length) in enumerate(zip(stages, lengths, strict=True)):
        y = TOP + ROW * number
        x, width = LEFT + at * scale, max(length * scale, 1.5)
        label_x = x + width + 6
        anchor = "start" if label_x < LEFT + WIDTH - 30 else "end"
        bars.append(
            f'  <text x="{LEFT - 12}" y="{y + 16}" text-anchor="end">{escape(stage.what)}</text>\n'
            f'  <rect x="{x:.1f}" y="{y + 3}" width="{width:.1f}" height="{ROW - 8}" rx="2"'
            f' fill="{COLOURS[stage.lane]}"/>\n'
            f'  <text x="{label_x if anchor == "start" else x - 6:.1f}" y="{y + 16}"'
            f' text-anchor="{anchor}" font-size="12">{_duration(length)}</text>'
        )
        at += length
    legend = "\n".join(
        f'  <rect x="{LEFT + 150 * number}" y="46" width="14" height="14" rx="2" fill="{colour}"/>'
        f'<text x="{LEFT + 20 + 150 * number}" y="58">{lane}</text>'
        for number, (lane, colour) in enumerate(COLOURS.items())
    )
    title = f"A {kind} invoke, {_duration(total)}: medians of {runs} measured ones"
    body = "\n".join(bars)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 70} {height}"'
        ' font-family="sans-serif" font-size="13" fill="#0f172a">\n'
        f'  <rect width="{LEFT + WIDTH + 70}" height="{height}" fill="#ffffff"/>\n'
        f'  <text x="20" y="28" font-size="15" font-weight="bold">{title}</text>\n'
        f"{legend}\n{body}\n</svg>\n"
    )


def _duration(milliseconds: float) -> str:
    if milliseconds < 0.0005:
        return "less than 1 µs"
    if milliseconds < 1:
        return f"{milliseconds * 1000:.0f} µs"
    return f"{milliseconds:.2f} ms"
