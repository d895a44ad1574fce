"""The verbs of semantic memory: remember, recall, forget, count.

It brings together a store, an embedder, a scoring policy and a clock; it knows none of their technologies.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Required, TypedDict, Unpack
from uuid import uuid4

from agent_memory.application.tenancy import OfTenant
from agent_memory.domain.errors import InvalidInput, NotFound
from agent_memory.domain.semantic.checks import Document
from agent_memory.domain.semantic.keeping import Versions
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
from agent_memory.domain.semantic.selection import EVERYTHING, Selection
from agent_memory.domain.semantic.words import word_counts
from agent_memory.ports.semantic import Embedder, MemoryStore

# What happened last may be asked for in no words of its own: so many of the newest may always answer.
_NEWEST = 10


class Told(TypedDict, total=False):
    """What can be said of a new memory; `event_time` is when it happened."""

    agent_id: Required[str]
    user_id: Required[str]
    content: Required[str]
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
    """One for the whole application: it holds no state of its own. `blend` ranks where a question has an alpha.

    It is of one tenant, the default one at first; `within` answers another's.
    """

    def __init__(
        self,
        store: MemoryStore,
        embedder: Embedder,
        policy: ScoringPolicy | None = None,
        blend: Blend | None = None,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._policy = policy or Fusion()
        self._blend = blend or Blend()
        self._clock = clock

    async def remember(
        self,
        *,
        agent_id: str,
        user_id: str,
        content: str,
        memory_type: MemoryType | str = MemoryType.EPISODIC,
        importance: float = 1.0,
        tags: Iterable[str] = (),
        metadata: Document | None = None,
        expires_at: datetime | None = None,
        event_time: datetime | None = None,
    ) -> Memory:
        """Keep what was said. When it returns, the memory is committed. `event_time` is when it happened."""
        memory = Memory(
            id=MemoryId(uuid4()),
            scope=self.scope(agent_id, user_id),
            content=content,
            created_at=self._clock(),
            memory_type=parse_memory_type(memory_type),
            importance=importance,
            tags=parse_tags(tags),
            metadata={} if metadata is None else metadata,
            expires_at=expires_at,
            event_time=event_time,
        )
        [embedding] = await self._embedder.embed([content], tenant=self.reach.tenant)
        await self._store.add(memory, embedding)
        return memory

    async def recall(self, **asked: Unpack[Asked]) -> list[Recollection]:
        """What is known that answers the query, best first; nothing known is an empty list.

        With `alpha`, alpha x meaning + (1 - alpha) x recency ranks instead of the policy. `selection` says which
        memories may answer; `memory_type` is its most used part. `as_of` asks what was valid then; `max_tokens` asks
        for as many as fit, and at most `top_k` if that is said too; `min_score` for none below it.
        """
        _check(asked)
        return list((await self.recall_page(None, **asked)).recollections)

    async def recall_page(self, cursor: str | None, **asked: Unpack[Asked]) -> RecalledPage:
        """`recall`, page by page: the cursor of one page, with the same question, asks for the next; a thousand
        memories are the most that all pages have together. A page gives what holds when it is asked for, of what was
        there when the first one was.
        """
        _check(asked)
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
            words=frozenset() if weighed else frozenset(word_counts(question.query)),
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
        self.reach.agent(agent_id)
        whose = self.reach.user(user_id)
        which = parse_memory_id(memory_id), agent_id, whose
        if not await self._store.remove(*which, tenant=self.reach.tenant, version=version):
            raise NotFound("memory", str(memory_id))

    async def count(self, *, agent_id: str, user_id: str) -> int:
        """How many memories hold now: those that a search may find, and a list shows."""
        return await self._store.count(self.scope(agent_id, user_id), self._clock())


def _check(asked: Asked) -> None:
    """The names of what is asked; what stands under them is checked where it is used."""
    for name in asked.keys() - Asked.__annotations__.keys():
        raise InvalidInput(name, "unknown field")
    for name in sorted(Asked.__required_keys__ - asked.keys()):
        raise InvalidInput(name, "is missing")
    if asked.get("top_k", 1) is None:
        raise InvalidInput("top_k", "must be a whole number, or left out")


def _question(asked: Asked, scope: Scope) -> Question:
    selection = asked.get("selection", EVERYTHING)
    if not isinstance(selection, Selection):
        raise InvalidInput("selection", f"must be a Selection, is {type(selection).__name__}")
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
