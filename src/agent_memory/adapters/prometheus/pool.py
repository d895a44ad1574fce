"""The connection pool as metrics: how many connections there are, who waits for one, and for how long."""

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge

_COUNTED = {
    "requests_num": ("requests", "Connections asked for", 1.0),
    "requests_queued": ("requests_queued", "Requests that had to wait for a connection", 1.0),
    "requests_errors": ("requests_failed", "Requests that got no connection in time", 1.0),
    "requests_wait_ms": ("wait_seconds", "Time spent waiting for a connection", 0.001),
    "usage_ms": ("usage_seconds", "Time that connections were in use", 0.001),
    "connections_lost": ("connections_lost", "Connections found broken", 1.0),
    "connections_errors": ("connections_failed", "Attempts to connect that failed", 1.0),
}


class PoolMetrics:
    """`stats` tells what is now, and what was counted since it was last asked (`psycopg_pool`'s `pop_stats`)."""

    def __init__(self, stats: Callable[[], Mapping[str, int]], registry: CollectorRegistry) -> None:
        self._stats = stats
        self._connections = Gauge(
            "agent_memory_db_pool_connections",
            "Connections to the database",
            ["state"],
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._waiting = Gauge(
            "agent_memory_db_pool_waiting",
            "Requests that wait for a connection",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._counters = {
            key: Counter(f"agent_memory_db_pool_{name}", told, registry=registry)
            for key, (name, told, _) in _COUNTED.items()
        }

    async def refresh(self) -> None:
        stats = self._stats()
        idle = stats.get("pool_available", 0)
        self._connections.labels("idle").set(idle)
        self._connections.labels("in_use").set(stats.get("pool_size", 0) - idle)
        self._waiting.set(stats.get("requests_waiting", 0))
        for key, (_, _, unit) in _COUNTED.items():
            self._counters[key].inc(unit * stats.get(key, 0))
