"""The rows that a measure returns, each with its figures and its goal."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Series:
    """One figure of one contestant, once per round."""

    name: str
    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def quantile(self, share: float) -> float:
        """The value below which ``share`` (0 to 1) of all values lie. It is at most the highest
        value."""
        ordered = sorted(self.values)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@dataclass(frozen=True)
class Goal:
    """A bound on the ratio to the peer. With ``of_value``, a bound on our own figure."""

    bound: float
    at_least: bool
    of_value: bool = False

    def holds(self, figure: float) -> bool:
        return figure >= self.bound if self.at_least else figure <= self.bound


def at_least(bound: float) -> Goal:
    """The ratio ours / peer is to be at least this."""
    return Goal(bound, at_least=True)


def at_most(bound: float) -> Goal:
    """The ratio ours / peer is to be at most this."""
    return Goal(bound, at_least=False)


def below(bound: float) -> Goal:
    """Our own figure, in its own unit, is to be at most this."""
    return Goal(bound, at_least=False, of_value=True)


@dataclass(frozen=True)
class Row:
    """One line of the results.

    ``figure`` is compared with the goal. Without it, the median of our series is. ``bounds`` says
    what limits the figure and what would lift it. It is shown if the goal is missed.
    """

    what: str
    ours: Series
    peer: Series | None = None
    goal: Goal | None = None
    note: str = ""
    bounds: str = ""
    figure: float | None = None
    measure: str = field(default="", compare=False)

    @property
    def value(self) -> float:
        return self.ours.median if self.figure is None else self.figure

    @property
    def ratios(self) -> tuple[float, ...]:
        """Ours / peer. It is taken round by round if both were measured in the same rounds."""
        if self.peer is None:
            return ()
        if self.figure is None and len(self.ours.values) == len(self.peer.values):
            return tuple(a / b for a, b in zip(self.ours.values, self.peer.values, strict=True))
        return (self.value / self.peer.median,)

    @property
    def reached(self) -> bool | None:
        """None where there is no goal."""
        if self.goal is None:
            return None
        if self.goal.of_value:
            return self.goal.holds(self.value)
        return self.goal.holds(statistics.median(self.ratios))
