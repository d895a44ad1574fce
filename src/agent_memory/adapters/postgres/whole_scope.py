"""The shortlist of a scope that is measured whole, though only the best of it come back: exact, in one statement."""

from typing import Any

from psycopg import AsyncConnection
from psycopg.sql import SQL

from agent_memory.adapters.postgres.candidates import MEASURED_WIDTH, candidate_in
from agent_memory.adapters.postgres.conditions import Conditions, valid
from agent_memory.adapters.postgres.rows import COMPARED, IN_SCOPE, IN_SCOPE_OF, SIMILARITY, hashed, measured_by, named
from agent_memory.domain.semantic.recall import Search, Shortlist, WordStatistics
from agent_memory.domain.semantic.weighing import Weighing

# One pass over the scope measures every memory; three legs choose, and each choice brings its neighbours.
_SHORTLIST = SQL("""
WITH scope AS MATERIALIZED (
    SELECT {columns}, words, moment,
           row_number() OVER (ORDER BY moment, id) AS position,
           {similarity} AS similarity,
           cardinality(words) AS length,
           {selected} AS eligible,
           {compared} AS compared
    FROM agent_memory.memories
    WHERE {scope} AND {valid}
), totals AS (
    SELECT count(*) AS documents, avg(length)::float8 AS mean_length FROM scope
), counts AS MATERIALIZED (
    SELECT position, length, eligible, word, count(*)::float8 AS count
    FROM (SELECT position, length, eligible, unnest(words) AS word FROM scope) AS said
    WHERE word = ANY(%(words)s)
    GROUP BY position, length, eligible, word
), frequencies AS MATERIALIZED (
    SELECT word, count(*)::float8 AS frequency FROM counts GROUP BY word
), by_words AS (
    SELECT position
    FROM counts JOIN frequencies USING (word), totals
    WHERE eligible
    GROUP BY position
    ORDER BY sum(ln((documents + 1) / (frequency + 0.5::float8)) * count
                 / (count + 0.9::float8 * (0.75::float8 + 0.25::float8 * least(length, 100) / mean_length))) DESC
    LIMIT %(depth)s
), chosen AS (
    (SELECT position FROM scope WHERE eligible ORDER BY {merit} DESC, position DESC LIMIT %(depth)s)
    UNION (SELECT position FROM by_words)
    UNION (SELECT position FROM scope WHERE eligible ORDER BY position DESC LIMIT %(newest)s)
)
SELECT {columns}, similarity,
       CASE WHEN words && %(words)s THEN words END, length, eligible, compared, position,
       documents, mean_length,
       -- what is the same for all stands in the first row
       CASE WHEN row_number() OVER (ORDER BY position) = 1 THEN ARRAY(SELECT word FROM frequencies ORDER BY word) END,
       CASE WHEN row_number() OVER (ORDER BY position) = 1
            THEN ARRAY(SELECT frequency FROM frequencies ORDER BY word) END
FROM scope, totals
WHERE position IN (SELECT position + step FROM chosen, generate_series(-2, 2) AS step)
ORDER BY position
""")


# As `Search.merit`; after a thousand half-lives nothing is left that a number could tell.
WEIGHED = SQL("""
%(alpha)s::float8 * ({similarity}) + (1 - %(alpha)s::float8) * power(
    2::float8,
    -least(greatest(extract(epoch FROM %(now)s::timestamptz - moment)::float8 / %(half_life)s::float8, 0), 1000)
)
""")


async def read_whole(connection: AsyncConnection, search: Search) -> Shortlist:
    words = {hashed(word): word for word in search.words}
    conditions = Conditions()
    query = _SHORTLIST.format(
        columns=SQL(IN_SCOPE),
        scope=SQL(IN_SCOPE_OF),
        similarity=SQL(SIMILARITY),
        compared=SQL(COMPARED),
        selected=conditions.selected(search.selection),
        valid=valid(search.as_of),
        merit=SQL("similarity") if search.weighing is None else WEIGHED.format(similarity=SQL("similarity")),
    )
    parameters = conditions.parameters | parameters_of(search)
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(query, parameters)
        rows: list[tuple[Any, ...]] = await cursor.fetchall()
    candidates = tuple(candidate_in(search.scope, row[MEASURED_WIDTH], row, words) for row in rows)
    return Shortlist(candidates, _statistics(rows, words))


def parameters_of(search: Search) -> dict[str, object]:
    return (
        named(search.scope)
        | measured_by(search.embedding)
        | {
            "now": search.moment,
            "words": [hashed(word) for word in search.words],
            "depth": search.depth,
            "newest": search.newest,
        }
        | _weights(search.weighing)
    )


def _weights(weighing: Weighing | None) -> dict[str, object]:
    return {"alpha": weighing.alpha, "half_life": weighing.half_life.total_seconds()} if weighing else {}


def _statistics(rows: list[tuple[Any, ...]], words: dict[int, str]) -> WordStatistics:
    if not rows:
        return WordStatistics(0, 0.0, {})
    *_, documents, mean_length, found, frequencies = rows[0]
    known = zip(found, frequencies, strict=True)
    return WordStatistics(documents, mean_length, {words[word]: int(frequency) for word, frequency in known})
