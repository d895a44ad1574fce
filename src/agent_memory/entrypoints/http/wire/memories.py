"""The memory routes on the wire: memex's fields, limits and answers. An unknown field is an error."""

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from agent_memory.domain.semantic.filters import parse_filter
from agent_memory.domain.semantic.memory import Memory
from agent_memory.domain.semantic.recall import Recollection, Score
from agent_memory.domain.semantic.selection import Selection

Tag = Annotated[str, Meta(min_length=1, max_length=64)]
Tags = Annotated[list[Tag], Meta(max_length=50)]
Moment = Annotated[datetime, Meta(tz=True)]
Name = Annotated[str, Meta(min_length=1, max_length=128)]
TypeName = Literal["episodic", "semantic", "procedural"]


class RememberRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    agent_id: Name
    user_id: Name
    content: Annotated[str, Meta(min_length=1, max_length=8000)]
    memory_type: TypeName = "episodic"
    importance: Annotated[float, Meta(ge=0, le=2)] = 1.0
    tags: Tags = []
    metadata: dict[str, Any] = {}
    expires_at: Moment | None = None


class SearchRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    """Without `alpha` the ranking weighs meaning, words, context, age and importance; with it,
    alpha x meaning + (1 - alpha) x recency. `filter` is a condition on metadata, as in /v1/memories/list;
    `explain` adds to each result why it stands where it stands.
    """

    agent_id: Name
    user_id: Name
    query: Annotated[str, Meta(min_length=1, max_length=2000)]
    top_k: Annotated[int, Meta(ge=1, le=50)] = 10
    alpha: Annotated[float, Meta(ge=0, le=1)] | None = None
    memory_type: TypeName | None = None
    tags: Tags = []
    filter: dict[str, Any] | None = None
    since: Moment | None = None
    until: Moment | None = None
    explain: bool = False


class Explanation(Struct, kw_only=True):
    """Why a memory stands where it stands: its cosine, its words against the best, what its surroundings lend,
    its age (1 is now, 0.5 a half-life ago), its importance.
    """

    similarity: float
    words: float
    context: float
    recency: float
    importance: float


class MemoryAnswer(Struct, kw_only=True):
    id: str
    agent_id: str
    user_id: str
    content: str
    memory_type: TypeName
    importance: float
    created_at: datetime
    score: float | None = None
    explanation: Explanation | UnsetType = UNSET


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


def from_recollections(query: str, found: list[Recollection], *, explain: bool = False) -> SearchAnswer:
    results = [from_memory(each.memory, round(each.score.total, 4)) for each in found]
    if explain:
        for result, each in zip(results, found, strict=True):
            result.explanation = _explanation(each.score)
    return SearchAnswer(results=results, query=query, total=len(results))


def to_selection(request: SearchRequest) -> Selection:
    return Selection(
        tags=frozenset(request.tags),
        metadata=None if request.filter is None else parse_filter(request.filter),
        since=request.since,
        until=request.until,
    )


def _explanation(score: Score) -> Explanation:
    return Explanation(
        similarity=round(score.similarity, 4),
        words=round(score.words, 4),
        context=round(score.context, 4),
        recency=round(score.recency, 4),
        importance=score.importance,
    )
