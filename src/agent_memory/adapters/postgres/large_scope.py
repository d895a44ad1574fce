"""The shortlist of a scope that is too large to be read whole: each leg through an index of its own.

The nearest come from the vector index, the best by words from the rarest of them, and the neighbours of both by time.
When the vector index brings too few, as it may under a filter, there is no answer, and the scope is read whole.
"""

from collections.abc import Iterable
from typing import Any

from psycopg import AsyncConnection
from psycopg.sql import SQL, Literal

from agent_memory.adapters.postgres.conditions import Conditions, valid
from agent_memory.adapters.postgres.rows import COLUMNS, WIDTH, hashed, memory_of
from agent_memory.adapters.postgres.sizes import Commonness
from agent_memory.adapters.postgres.whole_scope import counted, parameters_of
from agent_memory.domain.semantic.memory import Memory
from agent_memory.domain.semantic.recall import Candidate, Search, Shortlist, WordStatistics

_MOST_WORDED = 1000  # memories that the words of a query may bring: common words are left out for it

_IN_SCOPE = SQL("agent_id = %(agent_id)s AND user_id = %(user_id)s AND {valid}")

_SHORTLIST = SQL("""
WITH near AS MATERIALIZED (
    SELECT id, moment FROM agent_memory.memories
    WHERE {held} AND {selected} AND embedding_model = %(model)s AND embedding_dimension = {dimension}
    ORDER BY embedding::halfvec({dimension}) <=> %(vector)s::halfvec({dimension})
    LIMIT %(depth)s
), counts AS MATERIALIZED (
    SELECT id, moment, cardinality(words) AS length, word, count(*)::float8 AS count
    FROM agent_memory.memories, unnest(words) AS word
    WHERE {held} AND {selected} AND words && %(rare)s AND word = ANY(%(rare)s)
    GROUP BY id, moment, cardinality(words), word
), frequencies AS MATERIALIZED (
    SELECT word, count(*)::float8 AS frequency FROM counts GROUP BY word
), by_words AS (
    SELECT id, moment
    FROM counts JOIN frequencies USING (word)
    GROUP BY id, moment
    ORDER BY sum(ln((%(size)s + 1) / (frequency + 0.5::float8)) * count
                 / (count + 0.9::float8 * (0.75::float8 + 0.02::float8 * length))) DESC
    LIMIT %(depth)s
), newest AS (
    SELECT id, moment FROM agent_memory.memories WHERE {held} AND {selected}
    ORDER BY moment DESC, id DESC LIMIT %(newest)s
), hits AS MATERIALIZED (
    SELECT id, moment FROM near UNION SELECT id, moment FROM by_words UNION SELECT id, moment FROM newest
), windows AS (
    SELECT id AS hit, 0 AS step, id FROM hits
    UNION ALL
    SELECT hits.id, -row_number() OVER (PARTITION BY hits.id ORDER BY before.moment DESC, before.id DESC), before.id
    FROM hits, LATERAL (
        SELECT m.id, m.moment FROM agent_memory.memories AS m
        WHERE {held} AND (m.moment, m.id) < (hits.moment, hits.id)
        ORDER BY m.moment DESC, m.id DESC LIMIT 2
    ) AS before
    UNION ALL
    SELECT hits.id, row_number() OVER (PARTITION BY hits.id ORDER BY after.moment, after.id), after.id
    FROM hits, LATERAL (
        SELECT m.id, m.moment FROM agent_memory.memories AS m
        WHERE {held} AND (m.moment, m.id) > (hits.moment, hits.id)
        ORDER BY m.moment, m.id LIMIT 2
    ) AS after
)
SELECT {columns},
       CASE WHEN embedding_model = %(model)s THEN 1 - (embedding <=> %(vector)s) ELSE 0 END,
       ARRAY(SELECT word FROM unnest(words) AS word WHERE word = ANY(%(words)s)),
       cardinality(words), {selected}, hit,
       (SELECT count(*) FROM near),
       ARRAY(SELECT word FROM frequencies ORDER BY word), ARRAY(SELECT frequency FROM frequencies ORDER BY word)
FROM windows JOIN agent_memory.memories USING (id)
ORDER BY hit, step
""")


async def read_large(
    connection: AsyncConnection, search: Search, size: int, commonness: Commonness
) -> Shortlist | None:
    words = {hashed(word): word for word in search.words}
    conditions = Conditions()
    query = _SHORTLIST.format(
        columns=SQL(COLUMNS),
        held=_IN_SCOPE.format(valid=valid(search.as_of)),
        selected=conditions.selected(search.selection),
        dimension=Literal(len(search.embedding.vector)),
    )
    rare = _rare(words, size, commonness)
    parameters = conditions.parameters | parameters_of(search) | {"rare": rare, "size": size}
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(query, parameters)
        rows: list[tuple[Any, ...]] = await cursor.fetchall()
    if not rows or rows[0][-3] < search.depth:
        return None
    return Shortlist(_candidates(rows, words), _statistics(rows, words, size, commonness))


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


def _candidates(rows: list[tuple[Any, ...]], words: dict[int, str]) -> tuple[Candidate, ...]:
    """Every memory once, in the order of time. Rows of one hit follow each other in time without a gap; between
    memories that no hit has side by side there is one.
    """
    memories = [memory_of(row[:WIDTH]) for row in rows]
    hits = [row[WIDTH + 4] for row in rows]
    neighbours = {(memories[i].id, memories[i + 1].id) for i in range(len(rows) - 1) if hits[i] == hits[i + 1]}
    by_time = sorted(
        {memory.id: (memory, row) for memory, row in zip(memories, rows, strict=True)}.values(),
        key=lambda pair: (pair[0].moment, pair[0].id),
    )
    candidates: list[Candidate] = []
    position, last = 0, None
    for memory, row in by_time:
        position += 1 if last is None or (last, memory.id) in neighbours else 5
        last = memory.id
        candidates.append(_candidate(memory, position, row, words))
    return tuple(candidates)


def _candidate(memory: Memory, position: int, row: tuple[Any, ...], words: dict[int, str]) -> Candidate:
    similarity, matched, length, eligible = row[WIDTH : WIDTH + 4]
    return Candidate(memory, position, similarity, counted(matched, words), length, eligible)


def _statistics(
    rows: list[tuple[Any, ...]], words: dict[int, str], size: int, commonness: Commonness
) -> WordStatistics:
    """Counted for the rare words, estimated for the others."""
    lengths = [row[WIDTH + 2] for row in rows]
    counted = dict(zip(rows[0][-2], rows[0][-1], strict=True))
    frequencies = {name: int(counted.get(word, commonness.share(word) * size)) for word, name in words.items()}
    return WordStatistics(size, sum(lengths) / len(lengths), frequencies)
