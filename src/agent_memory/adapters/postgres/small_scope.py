"""The shortlist of a scope that is small enough to come back whole: the plainest statement, and the domain chooses.

For a hundred memories, planning and running a statement that chooses costs more than bringing them all.
"""

from typing import Any

from psycopg import AsyncConnection
from psycopg.sql import SQL

from agent_memory.adapters.postgres.candidates import candidate_in
from agent_memory.adapters.postgres.conditions import Conditions, valid
from agent_memory.adapters.postgres.rows import IN_SCOPE, IN_SCOPE_OF, hashed
from agent_memory.adapters.postgres.whole_scope import parameters_of
from agent_memory.domain.semantic.recall import Search, Shortlist
from agent_memory.domain.semantic.shortlisting import shortlisted

_SCOPE = SQL("""
SELECT {columns},
       CASE WHEN embedding_model = %(model)s THEN 1 - (embedding <=> %(vector)s) ELSE 0 END,
       CASE WHEN words && %(words)s THEN words END, cardinality(words), {selected}
FROM agent_memory.memories
WHERE {scope} AND {valid}
ORDER BY moment, id LIMIT %(most)s
""")


async def read_small(connection: AsyncConnection, search: Search, most: int) -> Shortlist | None:
    """None where there are more than `most`: the scope has grown."""
    words = {hashed(word): word for word in search.words}
    conditions = Conditions()
    query = _SCOPE.format(
        columns=SQL(IN_SCOPE),
        scope=SQL(IN_SCOPE_OF),
        selected=conditions.selected(search.selection),
        valid=valid(search.as_of),
    )
    parameters = conditions.parameters | parameters_of(search) | {"most": most + 1}
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(query, parameters)
        rows: list[tuple[Any, ...]] = await cursor.fetchall()
    if len(rows) > most:
        return None
    return shortlisted([candidate_in(search.scope, place, row, words) for place, row in enumerate(rows)], search)
