"""Memories that say nearly the same: of the very same content by its hash, of the same meaning by the vectors. A small
scope that is kept ready is asked there.
"""

from datetime import datetime

from psycopg import AsyncConnection
from psycopg.sql import SQL, Literal

from agent_memory.adapters.postgres.conditions import valid
from agent_memory.adapters.postgres.connection import Database
from agent_memory.adapters.postgres.memories import SMALL_UP_TO, WHOLE_UP_TO
from agent_memory.adapters.postgres.rows import COLUMNS, IN_SCOPE_OF, half, memory_of, named
from agent_memory.adapters.postgres.scope_cache import ScopeCache
from agent_memory.adapters.postgres.sizes import Sizes
from agent_memory.domain.semantic.duplicates import MOST_REPORTED, NEAR, NEARLY, Likeness
from agent_memory.domain.semantic.memory import Embedding, Memory

TWINS = SQL("""
SELECT {columns} FROM agent_memory.memories
WHERE {scope} AND {valid}
  AND hashtextextended(content, 0) = ANY(ARRAY(
      SELECT hashtextextended(said, 0) FROM unnest(%(contents)s::text[]) AS said
  ))
  AND content = ANY(%(contents)s::text[])
""").format(columns=SQL(COLUMNS), scope=SQL(IN_SCOPE_OF), valid=valid())

# Every memory of the scope is measured; the vectors of another model are not.
_NEAR_IN_SMALL = SQL("""
SELECT * FROM (
    SELECT {columns}, CASE WHEN content = %(content)s THEN 1
                           WHEN embedding_model = %(model)s THEN least(1 - (embedding <=> %(vector)s), {nearly})
                           ELSE 0 END::float8 AS similarity
    FROM agent_memory.memories
    WHERE {scope} AND {valid} AND id <> %(id)s
) AS measured
WHERE similarity >= {near} ORDER BY similarity DESC LIMIT {most}
""").format(
    columns=SQL(COLUMNS),
    scope=SQL(IN_SCOPE_OF),
    valid=valid(),
    nearly=Literal(NEARLY),
    near=Literal(NEAR),
    most=Literal(MOST_REPORTED),
)

_NEAR = SQL("""
SELECT {columns}, (1 - (embedding <=> %(vector)s))::float8
FROM agent_memory.memories
WHERE {scope} AND {valid} AND id <> %(id)s
  AND embedding_model = %(model)s AND embedding_dimension = {dimension}
ORDER BY embedding::halfvec({dimension}) <=> %(vector)s::halfvec({dimension})
LIMIT {most}
""")


class Likenesses:
    def __init__(self, database: Database, cache: ScopeCache | None) -> None:
        self._database = database
        self._cache = cache
        self._sizes = Sizes(WHOLE_UP_TO)

    async def find(self, memory: Memory, embedding: Embedding, now: datetime, *, thorough: bool) -> list[Likeness]:
        if self._cache and (self._cache.size(memory.scope) or WHOLE_UP_TO) <= SMALL_UP_TO:
            scope = await self._cache.read(memory.scope, embedding, 2 * SMALL_UP_TO)
            if scope is not None:
                return scope.alike(memory, embedding, now)
        return await self._ask(memory, embedding, now, thorough=thorough)

    async def _ask(self, memory: Memory, embedding: Embedding, now: datetime, *, thorough: bool) -> list[Likeness]:
        parameters = named(memory.scope) | {
            "now": now,
            "id": memory.id,
            "content": memory.content,
            "contents": [memory.content],
            "model": embedding.model,
            "vector": half(embedding),
        }

        async def work(connection: AsyncConnection) -> list[Likeness]:
            if await self._sizes.of(connection, memory.scope) <= WHOLE_UP_TO:
                rows = await (await connection.execute(_NEAR_IN_SMALL, parameters)).fetchall()
                return [Likeness(memory_of(row[:-1]), row[-1]) for row in rows]
            twins = await (await connection.execute(TWINS, parameters)).fetchall()
            found = [Likeness(twin, 1.0) for row in twins if (twin := memory_of(row)).id != memory.id]
            if thorough:
                found += await _near(connection, memory, len(embedding.vector), parameters)
            return found[:MOST_REPORTED]

        return await self._database.run(work)


async def _near(
    connection: AsyncConnection, memory: Memory, dimension: int, parameters: dict[str, object]
) -> list[Likeness]:
    """Through the vector index; the very same content is another's matter."""
    query = _NEAR.format(
        columns=SQL(COLUMNS),
        scope=SQL(IN_SCOPE_OF),
        valid=valid(),
        dimension=Literal(dimension),
        most=Literal(MOST_REPORTED),
    )
    rows = await (await connection.execute(query, parameters)).fetchall()
    found = [Likeness(memory_of(row[:-1]), min(row[-1], NEARLY)) for row in rows]
    return [each for each in found if each.similarity >= NEAR and each.memory.content != memory.content]
