"""Looking after memories on the wire: everything a memory carries, lists, revisions, conditions."""

from datetime import datetime
from typing import Annotated, Any, cast

from msgspec import UNSET, Meta, Struct, UnsetType

from agent_memory.application.memory_keeping import Fields
from agent_memory.domain.semantic.filters import parse_filter
from agent_memory.domain.semantic.keeping import Inventory, Page, Receipt
from agent_memory.domain.semantic.memory import Memory, MemoryType
from agent_memory.domain.semantic.selection import Selection
from agent_memory.entrypoints.http.wire.memories import (
    Moment,
    Name,
    Seconds,
    Tags,
    TypeName,
    ends,
)

Content = Annotated[str, Meta(min_length=1, max_length=8000)]
Importance = Annotated[float, Meta(ge=0, le=2)]


class Change(Struct, forbid_unknown_fields=True, kw_only=True):
    """What is said anew; what is left out stays as it is. `tags` and `metadata` come in the place of all there were;
    with null, `event_time` and `expires_at` are taken away.
    """

    content: Content | UnsetType = UNSET
    memory_type: TypeName | UnsetType = UNSET
    importance: Importance | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    metadata: dict[str, Any] | UnsetType = UNSET
    event_time: Moment | UnsetType | None = UNSET
    expires_at: Moment | UnsetType | None = UNSET
    ttl_seconds: Seconds | UnsetType = UNSET


class NewMemory(Struct, forbid_unknown_fields=True, kw_only=True):
    """One of a batch; its fields are those of /v1/memories."""

    content: Content
    id: str | None = None
    memory_type: TypeName = "episodic"
    importance: Importance = 1.0
    tags: Tags = []
    metadata: dict[str, Any] = {}
    event_time: Moment | None = None
    expires_at: Moment | None = None
    ttl_seconds: Seconds | None = None


class SelectionFields(Struct, forbid_unknown_fields=True, kw_only=True):
    r"""Which memories are meant: those that have all of the `tags`, and happened between `since`, which counts, and
    `until`, which does not. `filter` is a condition on metadata: {"city": "Oslo", "age": {"gte": 18}}; it knows
    eq, ne, in, lt, lte, gt, gte, exists, and, or, not. A key reaches inwards by dots ("home.city"); a name in double
    quotes is taken as it is: {"\"a.b\"": 1}, {"\"not\"": true}.
    """

    memory_type: TypeName | None = None
    tags: Tags = []
    filter: dict[str, Any] | None = None
    since: Moment | None = None
    until: Moment | None = None


class ForgetRequest(SelectionFields, forbid_unknown_fields=True, kw_only=True):
    agent_id: Name
    user_id: Name
    dry_run: bool = False


class ListRequest(SelectionFields, forbid_unknown_fields=True, kw_only=True):
    agent_id: Name
    user_id: Name
    cursor: str | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    include_superseded: bool = False


class WholeMemory(Struct, kw_only=True):
    """`updated_at` is when this version was made: `created_at` for the first."""

    id: str
    agent_id: str
    user_id: str
    content: str
    memory_type: TypeName
    importance: float
    tags: list[str]
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    event_time: datetime | None
    expires_at: datetime | None
    valid_from: datetime
    valid_until: datetime | None
    version: int
    superseded_by: str | None
    superseded_at: datetime | None


class PageAnswer(Struct, kw_only=True):
    memories: list[WholeMemory]
    next_cursor: str | None


class VersionsAnswer(Struct, kw_only=True):
    versions: list[WholeMemory]


class CondenseRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    agent_id: Name
    user_id: Name


class CondenseAnswer(Struct, kw_only=True):
    """The memory that stands for those that were condensed; null: there were too few."""

    memory: WholeMemory | None


class RestoreAnswer(Struct, kw_only=True):
    restored: int


class ForgetAnswer(Struct, kw_only=True):
    forgotten: int
    dry_run: bool


class ErasureAnswer(Struct, kw_only=True):
    user_id: str
    agent_id: str | None
    memories: int
    versions: int
    erased_at: datetime


class StatsAnswer(Struct, kw_only=True):
    memories: int
    by_type: dict[str, int]
    by_tag: dict[str, int]
    characters: int
    oldest: datetime | None
    newest: datetime | None
    superseded: int
    expired: int


class ImportAnswer(Struct, kw_only=True):
    """`known` are those whose id is known with the same content, whatever else they carry; `conflicting` those whose id
    is known with another content, agent or user, of which `conflicts` names the first thousand; `refusals` is how much
    was no memory, of which `refused` names as many.
    """

    kept: int
    known: int
    conflicting: int
    conflicts: list[str]
    refusals: int
    refused: list[str]


def to_fields(change: Change | NewMemory) -> Fields:
    said = {name: value for name in change.__struct_fields__ if (value := getattr(change, name)) is not UNSET}
    if "ttl_seconds" in said:
        said["expires_at"] = ends(said.get("expires_at"), said.pop("ttl_seconds"))
    return cast("Fields", said)


def to_selection(fields: SelectionFields) -> Selection:
    return Selection(
        memory_type=None if fields.memory_type is None else MemoryType(fields.memory_type),
        tags=frozenset(fields.tags),
        metadata=None if fields.filter is None else parse_filter(fields.filter),
        since=fields.since,
        until=fields.until,
    )


def from_memory(memory: Memory) -> WholeMemory:
    return WholeMemory(
        id=str(memory.id),
        agent_id=memory.scope.agent_id,
        user_id=memory.scope.user_id,
        content=memory.content,
        memory_type=memory.memory_type.value,
        importance=memory.importance,
        tags=sorted(memory.tags),
        metadata=dict(memory.metadata),
        created_at=memory.created_at,
        updated_at=memory.updated_at,
        event_time=memory.event_time,
        expires_at=memory.expires_at,
        valid_from=memory.begins,
        valid_until=min((end for end in (memory.superseded_at, memory.expires_at) if end is not None), default=None),
        version=memory.version,
        superseded_by=None if memory.superseded_by is None else str(memory.superseded_by),
        superseded_at=memory.superseded_at,
    )


def from_page(page: Page) -> PageAnswer:
    return PageAnswer(memories=[from_memory(memory) for memory in page.memories], next_cursor=page.cursor)


def from_inventory(inventory: Inventory) -> StatsAnswer:
    return StatsAnswer(
        memories=inventory.memories,
        by_type={memory_type.value: number for memory_type, number in inventory.by_type.items()},
        by_tag=dict(inventory.by_tag),
        characters=inventory.characters,
        oldest=inventory.oldest,
        newest=inventory.newest,
        superseded=inventory.superseded,
        expired=inventory.expired,
    )


def from_receipt(receipt: Receipt) -> ErasureAnswer:
    return ErasureAnswer(
        user_id=receipt.user_id,
        agent_id=receipt.agent_id,
        memories=receipt.memories,
        versions=receipt.versions,
        erased_at=receipt.erased_at,
    )
