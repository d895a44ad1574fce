"""Words for looking after memories: a place in a list, what a scope holds, what was erased."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.semantic.memory import Memory, MemoryId, MemoryType


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
        if mark.moment.tzinfo is None:
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
