"""A `CondensingStore` over the same dictionary as the `MemoryStore`."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from agent_memory.adapters.in_memory.memories import InMemoryMemoryStore, Kept
from agent_memory.domain.semantic.memory import Embedding, Memory, MemoryId, Scope
from agent_memory.domain.semantic.retention import brought_back, is_faded, is_lasting


class InMemoryCondensingStore:
    def __init__(self, store: InMemoryMemoryStore) -> None:
        self._kept = store.kept

    async def crowded(self, more_than: int, now: datetime) -> list[Scope]:
        sizes = Counter(memory.scope for memory in self._lasting(now))
        return [scope for scope, size in sizes.items() if size > more_than]

    async def oldest(self, scope: Scope, limit: int, now: datetime) -> list[Memory]:
        held = [memory for memory in self._lasting(now) if memory.scope == scope]
        return sorted(held, key=lambda memory: (memory.moment, memory.id))[:limit]

    async def stand_for(
        self, sources: Sequence[MemoryId], successor: Memory, embedding: Embedding, now: datetime
    ) -> bool:
        found = [self._kept[id_] for id_ in sources if id_ in self._kept]
        held = [k for k in found if k.memory.scope == successor.scope and k.memory.superseded_at is None]
        if len(held) != len(sources):
            return False
        for kept in held:
            self._put(replace(kept.memory, superseded_by=successor.id, superseded_at=now))
        self._kept[successor.id] = Kept(successor, embedding)
        return True

    async def fade(self, after: timedelta, now: datetime) -> int:
        faded = [memory for memory in self._lasting(now) if is_faded(memory, after, now)]
        for memory in faded:
            self._put(replace(memory, superseded_at=now))
        return len(faded)

    async def restore(self, memory_id: MemoryId, agent_id: str) -> int:
        sources = [kept for kept in self._kept.values() if kept.memory.superseded_by == memory_id]
        sources = [kept for kept in sources if kept.memory.scope.agent_id == agent_id]
        for kept in sources:
            self._put(replace(kept.memory, superseded_by=None, superseded_at=None))
        if sources:
            self._kept.pop(memory_id, None)
            return len(sources)
        return self._bring_back(memory_id, agent_id)

    def _bring_back(self, memory_id: MemoryId, agent_id: str) -> int:
        kept = self._kept.get(memory_id)
        if kept is None or kept.memory.scope.agent_id != agent_id:
            return 0
        if kept.memory.superseded_at is None or kept.memory.superseded_by is not None:
            return 0
        self._put(brought_back(kept.memory))
        return 1

    def _lasting(self, now: datetime) -> list[Memory]:
        return [kept.memory for kept in self._kept.values() if is_lasting(kept.memory, now)]

    def _put(self, memory: Memory) -> None:
        self._kept[memory.id] = Kept(memory, self._kept[memory.id].embedding)
