"""The memory routes on the wire: memex's fields, limits and answers. An unknown field is an error."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from agent_memory.domain.semantic.memory import Memory
from agent_memory.domain.semantic.recall import Recollection

Name = Annotated[str, Meta(min_length=1, max_length=128)]
TypeName = Literal["episodic", "semantic", "procedural"]


class RememberRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    agent_id: Name
    user_id: Name
    content: Annotated[str, Meta(min_length=1, max_length=8000)]
    memory_type: TypeName = "episodic"
    importance: Annotated[float, Meta(ge=0, le=2)] = 1.0


class SearchRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    """Without `alpha` the ranking weighs meaning, words, context, age and importance; with it,
    alpha x meaning + (1 - alpha) x recency.
    """

    agent_id: Name
    user_id: Name
    query: Annotated[str, Meta(min_length=1, max_length=2000)]
    top_k: Annotated[int, Meta(ge=1, le=50)] = 10
    alpha: Annotated[float, Meta(ge=0, le=1)] | None = None
    memory_type: TypeName | None = None


class MemoryAnswer(Struct, kw_only=True):
    id: str
    agent_id: str
    user_id: str
    content: str
    memory_type: TypeName
    importance: float
    created_at: datetime
    score: float | None = None


class SearchAnswer(Struct, kw_only=True):
    results: list[MemoryAnswer]
    query: str
    total: int


class CountAnswer(Struct, kw_only=True):
    agent_id: str
    user_id: str
    count: int


def from_memory(memory: Memory, score: float | None = None) -> MemoryAnswer:
    return MemoryAnswer(
        id=str(memory.id),
        agent_id=memory.scope.agent_id,
        user_id=memory.scope.user_id,
        content=memory.content,
        memory_type=memory.memory_type.value,
        importance=memory.importance,
        created_at=memory.created_at,
        score=score,
    )


def from_recollections(query: str, found: list[Recollection]) -> SearchAnswer:
    results = [from_memory(each.memory, round(each.score.total, 4)) for each in found]
    return SearchAnswer(results=results, query=query, total=len(results))
