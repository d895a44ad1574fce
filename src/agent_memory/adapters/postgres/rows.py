"""Memories as rows: the columns, in one order for every statement, and the way there and back.

Words travel as 32-bit hashes, which the database compares faster than text.
"""

from datetime import datetime
from typing import Any, LiteralString
from zlib import crc32

import numpy as np
from pgvector import HalfVector
from psycopg.types.json import Jsonb

from agent_memory.domain.semantic.memory import Condensing, Embedding, Memory, MemoryType, Scope
from agent_memory.domain.semantic.words import memory_words

_OWN: LiteralString = (
    "content, created_at, memory_type, importance, tags, metadata, expires_at, version, superseded_by, superseded_at, "
    "event_time, condensing, revised_at"
)
COLUMNS: LiteralString = "id, agent_id, user_id, tenant, " + _OWN
WIDTH = 17
IN_SCOPE: LiteralString = "id, " + _OWN  # where one scope is asked, its names need not travel with every row
IN_SCOPE_WIDTH = 14
_EVENT_TIME = 11  # its place in `IN_SCOPE`

IN_SCOPE_OF: LiteralString = "tenant = %(tenant)s AND agent_id = %(agent_id)s AND user_id = %(user_id)s"

COMPARED: LiteralString = "(embedding_model = %(model)s AND embedding_dimension = %(dimension)s)"
"""Whether the vector of a row is of the model that is asked with, and of its dimension: others have no cosine."""
# A vector without a length has none either: the database calls it NaN, which is more than any number.
SIMILARITY: LiteralString = f"""
CASE WHEN {COMPARED} THEN coalesce(nullif(1 - (embedding <=> %(vector)s), 'NaN'), 0) ELSE 0 END
"""

_TYPES = {each.value: each for each in MemoryType}
_CONDENSING = {None: None} | {each.value: each for each in Condensing}
_NO_TAGS: frozenset[str] = frozenset()

ADD: LiteralString = """
INSERT INTO agent_memory.memories
    (id, agent_id, user_id, tenant, content, created_at, memory_type, importance, tags, metadata, expires_at,
     version, superseded_by, superseded_at, event_time, condensing, revised_at, embedding, embedding_model, words)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (id, tenant) DO NOTHING
"""

# The row is locked before its version is read, so of two writers who expect the same version one finds it. What was
# superseded meanwhile is another than was read, at whatever version; so is what was put off, whose end would be lost.
REPLACE: LiteralString = """
WITH present AS (
    SELECT * FROM agent_memory.memories
    WHERE id = %(id)s AND tenant = %(tenant)s AND agent_id = %(agent_id)s AND user_id = %(user_id)s
      AND version = %(expected)s
      AND superseded_at IS NOT DISTINCT FROM %(superseded_at)s
      AND superseded_by IS NOT DISTINCT FROM %(superseded_by)s
      AND (NOT %(read)s::boolean OR expires_at IS NOT DISTINCT FROM %(end)s::timestamptz) FOR UPDATE
), kept AS (
    INSERT INTO agent_memory.memory_versions
        (memory_id, tenant, version, content, memory_type, importance, tags, metadata, expires_at, event_time,
         revised_at)
    SELECT id, tenant, version, content, memory_type, importance, tags, metadata, expires_at, event_time, revised_at
    FROM present
)
UPDATE agent_memory.memories AS m
SET content = %(content)s, memory_type = %(memory_type)s, importance = %(importance)s, tags = %(tags)s,
    metadata = %(metadata)s, expires_at = %(expires_at)s, event_time = %(event_time)s, version = %(version)s,
    revised_at = %(revised_at)s, words = %(words)s,
    embedding = coalesce(%(embedding)s::halfvec, m.embedding),
    embedding_model = coalesce(%(embedding_model)s, m.embedding_model)
FROM present WHERE m.id = present.id AND m.tenant = present.tenant
"""


def named(scope: Scope) -> dict[str, object]:
    """The parameters of `IN_SCOPE_OF`."""
    return {"tenant": scope.tenant, "agent_id": scope.agent_id, "user_id": scope.user_id}


def measured_by(embedding: Embedding) -> dict[str, object]:
    """The parameters of `COMPARED` and `SIMILARITY`."""
    return {"model": embedding.model, "dimension": embedding.dimension, "vector": half(embedding)}


def row_of(memory: Memory, embedding: Embedding) -> list[object]:
    return [
        memory.id, memory.scope.agent_id, memory.scope.user_id, memory.scope.tenant, memory.content, memory.created_at,
        memory.memory_type.value, memory.importance, sorted(memory.tags), Jsonb(memory.metadata),
        memory.expires_at, memory.version, memory.superseded_by, memory.superseded_at, memory.event_time,
        memory.condensing and memory.condensing.value, memory.revised_at, half(embedding), embedding.model, bag(memory),
    ]  # fmt: skip


def ending(read: Memory | None) -> dict[str, object]:
    """The parameters that tell whether it ends as it did when it was read, if that is asked."""
    return {"read": read is not None, "end": read and read.expires_at}


def replacing(
    memory: Memory, embedding: Embedding | None, expected: int, read: Memory | None = None
) -> dict[str, object]:
    """The parameters of `REPLACE`."""
    return {
        **named(memory.scope), **ending(read), "id": memory.id, "expected": expected, "version": memory.version,
        "superseded_at": memory.superseded_at, "superseded_by": memory.superseded_by, "content": memory.content,
        "memory_type": memory.memory_type.value, "importance": memory.importance, "tags": sorted(memory.tags),
        "metadata": Jsonb(memory.metadata), "expires_at": memory.expires_at,
        "event_time": memory.event_time, "revised_at": memory.revised_at, "words": bag(memory),
        "embedding": None if embedding is None else half(embedding),
        "embedding_model": None if embedding is None else embedding.model,
    }  # fmt: skip


def memory_of(row: tuple[Any, ...]) -> Memory:
    id_, agent_id, user_id, tenant, *own = row
    return memory_in(Scope(agent_id, user_id, tenant), (id_, *own))


def memory_in(scope: Scope, row: tuple[Any, ...]) -> Memory:
    """Of a row that begins with `IN_SCOPE`."""
    return Memory.stored(*fields_in(scope, row))


def fields_in(scope: Scope, row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Those of the memory, in their order."""
    id_, content, created_at, memory_type, importance, tags, *rest, condensing, revised_at = row[:IN_SCOPE_WIDTH]
    labels = frozenset(tags) if tags else _NO_TAGS
    kind, known = _TYPES[memory_type], _CONDENSING[condensing]
    return id_, scope, content, created_at, kind, real(importance), labels, *rest, known, revised_at


def moment_in(row: tuple[Any, ...]) -> datetime:
    """When it happened, of a row that begins with `IN_SCOPE`."""
    moment: datetime = row[_EVENT_TIME] or row[2]
    return moment


def half(embedding: Embedding) -> HalfVector:
    return HalfVector(np.frombuffer(embedding.vector, dtype=np.float32))


def real(number: float) -> float:
    """As it was before a 32-bit column took it; a memory is not more exact."""
    return round(number, 6)


def hashed(word: str) -> int:
    return crc32(word.encode()) - 2**31  # PostgreSQL's integers have a sign


def bag(memory: Memory) -> str:
    """As the database writes an array: psycopg, given numbers, takes several times as long."""
    words = sorted(hashed(word) for word in memory_words(memory).elements())
    return "{" + ",".join(map(str, words)) + "}"
