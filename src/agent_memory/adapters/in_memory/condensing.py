"""A `CondensingStore` over the same dictionary as the `MemoryStore`."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from agent_memory.adapters.in_memory.memories import InMemoryMemoryStore, Kept, apart, place_of
from agent_memory.domain.semantic.memory import Embedding, Memory, MemoryId, Scope
from agent_memory.domain.semantic.retention import MADE, brought_back, is_faded, is_lasting, is_told_anew, released


class InMemoryCondensingStore:
    def __init__(self, store: InMemoryMemoryStore) -> None:
        self._store = store
        self._kept = store.kept

    async def crowded(self, more_than: int, now: datetime) -> list[Scope]:
        sizes = Counter(memory.scope for memory in self._lasting(now))
        return [scope for scope, size in sizes.items() if size > more_than]

    async def oldest(self, scope: Scope, limit: int, now: datetime, *, more_than: int = 0) -> list[Memory]:
        held = [memory for memory in self._lasting(now) if memory.scope == scope]
        if len(held) <= more_than:
            return []
        return [apart(memory) for memory in sorted(held, key=lambda memory: (memory.moment, memory.id))[:limit]]

    async def stand_for(
        self, sources: Sequence[Memory], successor: Memory, embedding: Embedding, now: datetime
    ) -> bool:
        versions = {(successor.scope.tenant, source.id): source.version for source in sources}
        found = [self._kept[place] for place in versions if place in self._kept]
        as_read = [k for k in found if k.memory.version == versions[place_of(k.memory)]]
        held = [k for k in as_read if k.memory.scope == successor.scope and k.memory.superseded_at is None]
        if len(held) != len(sources):
            return False
        for kept in held:
            self._put(replace(kept.memory, superseded_by=successor.id, superseded_at=now))
        self._kept[place_of(successor)] = Kept(successor, embedding)
        return True

    async def fade(self, after: timedelta, now: datetime) -> int:
        faded = [memory for memory in self._lasting(now) if is_faded(memory, after, now)]
        for memory in faded:
            self._put(replace(memory, superseded_at=now))
        return len(faded)

    async def restore(
        self, memory_id: MemoryId, agent_id: str, user_id: str | None = None, *, tenant: str, now: datetime
    ) -> int:
        present = self._store.of(memory_id, agent_id, user_id, tenant=tenant)
        sources = [kept for kept in self._kept.values() if kept.memory.superseded_by == memory_id]
        sources = [kept for kept in sources if _is_of(kept.memory.scope, tenant, agent_id, user_id)]
        if present is not None and present.superseded_at is not None and not (present.is_summary and sources):
            return self._bring_back(present, now)
        for kept in sources:
            self._put(released(kept.memory) if len(sources) > 1 else brought_back(kept.memory))
        if present is not None and present.scope in {kept.memory.scope for kept in sources}:
            self._take_apart(present)
        return len(sources)

    async def standing(
        self, memory_id: MemoryId, agent_id: str, user_id: str | None = None, *, tenant: str, now: datetime
    ) -> MemoryId | None:
        memory = self._store.of(memory_id, agent_id, user_id, tenant=tenant)
        return None if memory is None else self._standing(memory, now)

    def _take_apart(self, memory: Memory) -> None:
        place = place_of(memory)
        if not is_told_anew(memory):
            self._store.drop(place)
            return
        self._put(replace(memory, condensing=None))
        former = self._store.former.pop(place, [])
        self._store.former[place] = [version for version in former if version.version > MADE]

    def _bring_back(self, memory: Memory, now: datetime) -> int:
        if self._standing(memory, now) is not None:
            return 0
        self._put(brought_back(memory))
        return 1

    def _standing(self, memory: Memory, now: datetime) -> MemoryId | None:
        passed = {memory.id}
        while memory.superseded_by is not None and memory.superseded_by not in passed:
            kept = self._kept.get((memory.scope.tenant, memory.superseded_by))
            if kept is None or kept.memory.scope != memory.scope:
                return None
            memory = kept.memory
            passed.add(memory.id)
            if memory.holds(now):
                return memory.id
        return None

    def _lasting(self, now: datetime) -> list[Memory]:
        return [kept.memory for kept in self._kept.values() if is_lasting(kept.memory, now)]

    def _put(self, memory: Memory) -> None:
        self._kept[place_of(memory)] = Kept(memory, self._kept[place_of(memory)].embedding)


def _is_of(scope: Scope, tenant: str, agent_id: str, user_id: str | None) -> bool:
    return (scope.tenant, scope.agent_id) == (tenant, agent_id) and user_id in {None, scope.user_id}
