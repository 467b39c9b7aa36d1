"""Figures for Prometheus: plain numbers on the hot path, metric families when scraped."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from prometheus_client.core import Metric

    from sandbox.invocation import Outcome

#: Upper bounds of the histograms' buckets, seconds.
RUN_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 900)
INIT_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 65, 300)
WAIT_BUCKETS = (0.0001, 0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 300)

Labels = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Gauges:
    """Where a scrape reads the present state. Called on the event loop, so must not block.

    ``instances`` is the pool's list; ``memory`` (reserved, budget) in bytes; ``records`` (pending,
    written, dropped) as the record writer counts them.
    """

    instances: Callable[[], Sequence[Mapping[str, Any]]]
    memory: Callable[[], tuple[int, int]]
    records: Callable[[], tuple[int, int, int]]

    def read(self) -> Present:
        instances = Counter(
            (str(view["namespace"]), str(view["function"]), str(view["state"]).replace(" ", "_"))
            for view in self.instances()
        )
        return Present(instances, self.memory(), self.records())


@dataclass(frozen=True, slots=True)
class Present:
    """What the gauges said. ``instances`` counts by namespace, function and state."""

    instances: Mapping[tuple[str, str, str], int]
    memory: tuple[int, int]
    records: tuple[int, int, int]


class _Histogram:
    """Counts per bucket, not yet summed up."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def buckets(self) -> list[tuple[str, float]]:
        names = [*(str(float(bound)) for bound in self.bounds), "+Inf"]
        return list(zip(names, accumulate(self.counts), strict=True))


class Metrics:
    """The figures of one application; nothing is shared with another.

    ``observe`` is called once per ended invocation, on the event loop, and costs about a
    microsecond. ``scrape`` writes the text in a thread: for a thousand functions it is megabytes.
    """

    content_type = CONTENT_TYPE_LATEST

    def __init__(self, gauges: Gauges) -> None:
        self._gauges = gauges
        self._invocations: Counter[tuple[str, str, int]] = Counter()
        self._cold_starts: Counter[tuple[str, str]] = Counter()
        self._run: defaultdict[Labels, _Histogram] = defaultdict(lambda: _Histogram(RUN_BUCKETS))
        self._init: defaultdict[Labels, _Histogram] = defaultdict(lambda: _Histogram(INIT_BUCKETS))
        self._wait: defaultdict[Labels, _Histogram] = defaultdict(lambda: _Histogram(WAIT_BUCKETS))

    def observe(
        self,
        outcome: Outcome,
        function: str,
        namespace: str = "default",
        *,
        queue_wait_s: float = 0.0,
    ) -> None:
        """Count one ended invocation. ``queue_wait_s``: from its acceptance to an instance."""
        labels = (namespace, function)
        self._invocations[namespace, function, outcome.status_code] += 1
        self._run[labels].observe(outcome.duration_ms / 1000)
        self._wait[labels].observe(queue_wait_s)
        if outcome.cold_start:
            self._cold_starts[labels] += 1
            self._init[labels].observe(outcome.init_ms / 1000)

    def render(self) -> bytes:
        """Everything in Prometheus' text format, written here and now."""
        return self._render(self._gauges.read())

    async def scrape(self) -> bytes:
        """The same, without holding up the event loop."""
        return await asyncio.to_thread(self._render, self._gauges.read())

    def _render(self, present: Present) -> bytes:
        registry = CollectorRegistry()
        registry.register(_Families(lambda: self._families(present)))
        ProcessCollector(registry=registry)
        return generate_latest(registry)

    def _families(self, present: Present) -> Iterable[Metric]:
        """May run in a thread: what ``observe`` adds to is copied (in one step) before a loop."""
        place = ["namespace", "function"]
        invocations = CounterMetricFamily(
            "scf_invocations",
            "Ended invocations by function status code",
            labels=[*place, "status"],
        )
        for (namespace, function, status), count in list(self._invocations.items()):
            invocations.add_metric([namespace, function, str(status)], count)
        yield invocations
        cold_starts = CounterMetricFamily("scf_cold_starts", "Cold starts", labels=place)
        for labels, count in list(self._cold_starts.items()):
            cold_starts.add_metric(labels, count)
        yield cold_starts
        yield _family("scf_invocation_duration_seconds", "Run time of invocations", self._run)
        yield _family("scf_init_duration_seconds", "Initialisation of instances", self._init)
        yield _family("scf_queue_wait_seconds", "Time events waited for an instance", self._wait)
        instances = GaugeMetricFamily(
            "scf_instances", "Instances by state", labels=[*place, "state"]
        )
        for state_labels, count in present.instances.items():
            instances.add_metric(state_labels, count)
        yield instances
        reserved, budget = present.memory
        yield _gauge("scf_memory_reserved_bytes", "Memory reserved by instances", reserved)
        yield _gauge("scf_memory_budget_bytes", "Memory instances may reserve", budget)
        pending, written, dropped = present.records
        yield _gauge("scf_records_pending", "Records and log chunks not stored yet", pending)
        yield _counter("scf_records_written", "Records and log chunks stored", written)
        yield _counter("scf_records_dropped", "Records and log chunks given up", dropped)


class _Families(Collector):
    """Families as a registry asks for them."""

    def __init__(self, families: Callable[[], Iterable[Metric]]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families()


def _family(name: str, text: str, histograms: Mapping[Labels, _Histogram]) -> Metric:
    family = HistogramMetricFamily(name, text, labels=["namespace", "function"])
    for labels, histogram in list(histograms.items()):
        family.add_metric(labels, histogram.buckets(), histogram.total)
    return family


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)
