"""An `AnswerBook` for one process."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

from agent_memory.domain.answers import Claim
from agent_memory.domain.semantic.memory import MemoryId, Scope


class InMemoryAnswerBook:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._claims: dict[str, tuple[float, Claim]] = {}
        self._scopes: dict[str, Scope] = {}

    async def claim(self, key: str, request: str, scope: Scope, ids: Sequence[MemoryId]) -> Claim:
        self._scopes.setdefault(key, scope)
        _, claim = self._claims.setdefault(key, (self._clock(), Claim(request, list(ids))))
        return claim

    async def settle(self, key: str, answer: str) -> str:
        if key not in self._claims:  # erased or purged meanwhile
            return answer
        claimed_at, claim = self._claims[key]
        if claim.answer is None:
            self._claims[key] = claimed_at, replace(claim, answer=answer)
        return claim.answer or answer

    async def release(self, key: str) -> None:
        if key in self._claims and self._claims[key][1].answer is None:
            self._drop([key])

    async def erase(self, user_id: str, agent_id: str | None, *, tenant: str) -> None:
        whose = (tenant, user_id)
        theirs = {key: scope for key, scope in self._scopes.items() if (scope.tenant, scope.user_id) == whose}
        self._drop([key for key, scope in theirs.items() if agent_id in {None, scope.agent_id}])

    async def purge(self, older_than: timedelta) -> int:
        border = self._clock() - older_than.total_seconds()
        old = [key for key, (claimed_at, _) in self._claims.items() if claimed_at <= border]
        self._drop(old)
        return len(old)

    def _drop(self, keys: list[str]) -> None:
        for key in keys:
            del self._claims[key]
            del self._scopes[key]
