"""A `RateLimiter` for one process: the moments of the calls that passed, by key."""

import time
from collections import deque
from collections.abc import Callable

from agent_memory.domain.limits import Admission, Limit


class InMemoryRateLimiter:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._passed: dict[str, deque[float]] = {}

    async def admit(self, key: str, limit: Limit) -> Admission:
        now, window = self._clock(), limit.window.total_seconds()
        passed = self._passed.setdefault(key, deque())
        while passed and passed[0] <= now - window:
            passed.popleft()
        admitted = len(passed) < limit.calls
        if admitted:
            passed.append(now)
        remaining = limit.calls - len(passed)
        return Admission(admitted, remaining, 0.0 if remaining else passed[0] + window - now)

    async def purge(self, limit: Limit) -> int:
        border = self._clock() - limit.window.total_seconds()
        idle = [key for key, passed in self._passed.items() if not passed or passed[-1] <= border]
        for key in idle:
            del self._passed[key]
        return len(idle)
