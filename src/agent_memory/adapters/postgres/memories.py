"""A `MemoryStore` in PostgreSQL: the SQL, and rows to memories and back.

Words travel as 32-bit hashes, which the database compares faster than text.
"""

from collections import Counter
from datetime import datetime
from typing import LiteralString
from uuid import UUID
from zlib import crc32

import numpy as np
from pgvector import HalfVector
from psycopg import AsyncConnection

from agent_memory.adapters.postgres.connection import Database
from agent_memory.domain.semantic.memory import Embedding, Memory, MemoryId, MemoryType, Scope
from agent_memory.domain.semantic.recall import Candidate, Search, Shortlist, WordStatistics
from agent_memory.domain.semantic.words import memory_words

_ADD: LiteralString = """
INSERT INTO agent_memory.memories
    (id, agent_id, user_id, content, memory_type, importance, created_at, embedding, embedding_model, words)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (id) DO NOTHING
"""

# One pass over the scope measures every memory; three legs choose, and each choice brings its neighbours.
_SHORTLIST: LiteralString = """
WITH scope AS MATERIALIZED (
    SELECT id, content, memory_type, importance, created_at,
           row_number() OVER (ORDER BY created_at, id) AS position,
           CASE WHEN embedding_model = %(model)s THEN 1 - (embedding <=> %(vector)s) ELSE 0 END AS similarity,
           CASE WHEN words && %(words)s
                THEN ARRAY(SELECT word FROM unnest(words) AS word WHERE word = ANY(%(words)s)) END AS matched,
           cardinality(words) AS length,
           %(memory_type)s::text IS NULL OR memory_type = %(memory_type)s AS eligible
    FROM agent_memory.memories
    WHERE agent_id = %(agent_id)s AND user_id = %(user_id)s
), totals AS (
    SELECT count(*) AS documents, avg(length)::float8 AS mean_length FROM scope
), counts AS (
    SELECT position, length, eligible, word, count(*)::float8 AS count
    FROM scope, unnest(matched) AS word
    GROUP BY position, length, eligible, word
), frequencies AS (
    SELECT word, count(*)::float8 AS frequency FROM counts GROUP BY word
), by_words AS (
    SELECT position
    FROM counts JOIN frequencies USING (word), totals
    WHERE eligible
    GROUP BY position
    ORDER BY sum(ln((documents + 1) / (frequency + 0.5::float8)) * count
                 / (count + 0.9::float8 * (0.75::float8 + 0.25::float8 * length / mean_length))) DESC
    LIMIT %(depth)s
), chosen AS (
    (SELECT position FROM scope WHERE eligible ORDER BY similarity DESC LIMIT %(depth)s)
    UNION (SELECT position FROM by_words)
    UNION (SELECT position FROM scope WHERE eligible ORDER BY position DESC LIMIT %(newest)s)
)
SELECT id, content, memory_type, importance, created_at, position, similarity, matched, length, eligible,
       documents, mean_length,
       ARRAY(SELECT word FROM frequencies ORDER BY word), ARRAY(SELECT frequency FROM frequencies ORDER BY word)
FROM scope, totals
WHERE position IN (SELECT position + step FROM chosen, generate_series(-2, 2) AS step)
ORDER BY position
"""

_REMOVE: LiteralString = """
DELETE FROM agent_memory.memories
WHERE id = %(id)s AND agent_id = %(agent_id)s AND (%(user_id)s::text IS NULL OR user_id = %(user_id)s)
"""

_COUNT: LiteralString = "SELECT count(*) FROM agent_memory.memories WHERE agent_id = %s AND user_id = %s"

Row = tuple[
    UUID,
    str,
    str,
    float,
    datetime,
    int,
    float,
    list[int] | None,
    int,
    bool,
    int,
    float,
    list[int],
    list[float],
]


class PostgresMemoryStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, memory: Memory, embedding: Embedding) -> None:
        scope = memory.scope
        row = [
            memory.id, scope.agent_id, scope.user_id, memory.content, memory.memory_type.value,
            memory.importance, memory.created_at, _half(embedding), embedding.model, _bag(memory),
        ]  # fmt: skip

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(_ADD, row)

        await self._database.run(work)

    async def shortlist(self, search: Search) -> Shortlist:
        words = {_hashed(word): word for word in search.words}
        parameters = {
            "agent_id": search.scope.agent_id,
            "user_id": search.scope.user_id,
            "model": search.embedding.model,
            "vector": _half(search.embedding),
            "words": list(words),
            "memory_type": search.memory_type,
            "depth": search.depth,
            "newest": search.newest,
        }

        async def work(connection: AsyncConnection) -> list[Row]:
            async with connection.cursor(binary=True) as cursor:
                await cursor.execute(_SHORTLIST, parameters)
                return await cursor.fetchall()

        rows = await self._database.run(work)
        candidates = tuple(_candidate(row, search.scope, words) for row in rows)
        return Shortlist(candidates, _statistics(rows, words))

    async def remove(self, memory_id: MemoryId, agent_id: str, user_id: str | None = None) -> bool:
        parameters = {"id": memory_id, "agent_id": agent_id, "user_id": user_id}

        async def work(connection: AsyncConnection) -> bool:
            return (await connection.execute(_REMOVE, parameters)).rowcount > 0

        return await self._database.run(work)

    async def count(self, scope: Scope) -> int:
        async def work(connection: AsyncConnection) -> int:
            cursor = await connection.execute(_COUNT, [scope.agent_id, scope.user_id])
            [[count]] = await cursor.fetchall()
            return int(count)

        return await self._database.run(work)


def _half(embedding: Embedding) -> HalfVector:
    return HalfVector(np.frombuffer(embedding.vector, dtype=np.float32))


def _hashed(word: str) -> int:
    return crc32(word.encode()) - 2**31  # PostgreSQL's integers have a sign


def _bag(memory: Memory) -> list[int]:
    return sorted(_hashed(word) for word in memory_words(memory).elements())


def _candidate(row: Row, scope: Scope, words: dict[int, str]) -> Candidate:
    id_, content, memory_type, importance, created_at, position, similarity, matched, length, eligible = row[:10]
    return Candidate(
        memory=Memory(MemoryId(id_), scope, content, created_at, MemoryType(memory_type), importance),
        position=position,
        similarity=similarity,
        counts=Counter([words[word] for word in matched]) if matched else {},
        length=length,
        eligible=eligible,
    )


def _statistics(rows: list[Row], words: dict[int, str]) -> WordStatistics:
    if not rows:
        return WordStatistics(0, 0.0, {})
    documents, mean_length, found, frequencies = rows[0][10:]
    known = zip(found, frequencies, strict=True)
    return WordStatistics(documents, mean_length, {words[word]: int(frequency) for word, frequency in known})
