"""An `AnswerBook` for one process."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

from agent_memory.adapters.in_memory.memories import InMemoryMemoryStore, Place
from agent_memory.domain.answers import Claim
from agent_memory.domain.semantic.memory import MemoryId, Scope


class InMemoryAnswerBook:
    """Of a store that is not ours nobody hears what is gone."""

    def __init__(self, store: InMemoryMemoryStore | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._claims: dict[str, tuple[float, Claim]] = {}
        self._scopes: dict[str, Scope] = {}
        self._repeated: set[str] = set()
        if store is not None:
            store.watchers.append(self._forget)

    async def claim(self, key: str, request: str, scope: Scope, ids: Sequence[MemoryId]) -> Claim:
        if key not in self._claims:
            self._scopes[key] = scope
            self._claims[key] = self._clock(), Claim(request, list(ids))
        elif self._claims[key][1].request == request:
            self._repeated.add(key)
        return self._claims[key][1]

    async def settle(self, key: str, answer: str, told: Sequence[MemoryId]) -> str:
        if key not in self._claims:  # erased or purged meanwhile
            return answer
        claimed_at, claim = self._claims[key]
        others = set(told).difference(claim.ids)
        stands = claim.answer or answer
        known = replace(claim, ids=[*claim.ids, *others], answer=None if claim.forgotten else stands)
        self._claims[key] = claimed_at, known
        for place in ((self._scopes[key].tenant, other) for other in others):
            if self._store is not None and place not in self._store.kept:
                self._forget(place, made_room=False)
        return stands

    async def release(self, key: str) -> None:
        _, claim = self._claims.get(key, (0.0, None))
        alone = key not in self._repeated
        if alone and claim is not None and claim.answer is None and not claim.forgotten:
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

    def _forget(self, place: Place, *, made_room: bool) -> None:
        for key, (claimed_at, claim) in self._claims.items():
            if made_room and claim.answer is None:  # it may be this request that keeps it again
                continue
            if self._scopes[key].tenant == place[0] and place[1] in claim.ids:
                self._claims[key] = claimed_at, replace(claim, answer=None, forgotten=True)

    def _drop(self, keys: list[str]) -> None:
        for key in keys:
            del self._claims[key]
            del self._scopes[key]
            self._repeated.discard(key)
