"""The scopes that are kept ready to be searched as metrics: how much they take, and how often they serve."""

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge

_OUTCOMES = {
    "unchanged": "it was there, and nobody had written it",
    "kept": "it was there, and the database said that it is as it was",
    "changed": "it was there, and what had changed was brought",
    "read": "all of it was brought",
    "too_large": "it has too many memories to be kept",
}


class SearchCacheMetrics:
    """`stats` tells what is now, and what was counted since it was last asked."""

    def __init__(self, stats: Callable[[], Mapping[str, int]], registry: CollectorRegistry) -> None:
        self._stats = stats
        self._gauges = {
            name: Gauge(f"agent_memory_search_cache_{name}", told, registry=registry, multiprocess_mode="livesum")
            for name, told in (("scopes", "Scopes kept ready"), ("bytes", "Memory they take, about"))
        }
        told = "; ".join(f"{name}: {what}" for name, what in _OUTCOMES.items())
        self._checks = Counter(
            "agent_memory_search_cache_checks", f"Scopes that were asked for, {told}", ["found"], registry=registry
        )
        for outcome in _OUTCOMES:
            self._checks.labels(outcome)

    async def refresh(self) -> None:
        stats = self._stats()
        for name, gauge in self._gauges.items():
            gauge.set(stats[name])
        for outcome in _OUTCOMES:
            self._checks.labels(outcome).inc(stats.get(outcome, 0))
