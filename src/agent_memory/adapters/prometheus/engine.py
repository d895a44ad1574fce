"""The engine's own figures as metrics: every numeric field of its stats, read at the moment of the scrape."""

from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector


class EngineCollector(Collector):
    """`stats` returns a dataclass; a field named `..._total` only ever grows, any other goes up and down."""

    def __init__(self, stats: Callable[[], Any], registry: CollectorRegistry) -> None:
        self._stats = stats
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        stats = self._stats()
        for field in fields(stats):
            value = getattr(stats, field.name)
            if isinstance(value, int | float):
                yield _family(field.name, value)


def _family(name: str, value: float) -> Metric:
    words = name.replace("_", " ")
    if name.endswith("_total"):
        return CounterMetricFamily(f"agent_memory_engine_{name}", f"Engine: {words}", value=value)
    return GaugeMetricFamily(f"agent_memory_engine_{name}", f"Engine: {words}", value=value)
