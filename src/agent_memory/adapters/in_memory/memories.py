"""A `MemoryStore` in a dictionary: exact, complete, gone with the process."""

import math
from array import array
from collections import Counter
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from operator import mul
from typing import Protocol

import numpy as np

from agent_memory.domain.semantic.keeping import Versions, check_version
from agent_memory.domain.semantic.memory import Embedding, Memory, MemoryId, Scope
from agent_memory.domain.semantic.recall import Candidate, Search, Shortlist
from agent_memory.domain.semantic.shortlisting import shortlisted
from agent_memory.domain.semantic.words import memory_words

Place = tuple[str, MemoryId]
"""A tenant, and an id of its own."""


class Watcher(Protocol):
    """Hears what is gone, and whether it has made room for what comes under its id."""

    def __call__(self, place: Place, *, made_room: bool) -> None: ...


@dataclass(frozen=True)
class Kept:
    """A memory with all that searching needs of it. It is ours alone: what leaves the store is `apart` from it."""

    memory: Memory
    embedding: Embedding

    def __post_init__(self) -> None:
        object.__setattr__(self, "memory", apart(self.memory))

    @cached_property
    def words(self) -> Counter[str]:
        return memory_words(self.memory)

    def candidate(self, position: int, search: Search) -> Candidate:
        return Candidate.of(
            self.memory,
            position=position,
            similarity=similarity(self.embedding, search.embedding),
            counts={word: self.words[word] for word in search.words if word in self.words},
            length=self.words.total(),
            eligible=search.selection.admits(self.memory),
            compared=self.embedding.is_comparable(search.embedding),
        )._replace(whole=lambda: apart(self.memory))


class InMemoryMemoryStore:
    def __init__(self) -> None:
        self.kept: dict[Place, Kept] = {}
        self.former: dict[Place, list[Memory]] = {}
        self.told: dict[Place, MemoryId] = {}  # what has reinforced which memory
        self.watchers: list[Watcher] = []

    async def add(self, memory: Memory, embedding: Embedding, now: datetime | None = None) -> bool:
        [new] = self.add_all([(memory, embedding)], now)
        return new

    def add_all(self, entries: Sequence[tuple[Memory, Embedding]], now: datetime | None) -> list[bool]:
        """As `MemoryArchive.add_many`."""
        if now is not None:
            self.make_room([memory for memory, _ in entries], now)
        new = []
        for memory, embedding in entries:
            new.append(place_of(memory) not in self.kept)
            self.kept.setdefault(place_of(memory), Kept(memory, embedding))
        return new

    def make_room(self, memories: Sequence[Memory], now: datetime) -> None:
        for memory in memories:
            known = self.kept.get(place_of(memory))
            if known is not None and memory.takes_place_of(known.memory, now):
                self.drop(place_of(memory), made_room=True)

    async def shortlist(self, search: Search) -> Shortlist:
        rows = sorted(
            (row for row in self.kept.values() if search.admits(row.memory)),
            key=lambda row: (row.memory.moment, row.memory.id),
        )
        return shortlisted([row.candidate(position, search) for position, row in enumerate(rows)], search)

    async def remove(
        self,
        memory_id: MemoryId,
        agent_id: str,
        user_id: str | None = None,
        *,
        tenant: str,
        version: Versions | None = None,
    ) -> bool:
        memory = self.of(memory_id, agent_id, user_id, tenant=tenant)
        if memory is None:
            return False
        check_version(memory_id, memory.version, version)
        self.forget([memory])
        return True

    def of(self, memory_id: MemoryId, agent_id: str, user_id: str | None, *, tenant: str) -> Memory | None:
        """The memory, if it is this agent's (and this user's, if given)."""
        kept = self.kept.get((tenant, memory_id))
        if kept is None or kept.memory.scope.agent_id != agent_id:
            return None
        return apart(kept.memory) if user_id in {None, kept.memory.scope.user_id} else None

    def forget(self, memories: Sequence[Memory]) -> None:
        """And what was condensed of them, and of that; its other sources are superseded as it was itself: by nothing,
        as a rule, so that they hold again.
        """
        gone = {place_of(memory): memory for memory in memories}
        for place in gone:
            self.drop(place)
        sought = {(memory.scope, memory.superseded_by) for memory in memories}
        while sought:
            dissolved = [memory for scope, name in sought if name and (memory := self._dissolved(scope, name, gone))]
            sought = {(memory.scope, memory.superseded_by) for memory in dissolved}

    def _dissolved(self, scope: Scope, name: MemoryId, gone: dict[Place, Memory]) -> Memory | None:
        place = scope.tenant, name
        memory = self.kept[place].memory if place in self.kept else gone.pop(place, None)
        if memory is None or memory.scope != scope or not memory.is_summary:
            return None
        if place in self.kept:
            self.drop(place)
        by, at = memory.superseded_by, memory.superseded_at
        for source, row in self.kept.items():
            if row.memory.superseded_by == name and row.memory.scope == scope:
                self.kept[source] = Kept(replace(row.memory, superseded_by=by, superseded_at=at), row.embedding)
        return memory

    def drop(self, place: Place, *, made_room: bool = False) -> None:
        """The memory, what it said before, who told it again, and what its watchers have of it. It has made room for
        what comes under its id, or is gone.
        """
        del self.kept[place]
        self.former.pop(place, None)
        self.told = {told: known for told, known in self.told.items() if (told[0], known) != place}
        for watcher in self.watchers:
            watcher(place, made_room=made_room)

    async def count(self, scope: Scope, now: datetime | None = None) -> int:
        kept = [row.memory for row in self.kept.values() if row.memory.scope == scope]
        return len(kept) if now is None else sum(memory.holds(now) for memory in kept)


def apart(memory: Memory) -> Memory:
    """The same, with metadata that nobody else can change."""
    return replace(memory, metadata=deepcopy(memory.metadata))


def place_of(memory: Memory) -> Place:
    return memory.scope.tenant, memory.id


def similarity(one: Embedding, other: Embedding) -> float:
    return _dot(one.vector, other.vector) if one.is_comparable(other) else 0.0


def similarities(some: Sequence[Embedding], other: Embedding) -> list[float]:
    """As `similarity`, of many in single precision: a batch compares a hundred thousand pairs."""
    none = np.zeros(other.dimension, dtype=np.float32)
    vectors = [np.frombuffer(one.vector, np.float32) if one.is_comparable(other) else none for one in some]
    cosines: list[float] = (np.array(vectors) @ np.frombuffer(other.vector, np.float32)).tolist() if some else []
    return cosines


def _dot(one: "array[float]", other: "array[float]") -> float:
    return math.fsum(map(mul, one, other))
