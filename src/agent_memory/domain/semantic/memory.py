"""What is remembered, by whom and about whom, and the limits that text and numbers must keep.

It knows nothing of how memories are found: that is `scoring` and `words`.
"""

import math
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import NewType
from uuid import UUID

from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.semantic.checks import Document, check_document, check_moment, check_number, check_text
from agent_memory.domain.tenants import DEFAULT_TENANT, check_tenant

MemoryId = NewType("MemoryId", UUID)

LONGEST_NAME = 128
LONGEST_CONTENT = 8000
LONGEST_QUERY = 2000
MOST_RESULTS = 50
GREATEST_IMPORTANCE = 2.0
MOST_TAGS = 50
LONGEST_TAG = 64


class MemoryType(StrEnum):
    """Episodic: it happened. Semantic: it is so. Procedural: it is done like this."""

    EPISODIC = "episodic"
    SEMANTIC = "semantic"
    PROCEDURAL = "procedural"


class Condensing(StrEnum):
    """What condensing knows of a memory, whatever is said of it. Summary: it stands for others, and goes when one of
    them is forgotten. Restored: it was brought back from under a summary, and is not condensed again.
    """

    SUMMARY = "summary"
    RESTORED = "restored"


@dataclass(frozen=True, slots=True)
class Scope:
    """One agent's knowledge of one user, of one tenant: no search ever crosses it."""

    agent_id: str
    user_id: str
    tenant: str = DEFAULT_TENANT

    def __post_init__(self) -> None:
        check_text("agent_id", self.agent_id, LONGEST_NAME)
        check_text("user_id", self.user_id, LONGEST_NAME)
        check_tenant(self.tenant)


@dataclass(frozen=True, slots=True)
class Memory:
    """`created_at` is when it was kept, `event_time` when it happened, if that is known to be another time, and
    `revised_at` when its version was made, likewise. That it is superseded, or restored, makes no version.

    It is valid until it expires or is superseded; what is superseded by nothing has faded.
    """

    id: MemoryId
    scope: Scope
    content: str
    created_at: datetime
    memory_type: MemoryType = MemoryType.EPISODIC
    importance: float = 1.0
    tags: frozenset[str] = frozenset()
    metadata: Document = field(default_factory=dict, hash=False)
    expires_at: datetime | None = None
    version: int = 1
    superseded_by: MemoryId | None = None
    superseded_at: datetime | None = None
    event_time: datetime | None = None
    condensing: Condensing | None = None
    revised_at: datetime | None = None

    def __post_init__(self) -> None:
        check_text("content", self.content, LONGEST_CONTENT)
        check_importance(self.importance)
        object.__setattr__(self, "importance", round(self.importance, 6))  # what 32 bits hold
        check_tags(self.tags)
        check_document("metadata", self.metadata)
        for name in ("created_at", "expires_at", "superseded_at", "event_time", "revised_at"):
            moment: datetime | None = getattr(self, name)
            if moment is not None:
                object.__setattr__(self, name, check_moment(name, moment))

    @property
    def moment(self) -> datetime:
        """What orders memories by time: when it happened, or else when it was kept."""
        return self.event_time or self.created_at

    @property
    def updated_at(self) -> datetime:
        """Since when it says what it says."""
        return self.revised_at or self.created_at

    @property
    def is_summary(self) -> bool:
        return self.condensing is Condensing.SUMMARY

    @property
    def begins(self) -> datetime:
        """Since when it is valid: when it happened, or when it was kept, if that was before. A summary is valid since
        it was made; until then its sources were.
        """
        return self.created_at if self.is_summary else min(self.created_at, self.moment)

    @classmethod
    def stored(cls, *values: object) -> "Memory":
        """A memory as its store gives it back, all fields in their order: it was checked when it came in, and a
        search brings many.
        """
        memory = object.__new__(cls)
        for put, value in zip(_PUT, values, strict=True):
            put(memory, value)
        return memory

    def holds(self, now: datetime) -> bool:
        """Neither expired nor superseded."""
        return self.superseded_at is None and not self.has_expired(now)

    def has_expired(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now

    def takes_place_of(self, known: "Memory", now: datetime) -> bool:
        """Whether what is known under its id is as absent as if it were purged: it has expired, and this has not."""
        return known.has_expired(now) and not self.has_expired(now)

    def held(self, then: datetime) -> bool:
        """Whether it was valid at another time: known or true by then, and not yet expired or superseded."""
        return self.begins <= then and all(end is None or end > then for end in (self.superseded_at, self.expires_at))


# The slots themselves: half the time of `object.__setattr__`, which a frozen class would need.
_PUT = tuple(getattr(Memory, each.name).__set__ for each in fields(Memory))


@dataclass(frozen=True, slots=True)
class Embedding:
    """A unit vector of 32-bit floats, or one of zeros, which is near nothing, and the model that made it: vectors of
    two models, or of two dimensions of one, are never compared.
    """

    model: str
    vector: "array[float]" = field(repr=False)

    @property
    def dimension(self) -> int:
        return len(self.vector)

    def scaled(self, rounding: float = 1e-6) -> "Embedding":
        """As it is if its length is 1, but for so much, or nothing; or else in its direction, of length 1. Raises
        ValueError where it has no length that is a number.
        """
        length = math.hypot(*self.vector)
        if not math.isfinite(length):
            raise ValueError("has a number that is not finite")
        sound = not length or abs(length - 1) < rounding
        if sound and isinstance(self.vector, array) and self.vector.typecode == "f":
            return self
        return Embedding(self.model, array("f", (value / (length or 1) for value in self.vector)))

    def is_comparable(self, other: "Embedding") -> bool:
        return (self.model, self.dimension) == (other.model, other.dimension)


def check_tags(tags: frozenset[str]) -> None:
    if not isinstance(tags, frozenset):
        raise InvalidInput("tags", "must be a frozenset of texts")
    if len(tags) > MOST_TAGS:
        raise InvalidInput("tags", f"must be at most {MOST_TAGS}, are {len(tags)}")
    for tag in tags:
        check_text("tags", tag, LONGEST_TAG)


def check_importance(importance: float) -> None:
    check_number("importance", importance, 0, GREATEST_IMPORTANCE)


def check_who(agent_id: str, user_id: str | None = None) -> None:
    check_text("agent_id", agent_id, LONGEST_NAME)
    if user_id is not None:
        check_text("user_id", user_id, LONGEST_NAME)


def parse_tags(tags: Iterable[str]) -> frozenset[str]:
    """A text is no list of texts, though it could be read as one of letters."""
    if isinstance(tags, str):
        raise InvalidInput("tags", "must be a list of texts, is one text")
    try:
        parsed = frozenset(tags)
    except TypeError:
        raise InvalidInput("tags", "must be a list of texts") from None
    check_tags(parsed)
    return parsed


def parse_memory_type(name: str) -> MemoryType:
    try:
        return MemoryType(name)
    except ValueError:
        known = ", ".join(MemoryType)
        raise InvalidInput("memory_type", f"must be one of {known}, is {str(name)[:40]!r}") from None


def parse_condensing(name: str) -> Condensing:
    try:
        return Condensing(name)
    except ValueError:
        known = ", ".join(Condensing)
        raise InvalidInput("condensing", f"must be one of {known}, is {str(name)[:40]!r}") from None


def parse_memory_id(name: MemoryId | str, field: str = "memory_id") -> MemoryId:
    try:
        return MemoryId(name if isinstance(name, UUID) else UUID(name))
    except (ValueError, AttributeError, TypeError):
        raise InvalidInput(field, f"must be a UUID, is {str(name)[:40]!r}") from None
