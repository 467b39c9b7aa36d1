"""Counts the figures for Prometheus as plain numbers. ``exposition`` makes metric families of
them."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from sandbox.feed.facts import InvocationEnded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sandbox.feed import Feed
    from sandbox.feed.facts import Fact
    from sandbox.pool.snapshot import InstanceSnapshot

#: Upper bounds of the histograms' buckets, seconds.
RUN_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 900)
INIT_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 65, 300)
WAIT_BUCKETS = (0.0001, 0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 300)

Labels = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Gauges:
    """Reads the present state for a scrape. The event loop calls it, so it must not block.

    ``instances`` is the pool's list; ``memory`` (reserved, budget) in bytes; ``records`` (pending,
    written, dropped) as the record writer counts them.
    """

    instances: Callable[[], Sequence[InstanceSnapshot]]
    memory: Callable[[], tuple[int, int]]
    records: Callable[[], tuple[int, int, int]]

    def read(self) -> Present:
        """Ask all three, now."""
        instances = Counter(
            (instance.namespace, instance.function, instance.state.replace(" ", "_"))
            for instance in self.instances()
        )
        return Present(instances, self.memory(), self.records())


@dataclass(frozen=True, slots=True)
class Present:
    """The values of the gauges. ``instances`` counts by namespace, function and state."""

    instances: Mapping[tuple[str, str, str], int]
    memory: tuple[int, int]
    records: tuple[int, int, int]


class Histogram:
    """Counts per bucket, not yet summed up."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def buckets(self) -> list[tuple[str, float]]:
        """The upper bounds as text, each with the number of values up to it. The last is
        ``+Inf``."""
        names = [*(str(float(bound)) for bound in self.bounds), "+Inf"]
        return list(zip(names, accumulate(self.counts), strict=True))


class Metrics:
    """The figures of one application.

    The feed hands over ended invocations in groups, so most invocations take no time to count.
    """

    def __init__(self, gauges: Gauges, feed: Feed) -> None:
        self._gauges = gauges
        self._feed = feed
        self.invocations: Counter[tuple[str, str, int]] = Counter()
        self.cold_starts: Counter[tuple[str, str]] = Counter()
        self.run: defaultdict[Labels, Histogram] = defaultdict(lambda: Histogram(RUN_BUCKETS))
        self.init: defaultdict[Labels, Histogram] = defaultdict(lambda: Histogram(INIT_BUCKETS))
        self.wait: defaultdict[Labels, Histogram] = defaultdict(lambda: Histogram(WAIT_BUCKETS))
        feed.observe(self._count, [InvocationEnded])

    def read(self) -> Present:
        """Update the figures and read the gauges. Call it on the event loop."""
        self._feed.gather()
        return self._gauges.read()

    def _count(self, facts: Sequence[Fact]) -> None:
        for fact in facts:
            if not isinstance(fact, InvocationEnded):
                continue
            record = fact.record
            labels = (record.namespace, record.function_name)
            times = record.timeline
            waited_s = times.get("dispatched", times["received"]) - times["received"]
            self.invocations[*labels, record.status_code] += 1
            self.run[labels].observe(record.duration_ms / 1000)
            self.wait[labels].observe(waited_s)
            if record.cold_start:
                self.cold_starts[labels] += 1
                self.init[labels].observe(record.init_ms / 1000)
