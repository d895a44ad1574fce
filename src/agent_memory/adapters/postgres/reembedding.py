"""A `ReembeddingStore` in PostgreSQL: each worker begins somewhere else."""

from collections.abc import Sequence
from typing import LiteralString
from uuid import uuid4

from psycopg import AsyncConnection
from psycopg.sql import SQL

from agent_memory.adapters.postgres.connection import Database
from agent_memory.adapters.postgres.rows import COLUMNS, half, memory_of
from agent_memory.domain.semantic.memory import Embedding, Memory

_CLAIM: LiteralString = """
INSERT INTO agent_memory.embedder_claim (model, dimension, claimed_at) VALUES (%s, %s, clock_timestamp())
ON CONFLICT (one) DO UPDATE
SET (model, dimension, claimed_at) = (excluded.model, excluded.dimension, excluded.claimed_at)
"""
_CLAIMED: LiteralString = "SELECT model, dimension FROM agent_memory.embedder_claim"

_OTHER_MODEL = SQL(" UNION ALL ").join(
    SQL("""
(SELECT embedding_model, embedding_dimension FROM agent_memory.memories
 WHERE (embedding_model, embedding_dimension) {} (%(model)s, %(dimension)s)
 ORDER BY embedding_model, embedding_dimension LIMIT 1)
""").format(SQL(sign))
    for sign in ("<", ">")
)

_SOME = SQL("""
SELECT {columns} FROM agent_memory.memories
WHERE embedding_model = %(other)s AND embedding_dimension = %(of)s AND id {after} %(start)s
ORDER BY id LIMIT %(limit)s
""")

_REEMBED: LiteralString = """
UPDATE agent_memory.memories SET embedding = %s, embedding_model = %s WHERE id = %s AND tenant = %s AND content = %s
"""


class PostgresReembeddingStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, model: str, dimension: int) -> None:
        await self._database.run(lambda connection: connection.execute(_CLAIM, [model, dimension]), writes=())

    async def claimed(self) -> tuple[str, int] | None:
        async def work(connection: AsyncConnection) -> tuple[str, int] | None:
            return await (await connection.execute(_CLAIMED)).fetchone()

        return await self._database.read(work)

    async def outdated(self, model: str, dimension: int, limit: int) -> list[Memory]:
        async def work(connection: AsyncConnection) -> list[Memory]:
            ours = {"model": model, "dimension": dimension}
            others = await (await connection.execute(_OTHER_MODEL, ours)).fetchall()
            if not others:
                return []
            other, of = others[0]
            parameters = {"other": other, "of": of, "start": uuid4(), "limit": limit}
            for after in (SQL(">="), SQL("<")):
                query = _SOME.format(columns=SQL(COLUMNS), after=after)
                rows = await (await connection.execute(query, parameters)).fetchall()
                if rows:
                    return [memory_of(row) for row in rows]
            return []

        return await self._database.read(work)

    async def reembed(self, entries: Sequence[tuple[Memory, Embedding]]) -> int:
        # In the order of their ids, so that no two workers wait for each other.
        by_id = sorted(entries, key=lambda entry: (entry[0].id, entry[0].scope.tenant))
        changes = [
            [half(embedding), embedding.model, memory.id, memory.scope.tenant, memory.content]
            for memory, embedding in by_id
        ]

        async def work(connection: AsyncConnection) -> int:
            async with connection.transaction(), connection.cursor() as cursor:
                await cursor.executemany(_REEMBED, changes)
                return cursor.rowcount

        return await self._database.run(work)
