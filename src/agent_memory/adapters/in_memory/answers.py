"""An `AnswerBook` for one process."""

import time
from collections.abc import Callable
from datetime import timedelta

from agent_memory.domain.answers import Claim


class InMemoryAnswerBook:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._claims: dict[str, tuple[float, Claim]] = {}

    async def claim(self, key: str, request: str) -> Claim:
        _, claim = self._claims.setdefault(key, (self._clock(), Claim(request)))
        return claim

    async def settle(self, key: str, answer: str) -> str:
        claimed_at, claim = self._claims[key]
        if claim.answer is None:
            self._claims[key] = claimed_at, Claim(claim.request, answer)
        return claim.answer or answer

    async def release(self, key: str) -> None:
        if key in self._claims and self._claims[key][1].answer is None:
            del self._claims[key]

    async def purge(self, older_than: timedelta) -> int:
        border = self._clock() - older_than.total_seconds()
        old = [key for key, (claimed_at, _) in self._claims.items() if claimed_at <= border]
        for key in old:
            del self._claims[key]
        return len(old)
