"""Remembering with care: ids that clients give, and memories that say what is known already. One, or many at once."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TypedDict, Unpack
from uuid import uuid4

from agent_memory.application.memory_keeping import Fields, check_sayable, said
from agent_memory.application.tenancy import OfTenant
from agent_memory.domain.errors import Conflict, InvalidInput
from agent_memory.domain.semantic.duplicates import (
    OnNearDuplicate,
    Remembered,
    parse_on_near_duplicate,
)
from agent_memory.domain.semantic.facts import said_in
from agent_memory.domain.semantic.memory import Embedding, Memory, MemoryId, Scope, parse_memory_id
from agent_memory.ports.semantic import Embedder, MemoryArchive, MemoryStore

MOST_KEPT_AT_ONCE = 500


class NewFields(Fields, total=False):
    """What is said of a new memory. An id that is known already brings back what is kept under it; None is none."""

    id: MemoryId | str | None


class Whose(TypedDict):
    agent_id: str
    user_id: str


def _now() -> datetime:
    return datetime.now(UTC)


class Remembering(OfTenant):
    """One for the whole application; store and archive are the same place."""

    def __init__(
        self,
        store: MemoryStore,
        archive: MemoryArchive,
        embedder: Embedder,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self._store = store
        self._archive = archive
        self._embedder = embedder
        self._clock = clock

    async def remember(
        self,
        fields: NewFields,
        on_near_duplicate: OnNearDuplicate | str = OnNearDuplicate.KEEP,
        **whose: Unpack[Whose],
    ) -> Remembered:
        """Keep a memory and tell which others say nearly the same; or, if asked to, reinforce such a one instead."""
        wish = parse_on_near_duplicate(on_near_duplicate)
        memory = _new(self.scope(**whose), self._clock(), fields)
        [embedding] = await self._embedder.embed([memory.content], tenant=self.reach.tenant)
        return await self._keep(memory, embedding, wish)

    async def remember_many(
        self,
        memories: Sequence[NewFields | InvalidInput],
        on_near_duplicate: OnNearDuplicate | str = OnNearDuplicate.KEEP,
        **whose: Unpack[Whose],
    ) -> list[Remembered | InvalidInput | Conflict]:
        """Keep all that can be kept, in one commit; for each of the others, in its place, what is wrong with it.

        What a caller found wrong already stands for its memory, and comes back in its place. If near ones are to be
        reinforced, each is kept by itself.
        """
        if not 1 <= len(memories) <= MOST_KEPT_AT_ONCE:
            raise InvalidInput("memories", f"must be 1 to {MOST_KEPT_AT_ONCE}, are {len(memories)}")
        wish = parse_on_near_duplicate(on_near_duplicate)
        outcomes = _read(self.scope(**whose), self._clock(), memories)
        sound = [outcome for outcome in outcomes if isinstance(outcome, Memory)]
        embeddings = await self._embedder.embed([each.content for each in sound], tenant=self.reach.tenant)
        entries = list(zip(sound, embeddings, strict=True))
        if wish is OnNearDuplicate.KEEP:
            kept = await self._keep_many(entries)
        else:
            kept = [await self._kept(memory, embedding, wish) for memory, embedding in entries]
        each = iter(kept)
        return [next(each) if isinstance(outcome, Memory) else outcome for outcome in outcomes]

    async def _kept(
        self, memory: Memory, embedding: Embedding, wish: OnNearDuplicate
    ) -> Remembered | InvalidInput | Conflict:
        try:
            return await self._keep(memory, embedding, wish)
        except (InvalidInput, Conflict) as error:
            return error

    async def _keep(self, memory: Memory, embedding: Embedding, wish: OnNearDuplicate) -> Remembered:
        if wish is OnNearDuplicate.REINFORCE:
            told = await self._archive.reinforce(memory, embedding, self._clock())
            if not _same(told.memory, memory):
                raise _taken(memory)
            return told
        near = await self._archive.alike(memory, embedding, self._clock())
        if await self._store.add(memory, embedding, self._clock()):
            return Remembered(memory, added=True, near=tuple(near))
        return await self._known(memory)

    async def _keep_many(
        self, entries: Sequence[tuple[Memory, Embedding]]
    ) -> list[Remembered | InvalidInput | Conflict]:
        if not entries:
            return []
        told = await self._archive.tell_many(entries, self._clock())
        return [
            Remembered(memory, added=True, near=tuple(near)) if near is not None else await self._known_or_not(memory)
            for (memory, _), near in zip(entries, told, strict=True)
        ]

    async def _known_or_not(self, memory: Memory) -> Remembered | Conflict:
        try:
            return await self._known(memory)
        except Conflict as conflict:
            return conflict

    async def _known(self, memory: Memory) -> Remembered:
        """What is kept under an id that was given before."""
        return Remembered(await known_as(memory, self._archive), added=False)


async def known_as(memory: Memory, archive: MemoryArchive) -> Memory:
    """What is kept under its id. Raises Conflict where that is no such memory."""
    known = await archive.get(memory.id, memory.scope.agent_id, memory.scope.user_id, tenant=memory.scope.tenant)
    if known is None or known.content != memory.content:
        raise _taken(memory)
    return known


def _same(known: Memory, memory: Memory) -> bool:
    return known.scope == memory.scope and said_in(known.content) == said_in(memory.content)


def _taken(memory: Memory) -> Conflict:
    return Conflict(f"id: {memory.id} is that of another memory")


def _read(scope: Scope, now: datetime, memories: Sequence[NewFields | InvalidInput]) -> list[Memory | InvalidInput]:
    # A microsecond apart, they keep the order in which they were told.
    moments = (now + timedelta(microseconds=number) for number in range(len(memories)))
    return [_new_or_not(scope, moment, fields) for moment, fields in zip(moments, memories, strict=True)]


def _new_or_not(scope: Scope, now: datetime, fields: NewFields | InvalidInput) -> Memory | InvalidInput:
    if isinstance(fields, InvalidInput):
        return fields
    try:
        return _new(scope, now, fields)
    except InvalidInput as error:
        return error


def _new(scope: Scope, now: datetime, fields: NewFields) -> Memory:
    check_sayable(fields)
    if "content" not in fields:
        raise InvalidInput("content", "is missing")
    given_id = fields.get("id")
    memory_id = MemoryId(uuid4()) if given_id is None else parse_memory_id(given_id, "id")
    return replace(said(Memory(memory_id, scope, fields["content"], now), fields), version=1)
