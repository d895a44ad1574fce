"""A `MemoryStore` in a dictionary: exact, complete, gone with the process."""

import math
from array import array
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from operator import mul

from agent_memory.domain.semantic.memory import Embedding, Memory, MemoryId, Scope
from agent_memory.domain.semantic.recall import Candidate, Search, Shortlist
from agent_memory.domain.semantic.shortlisting import shortlisted
from agent_memory.domain.semantic.words import memory_words

Place = tuple[str, MemoryId]
"""A tenant, and an id of its own."""


@dataclass(frozen=True)
class Kept:
    """A memory with all that searching needs of it."""

    memory: Memory
    embedding: Embedding

    @cached_property
    def words(self) -> Counter[str]:
        return memory_words(self.memory)

    def candidate(self, position: int, search: Search) -> Candidate:
        return Candidate(
            memory=self.memory,
            position=position,
            similarity=similarity(self.embedding, search.embedding),
            counts={word: self.words[word] for word in search.words if word in self.words},
            length=self.words.total(),
            eligible=search.selection.admits(self.memory),
        )


class InMemoryMemoryStore:
    def __init__(self) -> None:
        self.kept: dict[Place, Kept] = {}
        self.former: dict[Place, list[Memory]] = {}

    async def add(self, memory: Memory, embedding: Embedding) -> bool:
        new = place_of(memory) not in self.kept
        self.kept.setdefault(place_of(memory), Kept(memory, embedding))
        return new

    async def shortlist(self, search: Search) -> Shortlist:
        rows = sorted(
            (row for row in self.kept.values() if search.admits(row.memory)),
            key=lambda row: (row.memory.moment, row.memory.id),
        )
        return shortlisted([row.candidate(position, search) for position, row in enumerate(rows)], search)

    async def remove(self, memory_id: MemoryId, agent_id: str, user_id: str | None = None, *, tenant: str) -> bool:
        row = self.kept.get((tenant, memory_id))
        if row is None or row.memory.scope.agent_id != agent_id:
            return False
        if user_id not in {None, row.memory.scope.user_id}:
            return False
        self.drop((tenant, memory_id))
        return True

    def drop(self, place: Place) -> None:
        """The memory, and what it said before."""
        del self.kept[place]
        self.former.pop(place, None)

    async def count(self, scope: Scope, now: datetime | None = None) -> int:
        kept = [row.memory for row in self.kept.values() if row.memory.scope == scope]
        return len(kept) if now is None else sum(memory.holds(now) for memory in kept)


def place_of(memory: Memory) -> Place:
    return memory.scope.tenant, memory.id


def similarity(one: Embedding, other: Embedding) -> float:
    if one.model != other.model:
        return 0.0
    return _dot(one.vector, other.vector)


def _dot(one: "array[float]", other: "array[float]") -> float:
    return math.fsum(map(mul, one, other))
