"""The verbs of semantic memory: remember, recall, forget, count.

It brings together a store, an embedder, a scoring policy and a clock; it knows none of their technologies.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

from agent_memory.domain.errors import NotFound
from agent_memory.domain.semantic.checks import Document, check_text
from agent_memory.domain.semantic.memory import (
    LONGEST_NAME,
    Memory,
    MemoryId,
    MemoryType,
    Scope,
    parse_memory_id,
    parse_memory_type,
)
from agent_memory.domain.semantic.recall import Question, Recollection, Search
from agent_memory.domain.semantic.scoring import Blend, Fusion, ScoringPolicy
from agent_memory.domain.semantic.selection import EVERYTHING, Selection
from agent_memory.domain.semantic.words import word_counts
from agent_memory.ports.semantic import Embedder, MemoryStore

# Deep enough that the ranking, which sees more signals than any one leg of the search, can change the order.
_DEPTH_PER_RESULT = 2
_LEAST_DEPTH = 20
# A blend may put first what is only the 50th by meaning and the 50th by age, so it looks further on both sides.
_BLEND_DEPTH = 200


def _now() -> datetime:
    return datetime.now(UTC)


class SemanticMemory:
    """One for the whole application: it holds no state of its own. `blend` ranks where a question has an alpha."""

    def __init__(
        self,
        store: MemoryStore,
        embedder: Embedder,
        policy: ScoringPolicy | None = None,
        blend: ScoringPolicy | None = None,
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
    ) -> Memory:
        """Keep what was said. When it returns, the memory is committed."""
        memory = Memory(
            id=MemoryId(uuid4()),
            scope=Scope(agent_id, user_id),
            content=content,
            created_at=self._clock(),
            memory_type=parse_memory_type(memory_type),
            importance=importance,
            tags=frozenset(tags),
            metadata=metadata or {},
            expires_at=expires_at,
        )
        [embedding] = await self._embedder.embed([content])
        await self._store.add(memory, embedding)
        return memory

    async def recall(
        self,
        *,
        agent_id: str,
        user_id: str,
        query: str,
        top_k: int = 10,
        alpha: float | None = None,
        memory_type: MemoryType | str | None = None,
        selection: Selection = EVERYTHING,
    ) -> list[Recollection]:
        """What is known that answers the query, best first; nothing known is an empty list.

        With `alpha`, alpha x meaning + (1 - alpha) x recency ranks instead of the policy. `selection` says which
        memories may answer; `memory_type` is its most used part.
        """
        if memory_type is not None:
            selection = replace(selection, memory_type=parse_memory_type(memory_type))
        question = Question(
            scope=Scope(agent_id, user_id),
            query=query,
            top_k=top_k,
            alpha=alpha,
            selection=selection,
        )
        policy = self._policy if alpha is None else self._blend
        now = self._clock()
        shortlist = await self._store.shortlist(await self._search(question, now))
        return policy.rank(question, shortlist, now)

    async def _search(self, question: Question, now: datetime) -> Search:
        [embedding] = await self._embedder.embed([question.query])
        return Search(
            scope=question.scope,
            embedding=embedding,
            words=frozenset(word_counts(question.query)),
            depth=max(_LEAST_DEPTH, _DEPTH_PER_RESULT * question.top_k) if question.alpha is None else _BLEND_DEPTH,
            newest=0 if question.alpha is None else _BLEND_DEPTH,
            now=now,
            selection=question.selection,
        )

    async def forget(self, memory_id: MemoryId | str, *, agent_id: str, user_id: str | None = None) -> None:
        """Remove a memory of this agent; another agent's, or user's, is as absent as one that never was."""
        check_text("agent_id", agent_id, LONGEST_NAME)
        if user_id is not None:
            check_text("user_id", user_id, LONGEST_NAME)
        if not await self._store.remove(parse_memory_id(memory_id), agent_id, user_id):
            raise NotFound("memory", str(memory_id))

    async def count(self, *, agent_id: str, user_id: str) -> int:
        return await self._store.count(Scope(agent_id, user_id))
