"""Memories as rows: the columns, in one order for every statement, and the way there and back.

Words travel as 32-bit hashes, which the database compares faster than text.
"""

from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID
from zlib import crc32

import numpy as np
from pgvector import HalfVector
from psycopg.types.json import Jsonb

from agent_memory.domain.semantic.memory import Embedding, Memory, MemoryId, MemoryType, Scope
from agent_memory.domain.semantic.words import memory_words

COLUMNS: LiteralString = (
    "id, agent_id, user_id, content, created_at, memory_type, importance, tags, metadata, expires_at, "
    "version, superseded_by, superseded_at, event_time"
)
WIDTH = 14

MemoryRow = tuple[
    UUID, str, str, str, datetime, str, float, list[str], dict[str, Any], datetime | None,
    int, UUID | None, datetime | None, datetime | None,
]  # fmt: skip

ADD: LiteralString = """
INSERT INTO agent_memory.memories
    (id, agent_id, user_id, content, created_at, memory_type, importance, tags, metadata, expires_at,
     version, superseded_by, superseded_at, event_time, embedding, embedding_model, words)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (id) DO NOTHING
"""


def row_of(memory: Memory, embedding: Embedding) -> list[object]:
    return [
        memory.id, memory.scope.agent_id, memory.scope.user_id, memory.content, memory.created_at,
        memory.memory_type.value, memory.importance, sorted(memory.tags), Jsonb(memory.metadata), memory.expires_at,
        memory.version, memory.superseded_by, memory.superseded_at, memory.event_time,
        half(embedding), embedding.model, bag(memory),
    ]  # fmt: skip


def memory_of(row: MemoryRow) -> Memory:
    id_, agent_id, user_id, content, created_at, memory_type, importance, tags, metadata = row[:9]
    expires_at, version, superseded_by, superseded_at, event_time = row[9:]
    return Memory(
        MemoryId(id_), Scope(agent_id, user_id), content, created_at, MemoryType(memory_type), importance,
        frozenset(tags), metadata, expires_at, version,
        None if superseded_by is None else MemoryId(superseded_by), superseded_at, event_time,
    )  # fmt: skip


def half(embedding: Embedding) -> HalfVector:
    return HalfVector(np.frombuffer(embedding.vector, dtype=np.float32))


def hashed(word: str) -> int:
    return crc32(word.encode()) - 2**31  # PostgreSQL's integers have a sign


def bag(memory: Memory) -> list[int]:
    return sorted(hashed(word) for word in memory_words(memory).elements())
