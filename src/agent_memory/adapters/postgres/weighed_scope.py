"""The shortlist of a large scope by a weighing: from both ends, the nearest and the newest, each through its index.

What neither end has brought is no nearer than the last of the nearest. So, to be among the best, it would have to be
newer than a certain moment: if the newest do not reach back that far, all since then are compared. Where the vector
index brings too few, as it does under a filter that few pass, all are. Exact, as far as the vector index is.
"""

from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.sql import SQL, Composed, Literal

from agent_memory.adapters.postgres.candidates import MEASURED_WIDTH, candidate_in
from agent_memory.adapters.postgres.conditions import Conditions, valid
from agent_memory.adapters.postgres.large_scope import AT_THEIR_PLACES, BY_INDEX, HELD, look
from agent_memory.adapters.postgres.rows import (
    COMPARED,
    IN_SCOPE,
    IN_SCOPE_OF,
    IN_SCOPE_WIDTH,
    SIMILARITY,
    moment_in,
)
from agent_memory.adapters.postgres.whole_scope import WEIGHED, parameters_of
from agent_memory.domain.semantic.recall import Candidate, Search, Shortlist, WordStatistics
from agent_memory.domain.semantic.weighing import EVER, Weighing

_APART = 5  # in position: no neighbours are brought

_BEST = SQL("""
SELECT {columns}, similarity, NULL::integer[], cardinality(words), true, {compared}
FROM (
    SELECT *, {similarity} AS similarity
    FROM {among}
) AS measured
ORDER BY {weighed} DESC, moment DESC, id DESC LIMIT %(depth)s
""")
_SINCE = SQL("agent_memory.memories WHERE {held} AND {selected} AND moment >= %(since)s")
_AT_THE_ENDS = SQL("(SELECT place FROM near UNION SELECT place FROM newest) AS ends, {}").format(
    AT_THEIR_PLACES.format(place=SQL("ends.place"))
)

_FROM_BOTH_ENDS = SQL("""
WITH near AS MATERIALIZED ({near}), newest AS MATERIALIZED (
    SELECT ctid AS place, moment FROM agent_memory.memories WHERE {held} AND {selected}
    ORDER BY moment DESC, id DESC LIMIT %(newest)s
), best AS MATERIALIZED ({best})
SELECT *, (SELECT count(*) FROM near), (SELECT 1 - max(nullif(distance, 'NaN')) FROM near),
       (SELECT count(*) FROM newest), (SELECT min(moment) FROM newest)
FROM best
""")


async def read_weighed(
    connection: AsyncConnection, search: Search, weighing: Weighing, size: int, memories: int
) -> Shortlist:
    looked = await look(connection, search, size, memories)
    limits = {"looked": looked if weighing.alpha > 0 else 0, "newest": looked if weighing.alpha < 1 else 0}
    rows = await _rows(connection, search, limits)
    since = _not_seen_since(search, weighing, rows, limits)
    if since is not None:
        rows += await _rows(connection, search, {"since": since})
    return Shortlist(_candidates(search, rows), WordStatistics(size, 0.0, {}))


async def _rows(connection: AsyncConnection, search: Search, among: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The best of those since a moment, or of both ends, which then tell how far they have come."""
    conditions = Conditions()
    selected, held = conditions.selected(search.selection), HELD.format(SQL(IN_SCOPE_OF), valid(search.as_of))
    query: Composed = _BEST.format(
        columns=SQL(IN_SCOPE),
        compared=SQL(COMPARED),
        similarity=SQL(SIMILARITY),
        among=_SINCE.format(held=held, selected=selected) if "since" in among else _AT_THE_ENDS,
        weighed=WEIGHED.format(similarity=SQL("similarity")),
    )
    if "since" not in among:
        near = BY_INDEX.format(held=held, selected=selected, dimension=Literal(search.embedding.dimension))
        query = _FROM_BOTH_ENDS.format(near=near, held=held, selected=selected, best=query)
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(query, conditions.parameters | parameters_of(search) | among)
        return await cursor.fetchall()


def _not_seen_since(
    search: Search, weighing: Weighing, rows: list[tuple[Any, ...]], limits: dict[str, int]
) -> datetime | None:
    """From when on there may be better ones than what both ends have brought; None: nowhere."""
    if not rows:  # without the newest it may be the index that has brought none
        return None if limits["newest"] else EVER
    near, least_similar, newest, oldest = rows[0][MEASURED_WIDTH:]
    if newest < limits["newest"]:
        return None
    if near < limits["looked"] or (near and least_similar is None):  # what is asked with is near nothing
        return EVER
    if oldest is None:
        return None
    total = min(search.merit(moment_in(row), row[IN_SCOPE_WIDTH]) for row in rows)
    # A vector of another model has no similarity, which is more than a negative one.
    since = weighing.since(total, max(least_similar or 0.0, 0.0), search.moment)
    return since if since <= oldest else None


def _candidates(search: Search, rows: list[tuple[Any, ...]]) -> tuple[Candidate, ...]:
    """In the order of time."""
    once = {row[0]: row for row in rows}.values()
    in_time = sorted(once, key=lambda row: (moment_in(row), row[0]))
    return tuple(candidate_in(search.scope, _APART * place, row, {}) for place, row in enumerate(in_time))
