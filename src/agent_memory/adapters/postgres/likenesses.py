"""Memories that say nearly the same: of the very same content by its hash, of the same meaning by the vectors. A small
scope that is kept ready is asked there.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.sql import SQL, Composed, Literal

from agent_memory.adapters.postgres.conditions import valid
from agent_memory.adapters.postgres.connection import Database
from agent_memory.adapters.postgres.indexing import LARGE
from agent_memory.adapters.postgres.memories import SMALL_UP_TO, WHOLE_UP_TO
from agent_memory.adapters.postgres.rows import COLUMNS, IN_SCOPE_OF, SIMILARITY, measured_by, memory_of, named
from agent_memory.adapters.postgres.scope_cache import ScopeCache
from agent_memory.adapters.postgres.side_by_side import near_in_scope
from agent_memory.adapters.postgres.sizes import Sizes
from agent_memory.adapters.postgres.vector_likeness import (
    Depth,
    Entry,
    Way,
    likenesses,
    nearest,
    nearest_by_index,
    same,
)
from agent_memory.domain.semantic.duplicates import MOST_REPORTED, NEAR, NEARLY, Likeness, most_alike
from agent_memory.domain.semantic.memory import Embedding, Memory

_MOST_COMPARED = 50  # to see whether one of them says the same
_DEEP = Depth(_MOST_COMPARED, 1000, 6000, 32768)
# To look for one through the index costs as much as to bring so many vectors, all in all no more than these.
_WORTH_COMPARING, _MOST_COMPARED_HERE = 100, 10_000

# The very same, of the same kind and, if it names a time, of the same time; whatever else is near.
_SAME = SQL("""
SELECT {columns} FROM agent_memory.memories
WHERE {scope} AND {valid} AND id <> %(id)s
  AND hashtextextended(content, 0) = hashtextextended(%(content)s, 0) AND content = %(content)s
  AND memory_type = %(memory_type)s AND (%(event_time)s::timestamptz IS NULL OR event_time = %(event_time)s)
ORDER BY created_at, id LIMIT {most}
""").format(columns=SQL(COLUMNS), scope=SQL(IN_SCOPE_OF), valid=valid(), most=Literal(_MOST_COMPARED))

# Every memory of the scope is measured; vectors of another model or dimension are not.
_NEAR_IN_SMALL = SQL("""
SELECT * FROM (
    SELECT {columns},
           CASE WHEN content = %(content)s THEN 1 ELSE least({similarity}, {nearly}) END::float8 AS similarity
    FROM agent_memory.memories
    WHERE {scope} AND {valid} AND id <> %(id)s
) AS measured
WHERE similarity >= {near} ORDER BY similarity DESC, created_at, id LIMIT %(most)s
""").format(
    columns=SQL(COLUMNS),
    scope=SQL(IN_SCOPE_OF),
    valid=valid(),
    similarity=SQL(SIMILARITY),
    nearly=Literal(NEARLY),
    near=Literal(NEAR),
)


class Likenesses:
    def __init__(self, database: Database, cache: ScopeCache | None) -> None:
        self._database = database
        self._cache = cache
        self._sizes = Sizes(WHOLE_UP_TO)

    async def find(self, memory: Memory, embedding: Embedding, now: datetime) -> list[Likeness]:
        """Those that are reported."""
        if self._cache and (self._cache.size(memory.scope) or WHOLE_UP_TO) <= SMALL_UP_TO:
            scope = await self._cache.read(memory.scope, embedding, 2 * SMALL_UP_TO)
            if scope is not None:
                return scope.alike(memory, embedding, now)
        parameters = _parameters(memory, embedding, now, MOST_REPORTED)

        async def work(connection: AsyncConnection) -> list[Likeness]:
            size = await self._sizes.of(connection, memory.scope)
            if size <= WHOLE_UP_TO:
                return await _measured(connection, parameters)
            [found] = await likenesses(connection, [(memory, embedding)], now, same, _near(size))
            return most_alike(found)

        return await self._database.read(work)

    async def of_many(self, entries: Sequence[Entry], now: datetime) -> list[list[Likeness]]:
        """Of each those that were there before, more than are reported and some of them twice. All are of one scope."""

        async def work(connection: AsyncConnection) -> list[list[Likeness]]:
            size = await self._sizes.of(connection, entries[0][0].scope)
            if size > max(WHOLE_UP_TO, min(_WORTH_COMPARING * len(entries), _MOST_COMPARED_HERE)):
                return await likenesses(connection, entries, now, same, _near(size))
            twins = await likenesses(connection, entries, now, same)
            near = await near_in_scope(connection, entries, now)
            return [one + other for one, other in zip(twins, near, strict=True)]

        return await self._database.read(work) if entries else []

    async def all_on(
        self, connection: AsyncConnection, memory: Memory, embedding: Embedding, now: datetime
    ) -> list[Likeness]:
        """More than are reported, in a large scope too, as they are in the transaction of this connection. Those of the
        very same content come first.
        """
        parameters = _parameters(memory, embedding, now, _MOST_COMPARED)
        first = [Likeness(memory_of(row), 1.0) for row in await _rows(connection, _SAME, parameters)]
        size = await self._sizes.of(connection, memory.scope)
        if size <= WHOLE_UP_TO:
            near = await _measured(connection, parameters)
        else:
            [near] = await likenesses(connection, [(memory, embedding)], now, same, nearest, depth=_DEEP)
        known = {like.memory.id for like in first}
        return first + [like for like in near if like.memory.id not in known]


def _near(size: int) -> Way:
    """How to look in a scope of that size, where it need not be certain that nothing is missed."""
    return nearest if size <= LARGE else nearest_by_index


def _parameters(memory: Memory, embedding: Embedding, now: datetime, most: int) -> dict[str, object]:
    return (
        named(memory.scope)
        | measured_by(embedding)
        | {
            "now": now,
            "id": memory.id,
            "content": memory.content,
            "memory_type": memory.memory_type.value,
            "event_time": memory.event_time,
            "most": most,
        }
    )


async def _measured(connection: AsyncConnection, parameters: dict[str, object]) -> list[Likeness]:
    return [Likeness(memory_of(row[:-1]), row[-1]) for row in await _rows(connection, _NEAR_IN_SMALL, parameters)]


async def _rows(connection: AsyncConnection, query: Composed, parameters: dict[str, object]) -> list[tuple[Any, ...]]:
    return await (await connection.execute(query, parameters)).fetchall()
