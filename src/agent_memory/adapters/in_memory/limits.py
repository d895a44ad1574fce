"""A `RateLimiter` for one process: the moments of the calls that passed, by key."""

import time
from collections import deque
from collections.abc import Callable, Sequence

from agent_memory.domain.limits import Admission, Limit


class InMemoryRateLimiter:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._passed: dict[str, deque[float]] = {}

    async def admit(self, keys: Sequence[str], limit: Limit) -> list[Admission]:
        now, window = self._clock(), limit.window.total_seconds()
        calls = [self._recent(key, now - window) for key in keys]
        full = [len(passed) >= limit.calls for passed in calls]
        if not any(full):
            for passed in calls:
                passed.append(now)
        return [
            Admission(not refused, limit.calls - len(passed), passed[0] + window - now if passed else 0.0)
            for refused, passed in zip(full, calls, strict=True)
        ]

    def _recent(self, key: str, border: float) -> deque[float]:
        passed = self._passed.setdefault(key, deque())
        while passed and passed[0] <= border:
            passed.popleft()
        return passed

    async def purge(self, limit: Limit) -> int:
        border = self._clock() - limit.window.total_seconds()
        idle = [key for key, passed in self._passed.items() if not passed or passed[-1] <= border]
        for key in idle:
            del self._passed[key]
        return len(idle)
