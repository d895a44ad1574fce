"""Words for looking after memories: which version is meant, a place in a list, what a scope holds, what was erased."""

import base64
import binascii
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from agent_memory.domain.errors import Conflict, InvalidInput, StaleVersion
from agent_memory.domain.semantic.memory import Memory, MemoryId, MemoryType

LAST_VERSION = 2**31 - 1  # as far as the column of a database reaches

Versions = int | Collection[int]
"""One, or any of several."""


def versions_meant(meant: Versions) -> list[int]:
    return [meant] if isinstance(meant, int) else sorted(meant)


def check_versions(meant: Versions | None) -> None:
    """Raises InvalidInput for what is no version, nor several."""
    several = [meant] if not isinstance(meant, Collection) or isinstance(meant, str | bytes) else meant
    if meant is not None and not all(isinstance(each, int) and not isinstance(each, bool) for each in several):
        raise InvalidInput("version", "must be a whole number, or several")


def check_version(memory_id: MemoryId, present: int, meant: Versions | None) -> None:
    """Raises StaleVersion where the memory is at none of those that are meant; None: whatever it is at."""
    if meant is None:
        return
    several = versions_meant(meant)
    if present not in several:
        told = " or ".join(map(str, several)) or "one that was named"
        raise StaleVersion(f"memory {memory_id} is at version {present}, not {told}")


def check_end(told: Memory) -> None:
    """Raises InvalidInput where it would begin after it was superseded."""
    end = told.superseded_at
    if end is not None and told.begins > end:
        raise InvalidInput("event_time", f"must not be after {end.isoformat()}, when the memory was superseded")


def next_version(told: Memory, now: datetime) -> Memory:
    """What is said anew of a memory as it was read. No version is older than the one before, whatever a clock says.
    Raises Conflict where it is at the last that can be counted.
    """
    if told.version >= LAST_VERSION:
        raise Conflict(f"memory {told.id} is at version {told.version}, the last one: supersede it")
    return replace(told, version=told.version + 1, revised_at=max(now, told.updated_at))


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a list was left: just after this memory. It stays good while others come and go."""

    moment: datetime
    id: MemoryId

    @classmethod
    def after(cls, memory: Memory) -> "Mark":
        return cls(memory.moment, memory.id)

    @classmethod
    def read(cls, cursor: str) -> "Mark":
        try:
            moment, _, name = base64.urlsafe_b64decode(cursor.encode()).decode().partition(" ")
            mark = cls(datetime.fromisoformat(moment), MemoryId(UUID(name)))
        except (ValueError, AttributeError, binascii.Error):
            raise InvalidInput("cursor", "is none that we gave") from None
        if mark.moment.tzinfo is None or mark.cursor() != cursor:
            raise InvalidInput("cursor", "is none that we gave")
        return mark

    def cursor(self) -> str:
        return base64.urlsafe_b64encode(f"{self.moment.isoformat()} {self.id}".encode()).decode()


@dataclass(frozen=True, slots=True)
class Page:
    """Newest first. `cursor` asks for what follows; None: nothing does."""

    memories: tuple[Memory, ...]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a scope holds; superseded and expired memories are in none of the other figures."""

    memories: int
    by_type: Mapping[MemoryType, int]
    by_tag: Mapping[str, int]
    characters: int
    oldest: datetime | None
    newest: datetime | None
    superseded: int
    expired: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an erasure took away, for good."""

    user_id: str
    agent_id: str | None
    memories: int
    versions: int
    erased_at: datetime
