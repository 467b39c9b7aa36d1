"""Writes the figures in Prometheus' text format. Import it late: its library takes 1 MB."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from prometheus_client.core import Metric

    from api.metrics.metrics import Histogram, Labels, Metrics, Present


async def scrape(metrics: Metrics) -> bytes:
    """All figures as text. A thread writes it: for a thousand functions it has megabytes."""
    return await asyncio.to_thread(render, metrics, metrics.read())


def render(metrics: Metrics, present: Present) -> bytes:
    """All counters, the gauges and the figures of the process, as Prometheus reads them."""
    registry = CollectorRegistry()
    registry.register(_Families(lambda: families(metrics, present)))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


def families(metrics: Metrics, present: Present) -> Iterable[Metric]:
    """It may run in a thread. It copies, in one step, each dictionary that ``observe`` changes."""
    place = ["namespace", "function"]
    invocations = CounterMetricFamily(
        "scf_invocations",
        "Ended invocations by function status code",
        labels=[*place, "status"],
    )
    for (namespace, function, status), count in list(metrics.invocations.items()):
        invocations.add_metric([namespace, function, str(status)], count)
    yield invocations
    cold_starts = CounterMetricFamily("scf_cold_starts", "Cold starts", labels=place)
    for labels, count in list(metrics.cold_starts.items()):
        cold_starts.add_metric(labels, count)
    yield cold_starts
    yield _family("scf_invocation_duration_seconds", "Run time of invocations", metrics.run)
    yield _family("scf_init_duration_seconds", "Initialisation of instances", metrics.init)
    yield _family("scf_queue_wait_seconds", "Time events waited for an instance", metrics.wait)
    instances = GaugeMetricFamily("scf_instances", "Instances by state", labels=[*place, "state"])
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
    """Gives the families to a registry."""

    def __init__(self, families: Callable[[], Iterable[Metric]]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families()


def _family(name: str, text: str, histograms: Mapping[Labels, Histogram]) -> Metric:
    family = HistogramMetricFamily(name, text, labels=["namespace", "function"])
    for labels, histogram in list(histograms.items()):
        family.add_metric(labels, histogram.buckets(), histogram.total)
    return family


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)
