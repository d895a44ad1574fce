"""The memory routes on the wire: memex's fields, limits and answers. An unknown field is an error."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from agent_memory.application.remembering import NewFields
from agent_memory.application.semantic_memory import Asked
from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.semantic.duplicates import Remembered
from agent_memory.domain.semantic.filters import parse_filter
from agent_memory.domain.semantic.memory import Memory, MemoryId
from agent_memory.domain.semantic.paging import RecalledPage
from agent_memory.domain.semantic.recall import Score
from agent_memory.domain.semantic.selection import Selection

Tag = Annotated[str, Meta(min_length=1, max_length=64)]
Tags = Annotated[list[Tag], Meta(max_length=50)]
Moment = Annotated[datetime, Meta(tz=True)]
OnNear = Literal["keep", "reinforce"]
Seconds = Annotated[float, Meta(gt=0, le=3_155_760_000)]  # up to a century
Name = Annotated[str, Meta(min_length=1, max_length=128)]
TypeName = Literal["episodic", "semantic", "procedural"]


class RememberRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    """`event_time` is when it happened, if not now. An `id` that is known already brings back what is kept under it.
    With `on_near_duplicate` `reinforce`, a memory that says nothing new makes the one that is known more important
    instead of being added.
    """

    agent_id: Name
    user_id: Name
    content: Annotated[str, Meta(min_length=1, max_length=8000)]
    id: str | None = None
    on_near_duplicate: OnNear = "keep"
    memory_type: TypeName = "episodic"
    importance: Annotated[float, Meta(ge=0, le=2)] = 1.0
    tags: Tags = []
    metadata: dict[str, Any] = {}
    event_time: Moment | None = None
    expires_at: Moment | None = None
    ttl_seconds: Seconds | None = None


class SearchRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    """Without `alpha` the ranking weighs meaning, words, context, age and importance; with it,
    alpha x meaning + (1 - alpha) x recency. Found is what has all of the `tags`; `filter` is a condition on metadata,
    as in /v1/memories/list; `since` and `until` are about when it happened, `since` itself counts and `until` does not;
    `as_of` asks what was valid then. With `max_tokens` as many come as fit into so many tokens, at most `top_k` if that
    is given too; without either, `top_k` is 10. What follows is asked for by the `next_cursor` of the answer, up to a
    thousand memories in all; scores never rise from page to page.
    `explain` adds to each result why it stands where it stands.
    """

    agent_id: Name
    user_id: Name
    query: Annotated[str, Meta(min_length=1, max_length=2000)]
    top_k: Annotated[int, Meta(ge=1, le=50, description="At most so many; 10 without max_tokens")] | UnsetType = UNSET
    alpha: Annotated[float, Meta(ge=0, le=1)] | None = None
    memory_type: TypeName | None = None
    tags: Tags = []
    filter: dict[str, Any] | None = None
    since: Moment | None = None
    until: Moment | None = None
    as_of: Moment | None = None
    min_score: float | None = None
    max_tokens: Annotated[int, Meta(ge=1, le=100_000)] | None = None
    cursor: str | None = None
    explain: bool = False


class Explanation(Struct, kw_only=True):
    """Why a memory stands where it stands: its cosine, its words against the best, what its surroundings lend,
    its age (1 is now, 0.5 a half-life ago), its importance. Without `alpha` the score is
    `relevance` x `age_factor` x `importance_factor`, and `relevance` is
    (`cue` x (`meaning` + `words`) / 2 + `context`) / 2.8, where `meaning` is the cosine against the best and `cue` more
    than 1 for what meets a cue of the question. On a further page the score may be less: none is above those before.
    """

    similarity: float
    words: float
    context: float
    recency: float
    importance: float
    meaning: float | UnsetType = UNSET
    cue: float | UnsetType = UNSET
    relevance: float | UnsetType = UNSET
    age_factor: float | UnsetType = UNSET
    importance_factor: float | UnsetType = UNSET


class NearDuplicate(Struct, kw_only=True):
    """A memory that says nearly the same; its cosine, which is 1 for the very same words."""

    id: str
    similarity: float


class MemoryAnswer(Struct, kw_only=True):
    """What a memory does not carry is left out: tags, metadata, the time of the event, an end; and when it was updated,
    if it never was.
    """

    id: str
    agent_id: str
    user_id: str
    content: str
    memory_type: TypeName
    importance: float
    created_at: datetime
    score: float | None = None
    tags: list[str] | UnsetType = UNSET
    metadata: dict[str, Any] | UnsetType = UNSET
    updated_at: datetime | UnsetType = UNSET
    event_time: datetime | UnsetType = UNSET
    expires_at: datetime | UnsetType = UNSET
    explanation: Explanation | UnsetType = UNSET
    near_duplicates: list[NearDuplicate] | UnsetType = UNSET


class SearchAnswer(Struct, kw_only=True):
    results: list[MemoryAnswer]
    query: str
    total: int
    next_cursor: str | UnsetType = UNSET


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
        tags=sorted(memory.tags) or UNSET,
        metadata=dict(memory.metadata) or UNSET,
        updated_at=memory.revised_at or UNSET,
        event_time=memory.event_time or UNSET,
        expires_at=memory.expires_at or UNSET,
    )


def from_remembered(remembered: Remembered) -> MemoryAnswer:
    answer = from_memory(remembered.memory)
    answer.near_duplicates = near_duplicates(remembered) or UNSET
    return answer


def near_duplicates(remembered: Remembered) -> list[NearDuplicate]:
    return [NearDuplicate(id=str(n.memory.id), similarity=round(n.similarity, 4)) for n in remembered.near]


def to_new(request: RememberRequest, new_id: MemoryId) -> NewFields:
    return {
        "id": new_id if request.id is None else request.id,
        "content": request.content,
        "memory_type": request.memory_type,
        "importance": request.importance,
        "tags": request.tags,
        "metadata": request.metadata,
        "event_time": request.event_time,
        "expires_at": ends(request.expires_at, request.ttl_seconds),
    }


def from_page(query: str, page: RecalledPage, *, explain: bool = False) -> SearchAnswer:
    found = page.recollections
    results = [from_memory(each.memory, each.score.shown) for each in found]
    if explain:
        for result, each in zip(results, found, strict=True):
            result.explanation = _explanation(each.score)
    return SearchAnswer(results=results, query=query, total=len(results), next_cursor=page.cursor or UNSET)


def ends(expires_at: datetime | None, ttl_seconds: float | None) -> datetime | None:
    """When a memory ends, however that was said."""
    if ttl_seconds is None:
        return expires_at
    if expires_at is not None:
        raise InvalidInput("ttl_seconds", "says the same as expires_at: give one of them")
    return datetime.now(UTC) + timedelta(seconds=ttl_seconds)


def to_asked(request: SearchRequest) -> Asked:
    selection = Selection(
        tags=frozenset(request.tags),
        metadata=None if request.filter is None else parse_filter(request.filter),
        since=request.since,
        until=request.until,
    )
    asked: Asked = {
        "agent_id": request.agent_id,
        "user_id": request.user_id,
        "query": request.query,
        "alpha": request.alpha,
        "memory_type": request.memory_type,
        "selection": selection,
        "as_of": request.as_of,
        "min_score": request.min_score,
        "max_tokens": request.max_tokens,
    }
    if request.top_k is not UNSET:
        asked["top_k"] = request.top_k
    return asked


def _explanation(score: Score) -> Explanation:
    explanation = Explanation(
        similarity=_told(score.similarity),
        words=_told(score.words),
        context=_told(score.context),
        recency=_told(score.recency),
        importance=score.importance,
    )
    if factors := score.factors:
        explanation.meaning = _told(factors.meaning)
        explanation.cue = _told(factors.cue)
        explanation.relevance = _told(factors.relevance)
        explanation.age_factor = _told(factors.age)
        explanation.importance_factor = _told(factors.importance)
    return explanation


def _told(part: float) -> float:
    """So many digits that what is made of the parts is the score, to the last of the four that it is told with."""
    return round(part, 6)
