"""A `CondensingStore` over the same dictionary as the `MemoryStore`."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from agent_memory.adapters.in_memory.memories import InMemoryMemoryStore, Kept
from agent_memory.domain.semantic.memory import Embedding, Memory, MemoryId, MemoryType, Scope


class InMemoryCondensingStore:
    def __init__(self, store: InMemoryMemoryStore) -> None:
        self._kept = store.kept

    async def crowded(self, more_than: int, now: datetime) -> list[Scope]:
        sizes = Counter(memory.scope for memory in self._episodic(now))
        return [scope for scope, size in sizes.items() if size > more_than]

    async def oldest(self, scope: Scope, limit: int, now: datetime) -> list[Memory]:
        held = [memory for memory in self._episodic(now) if memory.scope == scope]
        return sorted(held, key=lambda memory: (memory.moment, memory.id))[:limit]

    async def stand_for(
        self, sources: Sequence[MemoryId], successor: Memory, embedding: Embedding, now: datetime
    ) -> bool:
        found = [self._kept[id_] for id_ in sources if id_ in self._kept]
        held = [k for k in found if k.memory.scope == successor.scope and k.memory.superseded_at is None]
        if len(held) != len(sources):
            return False
        for kept in held:
            marked = replace(kept.memory, superseded_by=successor.id, superseded_at=now)
            self._kept[marked.id] = Kept(marked, kept.embedding)
        self._kept[successor.id] = Kept(successor, embedding)
        return True

    async def restore(self, memory_id: MemoryId, agent_id: str) -> int:
        sources = [kept for kept in self._kept.values() if kept.memory.superseded_by == memory_id]
        sources = [kept for kept in sources if kept.memory.scope.agent_id == agent_id]
        for kept in sources:
            again = replace(kept.memory, superseded_by=None, superseded_at=None)
            self._kept[again.id] = Kept(again, kept.embedding)
        if sources:
            self._kept.pop(memory_id, None)
        return len(sources)

    def _episodic(self, now: datetime) -> list[Memory]:
        memories = (kept.memory for kept in self._kept.values())
        return [m for m in memories if m.memory_type is MemoryType.EPISODIC and m.holds(now)]
