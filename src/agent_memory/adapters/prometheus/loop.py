"""The event loop as a metric: how many tasks there are, so that one that never ends is seen."""

import asyncio
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector


class LoopCollector(Collector):
    """Counts at the moment of the scrape, whose own tasks are among them; elsewhere than in a loop there are none."""

    def __init__(self, registry: CollectorRegistry) -> None:
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        try:
            tasks = len(asyncio.all_tasks())
        except RuntimeError:
            tasks = 0
        yield GaugeMetricFamily("agent_memory_event_loop_tasks", "Tasks of the event loop", value=tasks)
