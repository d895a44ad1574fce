"""Looking after memories: get, list, revise, supersede, forget many, erase, count up, expire."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypedDict, Unpack
from uuid import uuid4

from agent_memory.application.tenancy import OfTenant
from agent_memory.domain.errors import Conflict, InvalidInput, NotFound
from agent_memory.domain.semantic.checks import Document, Json, check_count, check_moment, check_text
from agent_memory.domain.semantic.keeping import (
    Inventory,
    Mark,
    Page,
    Receipt,
    Versions,
    check_end,
    check_version,
    check_versions,
    next_version,
)
from agent_memory.domain.semantic.memory import (
    LONGEST_NAME,
    Memory,
    MemoryId,
    MemoryType,
    check_who,
    parse_memory_id,
    parse_memory_type,
    parse_tags,
)
from agent_memory.domain.semantic.retention import no_more_condensed
from agent_memory.domain.semantic.selection import EVERYTHING, Selection, check_selection
from agent_memory.ports.answers import AnswerBook
from agent_memory.ports.semantic import Embedder, MemoryArchive

MOST_LISTED = 200
_TRIES = 50  # of those who change a memory at the same time, one comes through with each


class Fields(TypedDict, total=False):
    """What can be said of a memory, and said anew."""

    content: str
    memory_type: MemoryType | str
    importance: float
    tags: Iterable[str]
    metadata: Document
    expires_at: datetime | None
    event_time: datetime | None


_SAYABLE = frozenset([*Fields.__annotations__, "id"])  # a new memory's id is read by who keeps it


def _now() -> datetime:
    return datetime.now(UTC)


class MemoryKeeping(OfTenant):
    """One for the whole application, over the same place as its `SemanticMemory`; holds no state of its own."""

    def __init__(
        self,
        archive: MemoryArchive,
        embedder: Embedder,
        clock: Callable[[], datetime] = _now,
        answers: AnswerBook | None = None,
    ) -> None:
        self._archive = archive
        self._embedder = embedder
        self._clock = clock
        self._answers = answers

    async def get(self, memory_id: MemoryId | str, *, agent_id: str, user_id: str | None = None) -> Memory:
        check_who(agent_id, user_id)
        self.reach.agent(agent_id)
        whose = self.reach.user(user_id)
        memory = await self._archive.get(parse_memory_id(memory_id), agent_id, whose, tenant=self.reach.tenant)
        if memory is None:
            raise NotFound("memory", str(memory_id))
        return memory

    async def list(
        self,
        *,
        agent_id: str,
        user_id: str,
        selection: Selection = EVERYTHING,
        cursor: str | None = None,
        limit: int = 50,
        include_superseded: bool = False,
    ) -> Page:
        """What holds now, newest first, page by page; what is superseded as well, if asked."""
        check_count("limit", limit, 1, MOST_LISTED)
        check_selection(selection)
        after = None if cursor is None else Mark.read(cursor)
        scope = self.scope(agent_id, user_id)
        # One more than asked tells whether anything follows.
        now = self._clock()
        found = await self._archive.page(scope, selection, now, after, limit + 1, superseded=include_superseded)
        page = found[:limit]
        return Page(tuple(page), Mark.after(page[-1]).cursor() if len(found) > limit else None)

    async def values(
        self, path: tuple[str, ...], *, agent_id: str, user_id: str, selection: Selection = EVERYTHING
    ) -> Sequence[Json]:
        """What is at the path in the metadata of those that hold now and are selected, each value once."""
        check_selection(selection)
        return await self._archive.values(self.scope(agent_id, user_id), selection, path, self._clock())

    async def revise(
        self,
        memory_id: MemoryId | str,
        *,
        agent_id: str,
        user_id: str | None = None,
        version: Versions | None = None,
        **fields: Unpack[Fields],
    ) -> Memory:
        """Say some of it anew; what it said before stays in its history, and what is not said is as another has it who
        came in between. With `version`, only if it is at that. What says nothing anew changes nothing, so that an
        update may be sent twice. Raises StaleVersion where it is not at that version, Conflict where what stands for
        it would still tell what it said before, and where it has expired, unless it is said anew when it does.
        """
        check_versions(version)
        fields = _to_be_read_again(fields)
        for _ in range(_TRIES):
            present = await self.get(memory_id, agent_id=agent_id, user_id=user_id)
            check_version(present.id, present.version, version)
            if "expires_at" not in fields and present.has_expired(self._clock()):
                raise Conflict(f"memory {present.id} has expired: say when it expires now, if ever")
            told = said(present, fields)
            if told == present and repr(told.metadata) == repr(present.metadata):  # to Python, 1 and true are the same
                return present
            if told.begins != present.begins:
                check_end(told)
            revised = next_version(told, self._clock())
            # The vector is of the content alone; a change of anything else needs none.
            embedding = None
            if revised.content != present.content:
                await self._check_told(present)
                [embedding] = await self._embedder.embed([revised.content], tenant=self.reach.tenant)
            if await self._archive.replace(revised, embedding, present.version, present):
                return revised
        raise Conflict(f"memory {memory_id} keeps changing: try again")

    async def put_off(
        self, memory_id: MemoryId | str, *, agent_id: str, user_id: str, version: int, expires_at: datetime
    ) -> bool:
        """Let what has not expired yet do so later, as long as it is at that version; it says the same, so there is no
        new one. False: nothing changed.
        """
        check_versions(version)
        check_moment("expires_at", expires_at)
        scope = self.scope(agent_id, user_id)
        return await self._archive.put_off(parse_memory_id(memory_id), scope, version, expires_at, self._clock())

    async def history(
        self, memory_id: MemoryId | str, *, agent_id: str, user_id: str | None = None
    ) -> Sequence[Memory]:
        """All it ever said, the newest version first."""
        memory = await self.get(memory_id, agent_id=agent_id, user_id=user_id)
        versions = await self._archive.history(memory.id, agent_id, tenant=self.reach.tenant)
        if not versions:
            raise NotFound("memory", str(memory_id))
        return versions

    async def supersede(
        self,
        memory_id: MemoryId | str,
        *,
        agent_id: str,
        user_id: str | None = None,
        version: Versions | None = None,
        new_id: MemoryId | None = None,
        **fields: Unpack[Fields],
    ) -> Memory:
        """Remember what holds now in place of what held until now; that stays, marked, and is no longer recalled. With
        `version`, only if it is at that, or else StaleVersion. What is not said is as that has it, also if that is
        revised meanwhile. With the id of what is to be new it may be repeated.
        """
        check_versions(version)
        fields = _to_be_read_again(fields)
        for tried in range(_TRIES):
            former = await self.get(memory_id, agent_id=agent_id, user_id=user_id)
            if new_id is not None and former.superseded_by == new_id:
                return await self.get(new_id, agent_id=agent_id)
            if tried and new_id and await self._archive.get(new_id, agent_id, None, tenant=self.reach.tenant):
                raise Conflict(f"id: {new_id} is that of another memory")
            check_version(former.id, former.version, version)
            if former.superseded_at is not None:
                await self._check_told(former)
                if former.superseded_by is None:
                    raise Conflict(f"memory {former.id} has faded: restore it first")
                raise Conflict(f"memory {former.id} is superseded already, by {former.superseded_by}")
            successor = self._successor(former, new_id or MemoryId(uuid4()), fields)
            _check_lasts(successor, former, fields)
            [embedding] = await self._embedder.embed([successor.content], tenant=self.reach.tenant)
            if await self._archive.supersede(former.id, successor, embedding, former.version, former):
                return successor
        raise Conflict(f"memory {memory_id} keeps changing: try again")

    async def _check_told(self, memory: Memory) -> None:
        """Not by what was condensed of it."""
        scope, by = memory.scope, memory.superseded_by
        told = by and await self._archive.get(by, scope.agent_id, scope.user_id, tenant=scope.tenant)
        if told and told.is_summary:
            raise Conflict(f"memory {memory.id} was condensed into {told.id}: restore {told.id} first")

    def _successor(self, former: Memory, new_id: MemoryId, fields: Fields) -> Memory:
        told = said(no_more_condensed(replace(former, event_time=None)), fields)
        new = replace(told, id=new_id, created_at=self._clock(), revised_at=None, version=1)
        return replace(new, superseded_by=None, superseded_at=None)

    async def forget_selected(self, *, agent_id: str, user_id: str, selection: Selection, dry_run: bool = False) -> int:
        """Forget all that is selected, of what holds and of what is superseded; a dry run only counts them."""
        check_selection(selection)
        scope = self.scope(agent_id, user_id)
        verb = self._archive.count_selected if dry_run else self._archive.remove_selected
        return await verb(scope, selection, self._clock())

    async def erase_user(self, user_id: str, *, agent_id: str | None = None) -> Receipt:
        """Remove everything about a user for good, remembered answers too, of one agent or of all, and say what."""
        check_text("user_id", user_id, LONGEST_NAME)
        if agent_id is not None:
            check_text("agent_id", agent_id, LONGEST_NAME)
        self.reach.user(user_id)
        whose, tenant = self.reach.agent(agent_id), self.reach.tenant
        if self._answers is not None:
            await self._answers.erase(user_id, whose, tenant=tenant)
        return await self._archive.erase(user_id, whose, self._clock(), tenant=tenant)

    async def inventory(self, *, agent_id: str, user_id: str) -> Inventory:
        return await self._archive.inventory(self.scope(agent_id, user_id), self._clock())

    async def purge(self) -> int:
        """Remove what has expired, of every tenant; it was not to be found before either."""
        return await self._archive.purge(self._clock())


def _check_lasts(successor: Memory, former: Memory, fields: Fields) -> None:
    """What supersedes holds when it is told: else neither would."""
    end = successor.expires_at
    if end is None or end > successor.created_at:
        return
    if "expires_at" not in fields:
        raise Conflict(f"memory {former.id} has expired: say when what supersedes it expires, if ever")
    told = f"must be in the future, is {end.isoformat()}: nothing would hold in place of what is superseded"
    raise InvalidInput("expires_at", told)


def _to_be_read_again(fields: Fields) -> Fields:
    """Tags may be a generator, which gives them once."""
    return {**fields, "tags": parse_tags(fields["tags"])} if "tags" in fields else fields


def check_sayable(fields: Fields) -> None:
    """Raises InvalidInput for what a memory has no field for, and for what has no fields at all."""
    if not isinstance(fields, Mapping):
        raise InvalidInput("fields", f"must be a mapping of fields, is {type(fields).__name__}")
    for name in fields.keys() - _SAYABLE:
        raise InvalidInput(str(name), "unknown field")


def said(memory: Memory, fields: Fields) -> Memory:
    """The memory with what is said of it; what is not said stays as it is. Raises InvalidInput for what it has not."""
    check_sayable(fields)
    return replace(
        memory,
        content=fields.get("content", memory.content),
        memory_type=parse_memory_type(fields.get("memory_type", memory.memory_type)),
        importance=fields.get("importance", memory.importance),
        tags=parse_tags(fields.get("tags", memory.tags)),
        metadata=fields.get("metadata", memory.metadata),
        expires_at=fields.get("expires_at", memory.expires_at),
        event_time=fields.get("event_time", memory.event_time),
    )
