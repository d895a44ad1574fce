"""What the tools take: names, limits and one line on each, which a model reads before it calls.

An unknown argument is an error. `agent_id` and `user_id` are asked for only where the connection does not fix them.
"""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from agent_memory.entrypoints.http.wire.memories import Moment, OnNear, Tag, TypeName

AgentId = Annotated[str, Meta(min_length=1, max_length=128, description="Whose memory: the agent's name")]
UserId = Annotated[str, Meta(min_length=1, max_length=128, description="Whom it is about: the user's name")]
MemoryId = Annotated[str, Meta(description="The memory's id, a UUID")]
Content = Annotated[
    str, Meta(min_length=1, max_length=8000, description="One fact or event, in a sentence that stands by itself")
]
Kind = Annotated[
    TypeName, Meta(description="episodic: it happened; semantic: it is so; procedural: it is done like this")
]
Importance = Annotated[float, Meta(ge=0, le=2, description="0 trivial, 1 ordinary, 2 vital")]
Tags = Annotated[list[Tag], Meta(max_length=50, description="Labels; to select by them, all must be there")]
Metadata = Annotated[dict[str, Any], Meta(description="A JSON object of your own")]
EventTime = Annotated[Moment, Meta(description="When it happened, with time zone, if not now")]
ExpiresAt = Annotated[Moment, Meta(description="When it ceases to hold, with time zone")]
Query = Annotated[str, Meta(min_length=1, max_length=2000, description="What to look for, in plain words")]
Filter = Annotated[
    dict[str, Any],
    Meta(
        description='Condition on metadata: {"city": "Oslo", "age": {"gte": 18}}; knows and, or, not; '
        'a key with dots of its own, or that begins with $, is quoted: {"\\"a.b\\"": 1}'
    ),
]
Since = Annotated[Moment, Meta(description="Happened at or after this, with time zone")]
Until = Annotated[Moment, Meta(description="Happened before this, with time zone")]
Cursor = Annotated[str, Meta(description="next_cursor of the answer before")]


class StoreMemory(Struct, forbid_unknown_fields=True, kw_only=True):
    agent_id: AgentId
    user_id: UserId
    content: Content
    memory_type: Kind = "episodic"
    importance: Importance = 1.0
    tags: Tags = []
    metadata: Metadata = {}
    event_time: EventTime | None = None
    expires_at: ExpiresAt | None = None
    on_near_duplicate: Annotated[
        OnNear, Meta(description="reinforce: what says nothing new makes the known one more important instead")
    ] = "keep"


class Selected(Struct, forbid_unknown_fields=True, kw_only=True):
    memory_type: Kind | None = None
    tags: Tags = []
    filter: Filter | None = None
    since: Since | None = None
    until: Until | None = None


class SearchMemories(Selected, forbid_unknown_fields=True, kw_only=True):
    agent_id: AgentId
    user_id: UserId
    query: Query
    top_k: Annotated[int, Meta(ge=1, le=50, description="How many at most")] = 5
    alpha: Annotated[
        float, Meta(ge=0, le=1, description="Rank by alpha x meaning + (1 - alpha) x recency; best left out")
    ] | None = None  # fmt: skip
    cursor: Cursor | None = None


class ListMemories(Selected, forbid_unknown_fields=True, kw_only=True):
    agent_id: AgentId
    user_id: UserId
    limit: Annotated[int, Meta(ge=1, le=200)] = 20
    cursor: Cursor | None = None


class CountMemories(Struct, forbid_unknown_fields=True, kw_only=True):
    agent_id: AgentId
    user_id: UserId


class GetMemory(Struct, forbid_unknown_fields=True, kw_only=True):
    agent_id: AgentId
    user_id: UserId | None = None
    memory_id: MemoryId


class MemoryHistory(GetMemory, forbid_unknown_fields=True, kw_only=True):
    pass


class UpdateMemory(GetMemory, forbid_unknown_fields=True, kw_only=True):
    content: Content | UnsetType = UNSET
    memory_type: Kind | UnsetType = UNSET
    importance: Importance | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    metadata: Metadata | UnsetType = UNSET
    event_time: EventTime | UnsetType | None = UNSET
    expires_at: ExpiresAt | UnsetType | None = UNSET
    version: Annotated[int, Meta(ge=1, description="Change it only if it is still at this version")] | None = None


class DeleteMemory(Struct, forbid_unknown_fields=True, kw_only=True):
    agent_id: AgentId
    user_id: UserId | None = None
    memory_id: MemoryId | None = None
    memory_ids: Annotated[
        list[str], Meta(min_length=1, max_length=100, description="Several ids, instead of memory_id")
    ] | None = None  # fmt: skip
    where: Annotated[
        Selected | None, Meta(description="All memories about user_id that this selects, {} every one; instead of ids")
    ] = None  # fmt: skip
    confirm: Annotated[
        bool, Meta(description="Only after the user agreed to delete several; needed where the client cannot ask")
    ] = False  # fmt: skip


class MemoryContext(Struct, forbid_unknown_fields=True, kw_only=True):
    agent_id: AgentId
    user_id: UserId
    query: Annotated[
        str, Meta(min_length=1, max_length=2000, description="What is about to be talked of; without it, the newest")
    ] | None = None  # fmt: skip
    max_tokens: Annotated[int, Meta(ge=16, le=100_000, description="As many memories as fit into this")] = 1000
