"""The verbs of semantic memory: remember, recall, forget, count.

It brings together a store, an embedder, a scoring policy and a clock; it knows none of their technologies.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Required, TypedDict, Unpack
from uuid import uuid4

from agent_memory.application.remembering import known_as
from agent_memory.application.tenancy import OfTenant
from agent_memory.domain.errors import Conflict, InvalidInput, NotFound
from agent_memory.domain.semantic.checks import Document
from agent_memory.domain.semantic.keeping import Versions, check_versions
from agent_memory.domain.semantic.memory import (
    Memory,
    MemoryId,
    MemoryType,
    Scope,
    check_who,
    parse_memory_id,
    parse_memory_type,
    parse_tags,
)
from agent_memory.domain.semantic.paging import Progress, RecalledPage, most_of, page_of
from agent_memory.domain.semantic.recall import Question, Recollection, Search
from agent_memory.domain.semantic.scoring import MOST_RANKED, Blend, Fusion, ScoringPolicy
from agent_memory.domain.semantic.selection import EVERYTHING, Selection, check_selection
from agent_memory.domain.semantic.words import asked_words
from agent_memory.ports.semantic import Embedder, MemoryArchive, MemoryStore

# What happened last may be asked for in no words of its own: so many of the newest may always answer.
_NEWEST = 10


class Told(TypedDict, total=False):
    """What can be said of a new memory; `event_time` is when it happened; what has an id may be said again."""

    agent_id: Required[str]
    user_id: Required[str]
    content: Required[str]
    id: MemoryId | str | None
    memory_type: MemoryType | str
    importance: float
    tags: Iterable[str]
    metadata: Document | None
    expires_at: datetime | None
    event_time: datetime | None


class Asked(TypedDict, total=False):
    """What can be asked, beside the cursor of a page; the limits are those of `Question`."""

    agent_id: Required[str]
    user_id: Required[str]
    query: Required[str]
    top_k: int
    alpha: float | None
    memory_type: MemoryType | str | None
    selection: Selection
    as_of: datetime | None
    min_score: float | None
    max_tokens: int | None


def _now() -> datetime:
    return datetime.now(UTC)


class SemanticMemory(OfTenant):
    """One for the whole application: it holds no state of its own. `blend` ranks where a question has an alpha. The
    archive, of the same place as the store, tells what is kept under an id that is given again.

    It is of one tenant, the default one at first; `within` answers another's.
    """

    def __init__(
        self,
        store: MemoryStore,
        embedder: Embedder,
        policy: ScoringPolicy | None = None,
        blend: Blend | None = None,
        clock: Callable[[], datetime] = _now,
        *,
        archive: MemoryArchive | None = None,
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._policy = policy or Fusion()
        self._blend = blend or Blend()
        self._clock = clock
        self._archive = archive

    async def remember(self, **told: Unpack[Told]) -> Memory:
        """Keep what was said. When it returns, the memory is committed.

        An id that is known already brings back what is kept under it, or raises Conflict if that says something else.
        """
        _check(told, Told.__annotations__, Told.__required_keys__)
        now = self._clock()
        memory = _new(told, self.scope(told["agent_id"], told["user_id"]), now)
        [embedding] = await self._embedder.embed([memory.content], tenant=self.reach.tenant)
        if await self._store.add(memory, embedding, now):
            return memory
        if self._archive is None:
            raise Conflict(f"id: {memory.id} is known already")
        return await known_as(memory, self._archive)

    async def recall(self, **asked: Unpack[Asked]) -> list[Recollection]:
        """What is known that answers the query, best first; nothing known is an empty list.

        With `alpha`, alpha x meaning + (1 - alpha) x recency ranks instead of the policy. `selection` says which
        memories may answer; `memory_type` is its most used part. `as_of` asks what was valid then; `max_tokens` asks
        for as many as fit, and at most `top_k` if that is said too; `min_score` for none below it.
        """
        _check(asked, Asked.__annotations__, Asked.__required_keys__)
        return list((await self.recall_page(None, **asked)).recollections)

    async def recall_page(self, cursor: str | None, **asked: Unpack[Asked]) -> RecalledPage:
        """`recall`, page by page: the cursor of one page, with the same question, asks for the next; a thousand
        memories are the most that all pages have together. A page gives what holds when it is asked for, of what was
        there when the first one was.
        """
        _check(asked, Asked.__annotations__, Asked.__required_keys__)
        question, now = _question(asked, self.scope(asked["agent_id"], asked["user_id"])), self._clock()
        progress = Progress.begun(question, now) if cursor is None else Progress.read(cursor, question)
        policy = self._policy if question.alpha is None else self._blend
        more = most_of(question)
        sought = replace(question, selection=progress.selection(question, now))
        shortlist = await self._store.shortlist(await self._search(sought, now, progress.depth(more)))
        # One more than asked tells whether anything follows; what is passed over takes none of these places.
        most = more + 1 if question.max_tokens is None and not progress.given else MOST_RANKED
        ranked = policy.rank(question, shortlist, question.as_of or progress.asked_at, most)
        return page_of(ranked, question, progress)

    async def _search(self, question: Question, now: datetime, depth: int) -> Search:
        [embedding] = await self._embedder.embed([question.query], tenant=self.reach.tenant, asked=True)
        weighed = question.alpha is not None
        return Search(
            scope=question.scope,
            embedding=embedding,
            words=frozenset() if weighed else asked_words(question.query),
            depth=depth,
            newest=0 if weighed else _NEWEST,
            now=now,
            selection=question.selection,
            as_of=question.as_of,
            weighing=self._blend.weighing(question) if weighed else None,
        )

    async def forget(
        self, memory_id: MemoryId | str, *, agent_id: str, user_id: str | None = None, version: Versions | None = None
    ) -> None:
        """Remove a memory of this agent, and what was condensed of it, whose other sources are back; another agent's,
        or user's, is as absent as one that never was. With `version`, only if it is at that, or else StaleVersion.
        """
        check_who(agent_id, user_id)
        check_versions(version)
        self.reach.agent(agent_id)
        whose = self.reach.user(user_id)
        which = parse_memory_id(memory_id), agent_id, whose
        if not await self._store.remove(*which, tenant=self.reach.tenant, version=version):
            raise NotFound("memory", str(memory_id))

    async def count(self, *, agent_id: str, user_id: str) -> int:
        """How many memories hold now: those that a search may find, and a list shows."""
        return await self._store.count(self.scope(agent_id, user_id), self._clock())


def _check(said: Told | Asked, known: Mapping[str, object], required: frozenset[str]) -> None:
    """The names of what is said; what stands under them is checked where it is used."""
    for name in said.keys() - known.keys():
        raise InvalidInput(name, "unknown field")
    for name in sorted(required - said.keys()):
        raise InvalidInput(name, "is missing")


def _new(told: Told, scope: Scope, now: datetime) -> Memory:
    given_id, metadata = told.get("id"), told.get("metadata")
    return Memory(
        id=MemoryId(uuid4()) if given_id is None else parse_memory_id(given_id, "id"),
        scope=scope,
        content=told["content"],
        created_at=now,
        memory_type=parse_memory_type(told.get("memory_type", MemoryType.EPISODIC)),
        importance=told.get("importance", 1.0),
        tags=parse_tags(told.get("tags", ())),
        metadata={} if metadata is None else metadata,
        expires_at=told.get("expires_at"),
        event_time=told.get("event_time"),
    )


def _question(asked: Asked, scope: Scope) -> Question:
    if asked.get("top_k", 1) is None:
        raise InvalidInput("top_k", "must be a whole number, or left out")
    selection = asked.get("selection", EVERYTHING)
    check_selection(selection)
    memory_type = asked.get("memory_type")
    if memory_type is not None:
        selection = replace(selection, memory_type=parse_memory_type(memory_type))
    return Question(
        scope=scope,
        query=asked["query"],
        top_k=asked.get("top_k"),
        alpha=asked.get("alpha"),
        selection=selection,
        as_of=asked.get("as_of"),
        min_score=asked.get("min_score"),
        max_tokens=asked.get("max_tokens"),
    )
