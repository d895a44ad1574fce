"""Memories that say nearly the same: of the very same content by its hash, of the same meaning by the vectors."""

from datetime import datetime

from psycopg import AsyncConnection
from psycopg.sql import SQL, Literal

from agent_memory.adapters.postgres.conditions import valid
from agent_memory.adapters.postgres.connection import Database
from agent_memory.adapters.postgres.memories import WHOLE_UP_TO
from agent_memory.adapters.postgres.rows import COLUMNS, half, memory_of
from agent_memory.adapters.postgres.sizes import Sizes
from agent_memory.domain.semantic.duplicates import MOST_REPORTED, NEAR, NEARLY, Likeness
from agent_memory.domain.semantic.memory import Embedding, Memory

TWINS = SQL("""
SELECT {columns} FROM agent_memory.memories
WHERE agent_id = %(agent_id)s AND user_id = %(user_id)s AND {valid}
  AND hashtextextended(content, 0) = ANY(ARRAY(
      SELECT hashtextextended(said, 0) FROM unnest(%(contents)s::text[]) AS said
  ))
  AND content = ANY(%(contents)s::text[])
""").format(columns=SQL(COLUMNS), valid=valid())

_NEAR = SQL("""
SELECT {columns}, (1 - (embedding <=> %(vector)s))::float8
FROM agent_memory.memories
WHERE agent_id = %(agent_id)s AND user_id = %(user_id)s AND {valid} AND id <> %(id)s
  AND embedding_model = %(model)s AND embedding_dimension = {dimension}
ORDER BY embedding::halfvec({dimension}) <=> %(vector)s::halfvec({dimension})
LIMIT {most}
""")


class Likenesses:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._sizes = Sizes(WHOLE_UP_TO)

    async def find(self, memory: Memory, embedding: Embedding, now: datetime, *, thorough: bool) -> list[Likeness]:
        near = _NEAR.format(
            columns=SQL(COLUMNS), valid=valid(), dimension=Literal(len(embedding.vector)), most=Literal(MOST_REPORTED)
        )
        parameters = {
            "agent_id": memory.scope.agent_id,
            "user_id": memory.scope.user_id,
            "now": now,
            "id": memory.id,
            "contents": [memory.content],
            "model": embedding.model,
            "vector": half(embedding),
        }

        async def work(connection: AsyncConnection) -> list[Likeness]:
            twins = await (await connection.execute(TWINS, parameters)).fetchall()
            found = [Likeness(twin, 1.0) for row in twins if (twin := memory_of(row)).id != memory.id]
            if thorough or await self._sizes.of(connection, memory.scope) <= WHOLE_UP_TO:
                rows = await (await connection.execute(near, parameters)).fetchall()
                others = (Likeness(memory_of(row[:-1]), min(row[-1], NEARLY)) for row in rows)
                found += [o for o in others if o.similarity >= NEAR and o.memory.content != memory.content]
            return found[:MOST_REPORTED]

        return await self._database.run(work)
