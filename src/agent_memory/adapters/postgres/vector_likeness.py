"""Memories of one scope that are near others by the vectors or of their very words, for one or many at once.

The vector index is looked through less deep than by a search: of a near-duplicate there is little that is nearer. As
its settings hold for the one statement only, a search that uses the connection next has its own.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from typing import Any, LiteralString, NamedTuple

from psycopg import AsyncConnection
from psycopg.sql import SQL, Composed, Literal

from agent_memory.adapters.postgres.conditions import valid
from agent_memory.adapters.postgres.indexing import indexed
from agent_memory.adapters.postgres.rows import COLUMNS, IN_SCOPE_OF, half, memory_of, named
from agent_memory.domain.semantic.duplicates import MOST_REPORTED, NEAR, NEARLY, Likeness
from agent_memory.domain.semantic.memory import Embedding, Memory

Entry = tuple[Memory, Embedding]
Way = Callable[[int], Composed]
"""How to look for those that are alike, if vectors are of that dimension."""

_AT_ONCE = 100  # memories in one statement, which then takes a fraction of a second


class Depth(NamedTuple):
    """How many of the nearest are brought, of how many that the index holds at once, and after how many memories, or
    lists of them, it gives up.
    """

    most: int
    looked: int
    scanned: int
    probed: int


REPORTED = Depth(MOST_REPORTED, 80, 2000, 10)

_TOLD = SQL("""
WITH told AS MATERIALIZED (
    SELECT number, id, content, vector::halfvec({dimension}) AS vector
    FROM unnest(%(ids)s::uuid[], %(contents)s::text[], %(vectors)b::halfvec[])
         WITH ORDINALITY AS each (id, content, vector, number),
         -- for this statement only, and set before the index is asked
         (SELECT set_config('hnsw.ef_search', %(looked)s, true), set_config('hnsw.max_scan_tuples', %(scanned)s, true),
                 set_config('ivfflat.max_probes', %(probed)s, true)) AS settings
)
SELECT alike.*, number FROM told, LATERAL ({alike}) AS alike
""")

_SAME: LiteralString = """
(SELECT {columns}, 1::float8 AS similarity FROM agent_memory.memories
 WHERE {scope} AND {valid} AND id <> told.id
   AND hashtextextended(content, 0) = hashtextextended(told.content, 0) AND content = told.content
 ORDER BY created_at, id LIMIT %(most)s)
"""

# The very same words are another's matter, but they may be nearest, and are not to be passed over one by one.
_NEAR: LiteralString = """
(SELECT {columns}, similarity FROM ({nearest} LIMIT %(most)s) AS nearest
 WHERE similarity >= {near} AND content <> told.content)
"""

_BY_PLAN: LiteralString = """
SELECT {columns}, {similarity} AS similarity FROM agent_memory.memories
WHERE {scope} AND {valid} AND id <> told.id AND embedding_model = %(model)s AND embedding_dimension = {dimension}
ORDER BY embedding::halfvec({dimension}) <=> told.vector
"""

# What is behind an offset is not narrowed down to the scope, all of which another index would bring.
_BY_INDEX: LiteralString = """
SELECT {columns}, similarity FROM (
    SELECT *, {similarity} AS similarity FROM agent_memory.memories
    WHERE embedding_dimension = {dimension} AND {indexed}
    ORDER BY embedding::halfvec({dimension}) <=> told.vector OFFSET 0
) AS by_distance
WHERE {scope} AND {valid} AND id <> told.id AND embedding_model = %(model)s
"""

_SIMILARITY: LiteralString = """
least(coalesce(nullif(1 - (embedding::halfvec({}) <=> told.vector), 'NaN'), 0), {})::float8
"""


def same(_dimension: int) -> Composed:
    """Those of the very same words, the first first."""
    return SQL(_SAME).format(columns=SQL(COLUMNS), scope=SQL(IN_SCOPE_OF), valid=valid())


def nearest(dimension: int) -> Composed:
    """By the index, or by comparing all of the scope, as the planner sees fit."""
    return _near(_BY_PLAN, dimension)


def nearest_by_index(dimension: int) -> Composed:
    """By the index alone, if there is one: to compare all takes the longer, the larger a scope is."""
    return _near(_BY_INDEX, dimension)


def _near(way: LiteralString, dimension: int) -> Composed:
    one_way = SQL(way).format(
        columns=SQL(COLUMNS),
        similarity=SQL(_SIMILARITY).format(Literal(dimension), Literal(NEARLY)),
        scope=SQL(IN_SCOPE_OF),
        valid=valid(),
        dimension=Literal(dimension),
        indexed=indexed(dimension),
    )
    return SQL(_NEAR).format(columns=SQL(COLUMNS), nearest=one_way, near=Literal(NEAR))


@cache
def _statement(dimension: int, *ways: Way) -> bytes:
    alike = SQL(" UNION ALL ").join(way(dimension) for way in ways)
    return _TOLD.format(dimension=Literal(dimension), alike=alike).as_bytes()


async def likenesses(
    connection: AsyncConnection, entries: Sequence[Entry], now: datetime, *ways: Way, depth: Depth = REPORTED
) -> list[list[Likeness]]:
    """Of each entry what each of these ways brings. All are of one scope."""
    found: list[list[Likeness]] = [[] for _ in entries]
    for start in range(0, len(entries), _AT_ONCE):
        some = entries[start : start + _AT_ONCE]
        statement = _statement(len(some[0][1].vector), *ways)
        cursor = await connection.execute(statement, _parameters(some, now, depth))
        for *row, similarity, number in await cursor.fetchall():
            found[start + number - 1].append(Likeness(memory_of(tuple(row)), similarity))
    return found


def _parameters(entries: Sequence[Entry], now: datetime, depth: Depth) -> dict[str, Any]:
    memory, embedding = entries[0]
    return named(memory.scope) | {
        "now": now,
        "model": embedding.model,
        "ids": [memory.id for memory, _ in entries],
        "contents": [memory.content for memory, _ in entries],
        "vectors": [half(embedding) for _, embedding in entries],
        "most": depth.most,
        "looked": str(depth.looked),
        "scanned": str(depth.scanned),
        "probed": str(depth.probed),
    }
