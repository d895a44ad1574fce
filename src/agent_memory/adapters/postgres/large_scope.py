"""The shortlist of a scope that is too large to be read whole: each leg through an index of its own.

The nearest come from the vector index, the best by words from the rarest of them, and the neighbours of both by time.
Of what the vector index brings first, the nearest may be missing: so many more are looked at. Where it has brought too
few when it gives up, as it does under a filter that few pass, all that pass are compared instead.
"""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any
from weakref import WeakKeyDictionary

from psycopg import AsyncConnection
from psycopg.sql import SQL, Literal

from agent_memory.adapters.postgres.candidates import MEASURED_WIDTH, candidate_in
from agent_memory.adapters.postgres.conditions import Conditions, valid
from agent_memory.adapters.postgres.rows import (
    COMPARED,
    IN_SCOPE,
    IN_SCOPE_OF,
    IN_SCOPE_WIDTH,
    SIMILARITY,
    hashed,
    moment_in,
)
from agent_memory.adapters.postgres.sizes import Commonness
from agent_memory.adapters.postgres.whole_scope import parameters_of
from agent_memory.domain.semantic.memory import Scope
from agent_memory.domain.semantic.recall import Candidate, Search, Shortlist, WordStatistics
from agent_memory.domain.semantic.selection import EVERYTHING
from agent_memory.domain.semantic.shortlisting import NEIGHBOURS

_LEAST_LOOKED_AT = 200  # memories that the vector index has to bring
_MOST_LOOKED_AT = 1000  # by the vector index in one go: what a connection is opened with, and the most there is
_ENOUGH = 400  # of those in the scope: among 250, one of a hundred nearest is missing
_MOST_WORDED = 1000  # memories that the words of a query may bring: common words are left out for it

HELD = SQL("{} AND {}")

BY_INDEX = SQL("""
    SELECT ctid AS place, id, moment, embedding::halfvec({dimension}) <=> %(vector)s::halfvec({dimension}) AS distance
    FROM agent_memory.memories
    WHERE {held} AND {selected} AND embedding_model = %(model)s AND embedding_dimension = {dimension}
    ORDER BY distance LIMIT %(looked)s
""")

# Rows by where they lie. What is behind an offset is looked up one by one: of a tenant that came after the planner has
# counted it expects one row, and would go through all that led there again for each of them.
AT_THEIR_PLACES = SQL("""
LATERAL (
    SELECT * FROM agent_memory.memories AS m WHERE m.ctid = {place} AND m.tenant = %(tenant)s OFFSET 0
) AS memories
""")

_BY_COMPARING = SQL("""
    SELECT ctid AS place, id, moment, 1 - {similarity} AS distance
    FROM agent_memory.memories
    WHERE {held} AND {selected}
    ORDER BY distance LIMIT %(looked)s
""")

_SHORTLIST = SQL("""
WITH looked_at AS MATERIALIZED ({looked_at}), near AS (
    SELECT place, id, moment FROM looked_at ORDER BY distance LIMIT %(depth)s
), counts AS MATERIALIZED (
    SELECT ctid AS place, id, moment, cardinality(words) AS length, word, count(*)::float8 AS count
    FROM agent_memory.memories, unnest(words) AS word
    WHERE {held} AND {selected} AND words && %(rare)s AND word = ANY(%(rare)s)
    GROUP BY ctid, id, moment, cardinality(words), word
), frequencies AS MATERIALIZED (
    SELECT word, count(*)::float8 AS frequency FROM counts GROUP BY word
), by_words AS (
    SELECT place, id, moment
    FROM counts JOIN frequencies USING (word)
    GROUP BY place, id, moment
    ORDER BY sum(ln((%(size)s + 1) / (frequency + 0.5::float8)) * count
                 / (count + 0.9::float8 * (0.75::float8 + 0.02::float8 * least(length, 100)))) DESC
    LIMIT %(depth)s
), newest AS (
    -- where all that pass were looked at, they are not looked for again: that would be through all of the scope
    (SELECT place, id, moment FROM looked_at WHERE (SELECT count(*) FROM looked_at) < %(looked)s
     ORDER BY moment DESC, id DESC LIMIT %(newest)s)
    UNION ALL
    (SELECT ctid, id, moment FROM agent_memory.memories
     WHERE (SELECT count(*) FROM looked_at) >= %(looked)s AND {held} AND {selected}
     ORDER BY moment DESC, id DESC LIMIT %(newest)s)
), hits AS MATERIALIZED (
    SELECT * FROM near UNION SELECT * FROM by_words UNION SELECT * FROM newest
), windows AS (
    SELECT id AS hit, 0 AS step, place FROM hits
    UNION ALL
    SELECT NULL, row_number() OVER (ORDER BY moment, id), place FROM (
        SELECT ctid AS place, id, moment FROM agent_memory.memories
        WHERE {held} ORDER BY moment DESC, id DESC LIMIT %(run)s
    ) AS run
    UNION ALL
    SELECT hits.id, -row_number() OVER (PARTITION BY hits.id ORDER BY before.moment DESC, before.id DESC), before.place
    FROM hits, LATERAL (
        SELECT m.ctid AS place, m.id, m.moment FROM agent_memory.memories AS m
        WHERE {held} AND (m.moment, m.id) < (hits.moment, hits.id)
        ORDER BY m.moment DESC, m.id DESC LIMIT 2
    ) AS before
    UNION ALL
    SELECT hits.id, row_number() OVER (PARTITION BY hits.id ORDER BY after.moment, after.id), after.place
    FROM hits, LATERAL (
        SELECT m.ctid AS place, m.id, m.moment FROM agent_memory.memories AS m
        WHERE {held} AND (m.moment, m.id) > (hits.moment, hits.id)
        ORDER BY m.moment, m.id LIMIT 2
    ) AS after
)
SELECT {columns},
       {similarity},
       CASE WHEN words && %(words)s THEN words END,
       cardinality(words), {selected}, {compared}, hit,
       (SELECT count(*) FROM looked_at),
       -- what is the same for all stands in the first row
       CASE WHEN row_number() OVER (ORDER BY hit, step) = 1
            THEN ARRAY(SELECT word FROM frequencies ORDER BY word) END,
       CASE WHEN row_number() OVER (ORDER BY hit, step) = 1
            THEN ARRAY(SELECT frequency FROM frequencies ORDER BY word) END
FROM windows, {at_their_places}
ORDER BY hit, step
""")


_looking: WeakKeyDictionary[AsyncConnection, int] = WeakKeyDictionary()


async def read_large(connection: AsyncConnection, search: Search, size: int, commonness: Commonness) -> Shortlist:
    words = {hashed(word): word for word in search.words}
    looked = await look(connection, search, size, commonness.memories)
    counted = {"rare": _rare(words, size, commonness), "size": size, "looked": looked}
    parameters = parameters_of(search) | counted | _newest(search)
    rows = await _rows(connection, BY_INDEX, search, parameters)
    if not rows or rows[0][-3] < looked:
        rows = await _rows(connection, _BY_COMPARING, search, parameters)
    return Shortlist(_candidates(search.scope, rows, words), _statistics(rows, words, size, commonness))


async def look(connection: AsyncConnection, search: Search, size: int, memories: int) -> int:
    """Have the vector index look as deep as is right for a scope of that size among so many memories; answers how many
    of the scope it should bring.
    """
    depth = _depth(search, size, memories)
    if _looking.get(connection, _MOST_LOOKED_AT) != depth:
        await connection.execute(SQL("SET hnsw.ef_search = {}").format(Literal(depth)))
        _looking[connection] = depth
    # As deep as an index looks in one go may not be deep enough: then it goes on until it has brought that many.
    return max(_LEAST_LOOKED_AT if depth < _MOST_LOOKED_AT else _ENOUGH, 2 * search.depth)


def _depth(search: Search, size: int, memories: int) -> int:
    """Of how many memories of all scopes the vector index brings the nearest, so that enough of them are in this one.
    Rounded, so that it seldom changes.
    """
    if search.selection.filters or not memories:
        return _MOST_LOOKED_AT
    return min(_MOST_LOOKED_AT, -(-_ENOUGH * memories // size // 100) * 100)


async def _rows(
    connection: AsyncConnection, looked_at: SQL, search: Search, parameters: dict[str, object]
) -> list[tuple[Any, ...]]:
    conditions = Conditions()
    selected, held = conditions.selected(search.selection), HELD.format(SQL(IN_SCOPE_OF), valid(search.as_of))
    dimension = Literal(search.embedding.dimension)
    query = _SHORTLIST.format(
        looked_at=looked_at.format(held=held, selected=selected, dimension=dimension, similarity=SQL(SIMILARITY)),
        similarity=SQL(SIMILARITY),
        compared=SQL(COMPARED),
        columns=SQL(IN_SCOPE),
        held=held,
        selected=selected,
        at_their_places=AT_THEIR_PLACES.format(place=SQL("windows.place")),
    )
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(query, conditions.parameters | parameters)
        return await cursor.fetchall()


def _newest(search: Search) -> dict[str, object]:
    """Where nothing is filtered, the newest are each other's neighbours: one run, which the next older ones open."""
    if search.selection != EVERYTHING or not search.newest:
        return {"newest": search.newest, "run": 0}
    return {"newest": 0, "run": search.newest + max(NEIGHBOURS)}


def _rare(words: Iterable[int], size: int, commonness: Commonness) -> list[int]:
    """The rarest words, as many as bring no more memories than can be looked at, and at least one."""
    rare: list[int] = []
    brought = 0.0
    for word in sorted(words, key=commonness.share):
        brought += commonness.share(word) * size
        if rare and brought > _MOST_WORDED:
            break
        rare.append(word)
    return rare


def _candidates(scope: Scope, rows: list[tuple[Any, ...]], words: dict[int, str]) -> tuple[Candidate, ...]:
    """Every memory once, in the order of time. Rows of one hit follow each other in time without a gap; between
    memories that no hit has side by side there is one.
    """
    following = {row[0] for before, row in pairwise(rows) if before[MEASURED_WIDTH] == row[MEASURED_WIDTH]}
    candidates: list[Candidate] = []
    position = 0
    for row in sorted({row[0]: row for row in rows}.values(), key=_place):
        position += 1 if row[0] in following else 5
        candidates.append(candidate_in(scope, position, row, words))
    return tuple(candidates)


def _place(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return moment_in(row), row[0]


def _statistics(
    rows: list[tuple[Any, ...]], words: dict[int, str], size: int, commonness: Commonness
) -> WordStatistics:
    """Counted for the rare words, estimated for the others."""
    if not rows:
        return WordStatistics(0, 0.0, {})
    lengths = [row[IN_SCOPE_WIDTH + 2] for row in rows]
    counted = dict(zip(rows[0][-2], rows[0][-1], strict=True))
    frequencies = {name: int(counted.get(word, commonness.share(word) * size)) for word, name in words.items()}
    return WordStatistics(size, sum(lengths) / len(lengths), frequencies)
