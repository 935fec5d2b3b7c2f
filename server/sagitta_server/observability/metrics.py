"""Metrics of this process, in the words of Prometheus: what callers wait for, and how busy the warehouses are.

A call is counted when it ends, with everything that it streamed; a statement when its connection is free again. How
busy a warehouse is is read when somebody looks, and costs a query nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, GCCollector, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from sagitta_server.cache import ResultCache
    from sagitta_server.execution import Source

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
"""Seconds: from a plan in memory to the longest extraction."""

PROCESS = CollectorRegistry()
"""What is measured once in a process, however many engines it holds."""
ProcessCollector(registry=PROCESS)
PlatformCollector(registry=PROCESS)
GCCollector(registry=PROCESS)

CALLS = Histogram(
    "sagitta_call_seconds", "Calls by surface, method and code, until their last byte.", ("surface", "method", "code"),
    buckets=BUCKETS, registry=PROCESS,
)  # fmt: skip
STATEMENTS = Histogram(
    "sagitta_statement_seconds", "Statements by source and outcome, with their wait and their rows.",
    ("source", "outcome"), buckets=BUCKETS, registry=PROCESS,
)  # fmt: skip
SUPERSET_CALLS = Histogram(
    "sagitta_superset_call_seconds", "Calls of Superset by host and status (`none` without an answer).",
    ("host", "status"), buckets=BUCKETS, registry=PROCESS,
)  # fmt: skip


class EngineCollector(Collector):
    """Reads how an engine is when somebody looks."""

    def __init__(self, sources: Mapping[str, Source], cache: ResultCache, ready: Callable[[], bool]) -> None:
        self._sources = sources
        self._cache = cache
        self._ready = ready

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("sagitta_ready", "1 while new calls are welcome.", float(self._ready()))
        slots = GaugeMetricFamily("sagitta_source_slots", "Statements that may run at once.", labels=("source",))
        running = GaugeMetricFamily("sagitta_source_running", "Statements that run now.", labels=("source",))
        waiting = GaugeMetricFamily("sagitta_source_waiting", "Statements that wait for a slot.", labels=("source",))
        for name, source in self._sources.items():
            load = source.load
            slots.add_metric((name,), load.slots)
            running.add_metric((name,), load.running)
            waiting.add_metric((name,), load.waiting)
        yield from (slots, running, waiting)
        if self._cache.backend != "noop":
            yield from self._cache_metrics()

    def _cache_metrics(self) -> Iterator[Metric]:
        stats = self._cache.stats()
        yield GaugeMetricFamily("sagitta_cache_entries", "Results that are kept.", stats.entry_count)
        yield GaugeMetricFamily("sagitta_cache_hit_rate", "Part of the lookups that found a result.", stats.hit_rate)


def engine_registry(*collectors: Collector) -> CollectorRegistry:
    """The metrics of an engine and of the process that it runs in."""
    registry = CollectorRegistry()
    registry.register(PROCESS)  # it collects like a collector
    for collector in collectors:
        registry.register(collector)
    return registry
