"""A `MemoryArchive` over the same dictionary as the `MemoryStore`."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from agent_memory.adapters.in_memory.memories import InMemoryMemoryStore, Kept, apart, place_of, similarities
from agent_memory.domain.semantic.checks import Json
from agent_memory.domain.semantic.duplicates import (
    MOST_REPORTED,
    NEAR,
    NEARLY,
    Likeness,
    Remembered,
    told_again,
    without,
)
from agent_memory.domain.semantic.filters import different
from agent_memory.domain.semantic.keeping import Inventory, Mark, Receipt
from agent_memory.domain.semantic.memory import Embedding, Memory, MemoryId, Scope
from agent_memory.domain.semantic.selection import EVERYTHING, Selection
from agent_memory.ports.semantic import Spool


class InMemoryMemoryArchive:
    def __init__(self, store: InMemoryMemoryStore) -> None:
        self._store = store
        self._kept = store.kept
        self._former = store.former

    async def add_many(self, entries: Sequence[tuple[Memory, Embedding]], now: datetime | None = None) -> list[bool]:
        return self._store.add_all(entries, now)

    async def agree(self, memories: Sequence[Memory], *, tenant: str) -> list[bool]:
        kept = [self._kept.get((tenant, memory.id)) for memory in memories]
        return [
            known is not None and (known.memory.scope, known.memory.content) == (memory.scope, memory.content)
            for known, memory in zip(kept, memories, strict=True)
        ]

    async def tell_many(
        self, entries: Sequence[tuple[Memory, Embedding]], now: datetime
    ) -> list[list[Likeness] | None]:
        self._store.make_room([memory for memory, _ in entries], now)
        told: list[list[Likeness] | None] = []
        for memory, embedding in entries:
            near = self._near(memory, embedding, now)[:MOST_REPORTED]
            [new] = await self.add_many([(memory, embedding)])
            told.append(near if new else None)
        return told

    async def alike(self, memory: Memory, embedding: Embedding, now: datetime) -> list[Likeness]:
        return self._near(memory, embedding, now)[:MOST_REPORTED]

    async def reinforce(self, memory: Memory, embedding: Embedding, now: datetime) -> Remembered:
        place = place_of(memory)
        while told_before := self._kept.get((place[0], self._store.told.get(place, memory.id))):
            if not memory.takes_place_of(told_before.memory, now):
                return Remembered(apart(told_before.memory), added=False)
            self._store.drop(place_of(told_before.memory), made_room=True)
        near = self._near(memory, embedding, now)
        found = told_again(memory, near)
        if found is None:
            await self._store.add(memory, embedding)
            return Remembered(memory, added=True, near=tuple(near[:MOST_REPORTED]))
        known, again = found
        await self.replace(again, None, known.memory.version)
        self._store.told[place] = again.id
        return Remembered(again, added=False, near=without(known, near))

    def _near(self, memory: Memory, embedding: Embedding, now: datetime) -> list[Likeness]:
        others = [other for other in self._held(memory.scope, EVERYTHING, now) if other.id != memory.id]
        cosines = similarities([self._kept[place_of(other)].embedding for other in others], embedding)
        # 1 is for the very same words.
        likenesses = [
            Likeness(other, 1.0 if other.content == memory.content else min(cosine, NEARLY))
            for other, cosine in zip(others, cosines, strict=True)
        ]
        near = [Likeness(apart(each.memory), each.similarity) for each in likenesses if each.similarity >= NEAR]
        return sorted(near, key=lambda like: (-like.similarity, like.memory.created_at, like.memory.id))

    async def get(
        self, memory_id: MemoryId, agent_id: str, user_id: str | None = None, *, tenant: str
    ) -> Memory | None:
        return self._store.of(memory_id, agent_id, user_id, tenant=tenant)

    async def page(
        self,
        scope: Scope,
        selection: Selection,
        now: datetime,
        after: Mark | None,
        limit: int,
        *,
        superseded: bool = False,
    ) -> list[Memory]:
        shown = self._known if superseded else self._held
        held = sorted(shown(scope, selection, now), key=_place, reverse=True)
        follows = [memory for memory in held if after is None or _place(memory) < (after.moment, after.id)]
        return [apart(memory) for memory in follows[:limit]]

    async def replace(
        self, memory: Memory, embedding: Embedding | None, expected: int, read: Memory | None = None
    ) -> bool:
        place = place_of(memory)
        present = self._kept.get(place)
        if present is None or (present.memory.scope, present.memory.version) != (memory.scope, expected):
            return False
        former = present.memory
        if (former.superseded_at, former.superseded_by) != (memory.superseded_at, memory.superseded_by):
            return False
        if not _ends_as(read, former):
            return False
        left = replace(former, superseded_by=None, superseded_at=None, condensing=None)
        self._former.setdefault(place, []).insert(0, left)
        # Since when it is, and what condensing knows of it, is not the version's to say.
        marked = replace(memory, created_at=former.created_at, condensing=former.condensing)
        self._kept[place] = Kept(marked, embedding or present.embedding)
        return True

    async def put_off(
        self, memory_id: MemoryId, scope: Scope, version: int, expires_at: datetime, now: datetime
    ) -> bool:
        present = self._kept.get((scope.tenant, memory_id))
        if present is None or (present.memory.scope, present.memory.version) != (scope, version):
            return False
        end = present.memory.expires_at
        if not present.memory.holds(now) or end is None or end >= expires_at:
            return False
        self._kept[scope.tenant, memory_id] = Kept(replace(present.memory, expires_at=expires_at), present.embedding)
        return True

    async def history(self, memory_id: MemoryId, agent_id: str, *, tenant: str) -> list[Memory]:
        present = await self.get(memory_id, agent_id, tenant=tenant)
        return [] if present is None else [present, *map(apart, self._former.get((tenant, memory_id), []))]

    async def supersede(
        self,
        memory_id: MemoryId,
        successor: Memory,
        embedding: Embedding,
        expected: int | None = None,
        read: Memory | None = None,
    ) -> bool:
        place = successor.scope.tenant, memory_id
        present = self._kept.get(place)
        if present is None or present.memory.scope != successor.scope or present.memory.superseded_at is not None:
            return False
        if expected not in {None, present.memory.version} or place_of(successor) in self._kept:
            return False
        if not _ends_as(read, present.memory):
            return False
        since = max(successor.begins, present.memory.begins)
        marked = replace(present.memory, superseded_by=successor.id, superseded_at=since)
        self._kept[place] = Kept(marked, present.embedding)
        self._kept[place_of(successor)] = Kept(successor, embedding)
        return True

    async def count_selected(self, scope: Scope, selection: Selection, now: datetime) -> int:
        return len(self._known(scope, selection, now))

    async def remove_selected(self, scope: Scope, selection: Selection, now: datetime) -> int:
        known = self._known(scope, selection, now)
        self._store.forget(known)
        return len(known)

    async def erase(self, user_id: str, agent_id: str | None, now: datetime, *, tenant: str) -> Receipt:
        doomed = [
            memory
            for memory in self._memories()
            if memory.scope.tenant == tenant
            and memory.scope.user_id == user_id
            and agent_id in {None, memory.scope.agent_id}
        ]
        versions = sum(len(self._former.get(place_of(memory), [])) for memory in doomed)
        return Receipt(user_id, agent_id, self._remove(doomed), versions, now)

    async def values(self, scope: Scope, selection: Selection, path: tuple[str, ...], now: datetime) -> list[Json]:
        return different(path, (memory.metadata for memory in self._held(scope, selection, now)))

    async def inventory(self, scope: Scope, now: datetime) -> Inventory:
        everything = [memory for memory in self._memories() if memory.scope == scope]
        held = [memory for memory in everything if memory.holds(now)]
        superseded = sum(memory.superseded_at is not None for memory in everything)
        return Inventory(
            memories=len(held),
            by_type=Counter(memory.memory_type for memory in held),
            by_tag=Counter(tag for memory in held for tag in memory.tags),
            characters=sum(len(memory.content) for memory in held),
            oldest=min((memory.moment for memory in held), default=None),
            newest=max((memory.moment for memory in held), default=None),
            superseded=superseded,
            expired=len(everything) - len(held) - superseded,
        )

    async def purge(self, now: datetime) -> int:
        return self._remove([m for m in self._memories() if m.expires_at is not None and m.expires_at <= now])

    async def spool(self, scope: Scope, spool: Spool) -> None:
        memories = sorted((memory for memory in self._memories() if memory.scope == scope), key=_place)
        spool.clear()
        spool.add([(apart(memory), self._kept[place_of(memory)].embedding) for memory in memories])

    def _memories(self) -> Iterator[Memory]:
        return (kept.memory for kept in self._kept.values())

    def _held(self, scope: Scope, selection: Selection, now: datetime) -> list[Memory]:
        in_scope = (memory for memory in self._memories() if memory.scope == scope)
        return [memory for memory in in_scope if memory.holds(now) and selection.admits(memory)]

    def _known(self, scope: Scope, selection: Selection, now: datetime) -> list[Memory]:
        """What holds, and what does not because it is superseded."""
        in_scope = (memory for memory in self._memories() if memory.scope == scope)
        known = (memory for memory in in_scope if memory.holds(now) or memory.superseded_at is not None)
        return [memory for memory in known if selection.admits(memory)]

    def _remove(self, memories: list[Memory]) -> int:
        for memory in memories:
            self._store.drop(place_of(memory))
        return len(memories)


def _place(memory: Memory) -> tuple[datetime, MemoryId]:
    return memory.moment, memory.id


def _ends_as(read: Memory | None, present: Memory) -> bool:
    return read is None or read.expires_at == present.expires_at
