"""What is forgotten does not live on in what was condensed of it: that goes too, and its other sources are back. Nor
does it in the answer to a request that may be sent again.

Who condenses, brings back or forgets more than a memory that nothing stands for is alone in its scope meanwhile.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import LiteralString, NamedTuple

from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg.sql import SQL, Composable

from agent_memory.adapters.postgres.conditions import SUMMARY
from agent_memory.adapters.postgres.rows import IN_SCOPE_OF, named
from agent_memory.domain.semantic.memory import MemoryId, Scope

UNHURRIED: LiteralString = "SET LOCAL statement_timeout = 0"
"""What somebody wants gone goes, however much it is."""

_NUMBER: LiteralString = """
hashtextextended(%(tenant)s, hashtextextended(%(agent_id)s, hashtextextended(%(user_id)s, 0)))
"""
_LOCK: LiteralString = "SELECT pg_advisory_xact_lock(" + _NUMBER + ")"
_LOCK_AT_ONCE: LiteralString = "SELECT pg_try_advisory_xact_lock(" + _NUMBER + ")"

# After what is `gone`, by id and tenant. The case keeps the index of tenants out: a planner that has not counted them
# yet would read all of a tenant's answers for each that is gone.
_UNTOLD: LiteralString = """
untold AS (
    UPDATE agent_memory.answers AS a SET answer = NULL, forgotten = true FROM gone
    WHERE a.memory_ids @> ARRAY[gone.id] AND CASE WHEN a.tenant = gone.tenant THEN NOT a.forgotten END
"""
UNTOLD = SQL(_UNTOLD + ")")
# Of what makes room for the same id: a request that has no answer yet may be the one that keeps it again.
UNTOLD_IF_ANSWERED = SQL(_UNTOLD + "AND a.answer IS NOT NULL)")

# How many are gone, and what those were that are part of something condensed, or are it.
_FORGET = SQL("""
WITH gone AS (
    DELETE FROM agent_memory.memories WHERE {scope} AND {which}
    RETURNING id, tenant, superseded_by, superseded_at, {summary} AS summary
), {untold}
SELECT number, id, superseded_by, superseded_at, summary
FROM (SELECT count(*) AS number FROM gone) AS total LEFT JOIN gone ON superseded_by IS NOT NULL OR summary
""")

_DISSOLVE = SQL("""
WITH gone AS (
    DELETE FROM agent_memory.memories WHERE id = ANY(%(ids)s) AND {scope} AND {summary}
    RETURNING id, tenant, superseded_by, superseded_at
), {untold}
SELECT 1 AS number, id, superseded_by, superseded_at, true AS summary FROM gone
""").format(scope=SQL(IN_SCOPE_OF), summary=SUMMARY, untold=UNTOLD)

_RELEASE = SQL("""
UPDATE agent_memory.memories SET superseded_by = %(by)s, superseded_at = %(at)s
WHERE superseded_by = %(summary)s AND {scope}
""").format(scope=SQL(IN_SCOPE_OF))


class _Gone(NamedTuple):
    number: int
    id: MemoryId | None
    superseded_by: MemoryId | None
    superseded_at: datetime | None
    summary: bool | None


async def alone_in(connection: AsyncConnection, scope: Scope) -> None:
    """Until the transaction ends; waits for who is there."""
    await connection.execute(_LOCK, named(scope))


async def alone_at_once(connection: AsyncConnection, scope: Scope) -> bool:
    """Until the transaction ends; False: somebody is there."""
    [[alone]] = await (await connection.execute(_LOCK_AT_ONCE, named(scope))).fetchall()
    return bool(alone)


async def forget(connection: AsyncConnection, scope: Scope, which: Composable, parameters: Mapping[str, object]) -> int:
    """Remove those of the scope, in one transaction; answers how many these were."""
    query = _FORGET.format(scope=SQL(IN_SCOPE_OF), which=which, summary=SUMMARY, untold=UNTOLD)
    async with connection.transaction(), connection.cursor(row_factory=class_row(_Gone)) as cursor:
        await connection.execute(UNHURRIED)
        await alone_in(connection, scope)
        await cursor.execute(query, {**parameters, **named(scope)})
        gone = await cursor.fetchall()
        await _dissolve(connection, scope, gone)
    return gone[0].number


async def _dissolve(connection: AsyncConnection, scope: Scope, gone: Iterable[_Gone]) -> None:
    """What was condensed of those that are gone, and what was condensed of that. Its other sources are superseded as it
    was itself: by nothing, as a rule, so that they hold again.
    """
    summaries = {each.id: each for each in gone if each.summary}
    sought = {each.superseded_by for each in gone if each.superseded_by is not None}
    while sought:
        async with connection.cursor(row_factory=class_row(_Gone)) as cursor:
            await cursor.execute(_DISSOLVE, named(scope) | {"ids": list(sought)})
            dissolved = await cursor.fetchall()
            dissolved += [summaries.pop(id_) for id_ in sought if id_ in summaries]
            for each in dissolved:
                marks = {"summary": each.id, "by": each.superseded_by, "at": each.superseded_at}
                await cursor.execute(_RELEASE, named(scope) | marks)
        sought = {each.superseded_by for each in dissolved if each.superseded_by is not None}
