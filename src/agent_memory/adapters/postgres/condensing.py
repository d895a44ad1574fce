"""A `CondensingStore` in PostgreSQL: sources are superseded by what stands for them, in one transaction."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import LiteralString

from psycopg import AsyncConnection, Rollback
from psycopg.sql import SQL

from agent_memory.adapters.postgres.conditions import SUMMARY
from agent_memory.adapters.postgres.connection import Database
from agent_memory.adapters.postgres.forgetting import UNTOLD, alone_in
from agent_memory.adapters.postgres.rows import ADD, COLUMNS, IN_SCOPE_OF, memory_of, named, row_of
from agent_memory.domain.semantic.memory import Embedding, Memory, MemoryId, Scope
from agent_memory.domain.semantic.retention import MADE, RESTORED_IMPORTANCE

# As `retention.is_lasting` has it, and the index memories_lasting: by it alone they are counted.
_LASTING = SQL("""
memory_type = 'episodic' AND superseded_at IS NULL AND expires_at IS NULL
AND condensing IS DISTINCT FROM 'restored'
""")

CROWDED = SQL("""
SELECT agent_id, user_id, tenant FROM agent_memory.memories
WHERE {lasting}
GROUP BY tenant, agent_id, user_id HAVING count(*) > %s
""").format(lasting=_LASTING)

_OLDEST = SQL("""
SELECT {columns} FROM agent_memory.memories
WHERE {scope} AND {lasting}
  AND EXISTS (SELECT FROM agent_memory.memories WHERE {scope} AND {lasting} OFFSET %(more_than)s)
ORDER BY moment, id LIMIT %(limit)s
""").format(columns=SQL(COLUMNS), scope=SQL(IN_SCOPE_OF), lasting=_LASTING)

_SUPERSEDE = SQL("""
UPDATE agent_memory.memories SET superseded_by = %(successor)s, superseded_at = %(now)s
WHERE (id, version) IN (SELECT * FROM unnest(%(sources)s::uuid[], %(versions)s::integer[]))
  AND {} AND superseded_at IS NULL
""").format(SQL(IN_SCOPE_OF))

_WHOSE: LiteralString = """
SELECT DISTINCT user_id FROM agent_memory.memories
WHERE (id = %(id)s OR superseded_by = %(id)s) AND tenant = %(tenant)s AND agent_id = %(agent_id)s
  AND (%(user_id)s::text IS NULL OR user_id = %(user_id)s)
ORDER BY user_id
"""

# What was condensed, of which there were others, is as `retention.released` has it.
_RESTORE: LiteralString = """
UPDATE agent_memory.memories SET superseded_by = NULL, superseded_at = NULL,
    condensing = CASE WHEN condensing IS NULL AND memory_type = 'episodic' AND (
        SELECT count(*) FROM agent_memory.memories AS source
        WHERE source.superseded_by = %(id)s AND source.tenant = %(tenant)s AND source.agent_id = %(agent_id)s
          AND (%(user_id)s::text IS NULL OR source.user_id = %(user_id)s)
    ) > 1 THEN 'restored' ELSE condensing END
WHERE superseded_by = %(id)s AND tenant = %(tenant)s AND agent_id = %(agent_id)s
  AND (%(user_id)s::text IS NULL OR user_id = %(user_id)s)
RETURNING user_id
"""

# Each goes anew into the vector index, which takes 2 to 12 ms: all at once would take longer than a statement may.
_FADED_AT_ONCE = 100
_FADE = SQL("""
UPDATE agent_memory.memories SET superseded_at = %(now)s
WHERE (id, tenant) IN (
    SELECT id, tenant FROM agent_memory.memories
    WHERE {lasting} AND importance <= 1 AND moment < %(now)s - %(after)s * importance::float8
    LIMIT %(most)s FOR UPDATE SKIP LOCKED
)
""").format(lasting=_LASTING)

# What is superseded, and was not condensed of others that are there to be brought back.
_ITSELF = SQL("""
SELECT FROM agent_memory.memories
WHERE id = %(id)s AND tenant = %(tenant)s AND agent_id = %(agent_id)s
  AND (%(user_id)s::text IS NULL OR user_id = %(user_id)s)
  AND superseded_at IS NOT NULL AND NOT ({summary} AND EXISTS (
      SELECT FROM agent_memory.memories AS source
      WHERE source.superseded_by = memories.id AND source.tenant = memories.tenant
        AND source.agent_id = memories.agent_id AND (%(user_id)s::text IS NULL OR source.user_id = %(user_id)s)
  ))
FOR UPDATE
""").format(summary=SUMMARY)

# From one to what superseded it, until one holds; a circle ends where it closes.
_STANDING: LiteralString = """
WITH RECURSIVE chain AS (
    SELECT NULL::uuid AS id, user_id, superseded_by, false AS holds FROM agent_memory.memories
    WHERE id = %(id)s AND tenant = %(tenant)s AND agent_id = %(agent_id)s
      AND (%(user_id)s::text IS NULL OR user_id = %(user_id)s)
    UNION
    SELECT m.id, m.user_id, m.superseded_by,
           m.superseded_at IS NULL AND (m.expires_at IS NULL OR m.expires_at > %(now)s)
    FROM chain JOIN agent_memory.memories AS m
         ON m.id = chain.superseded_by AND m.tenant = %(tenant)s AND m.agent_id = %(agent_id)s
            AND m.user_id = chain.user_id
    WHERE NOT chain.holds AND m.id <> %(id)s
)
SELECT id FROM chain WHERE holds
"""

# As `retention.brought_back` has it.
_BRING_BACK: LiteralString = """
UPDATE agent_memory.memories SET superseded_at = NULL, superseded_by = NULL,
    importance = CASE WHEN superseded_by IS NULL THEN greatest(importance, %(importance)s) ELSE importance END
WHERE id = %(id)s AND tenant = %(tenant)s AND agent_id = %(agent_id)s
  AND (%(user_id)s::text IS NULL OR user_id = %(user_id)s)
"""

# But for what `retention.is_told_anew` is about. Whoever revises it at this moment is waited for, and seen.
_REMOVE = SQL("""
WITH gone AS (
    DELETE FROM agent_memory.memories
    WHERE id = %(id)s AND tenant = %(tenant)s AND agent_id = %(agent_id)s AND user_id = ANY(%(users)s)
      AND NOT ({summary} AND version > %(made)s)
    RETURNING id, tenant
), {untold}
SELECT FROM gone
""").format(summary=SUMMARY, untold=UNTOLD)

_LEAVE = SQL("""
WITH told AS (
    UPDATE agent_memory.memories SET condensing = NULL
    WHERE id = %(id)s AND tenant = %(tenant)s AND agent_id = %(agent_id)s AND user_id = ANY(%(users)s) AND {summary}
    RETURNING id, tenant
)
DELETE FROM agent_memory.memory_versions AS v USING told
WHERE v.memory_id = told.id AND v.tenant = told.tenant AND v.version = %(made)s
""").format(summary=SUMMARY)


class PostgresCondensingStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def crowded(self, more_than: int, now: datetime) -> list[Scope]:
        del now  # what holds for ever holds now

        async def work(connection: AsyncConnection) -> list[Scope]:
            rows = await (await connection.execute(CROWDED, [more_than])).fetchall()
            return [Scope(*row) for row in rows]

        return await self._database.read(work)

    async def oldest(self, scope: Scope, limit: int, now: datetime, *, more_than: int = 0) -> list[Memory]:
        del now  # what holds for ever holds now
        which = named(scope) | {"limit": limit, "more_than": more_than}

        async def work(connection: AsyncConnection) -> list[Memory]:
            cursor = await connection.execute(_OLDEST, which)
            return [memory_of(row) for row in await cursor.fetchall()]

        return await self._database.read(work)

    async def stand_for(
        self, sources: Sequence[Memory], successor: Memory, embedding: Embedding, now: datetime
    ) -> bool:
        scope, row = successor.scope, row_of(successor, embedding)
        mark = named(scope) | {
            "successor": successor.id, "now": now,
            "sources": [source.id for source in sources], "versions": [source.version for source in sources],
        }  # fmt: skip

        async def work(connection: AsyncConnection) -> bool:
            async with connection.transaction() as transaction:
                await alone_in(connection, scope)
                whole = (await connection.execute(_SUPERSEDE, mark)).rowcount == len(sources)
                if not whole:
                    raise Rollback(transaction)
                await connection.execute(ADD, row)
            return whole

        return await self._database.run(work, writes=[scope])

    async def fade(self, after: timedelta, now: datetime) -> int:
        which = {"now": now, "after": after, "most": _FADED_AT_ONCE}

        async def work(connection: AsyncConnection) -> int:
            return (await connection.execute(_FADE, which)).rowcount

        faded = 0
        while some := await self._database.run(work):
            faded += some
        return faded

    async def restore(
        self, memory_id: MemoryId, agent_id: str, user_id: str | None = None, *, tenant: str, now: datetime
    ) -> int:
        which = {
            "id": memory_id, "tenant": tenant, "agent_id": agent_id, "user_id": user_id,
            "importance": RESTORED_IMPORTANCE, "now": now,
        }  # fmt: skip

        async def work(connection: AsyncConnection) -> int:
            async with connection.transaction():
                for (user,) in await (await connection.execute(_WHOSE, which)).fetchall():
                    await alone_in(connection, Scope(agent_id, user, tenant))
                if (await connection.execute(_ITSELF, which)).rowcount > 0:
                    if (await connection.execute(_STANDING, which)).rowcount > 0:
                        return 0
                    return (await connection.execute(_BRING_BACK, which)).rowcount
                users = [user for (user,) in await (await connection.execute(_RESTORE, which)).fetchall()]
                if users:
                    await _take_apart(connection, which | {"users": users, "made": MADE})
                return len(users)

        return await self._database.run(work)

    async def standing(
        self, memory_id: MemoryId, agent_id: str, user_id: str | None = None, *, tenant: str, now: datetime
    ) -> MemoryId | None:
        which = {"id": memory_id, "tenant": tenant, "agent_id": agent_id, "user_id": user_id, "now": now}

        async def work(connection: AsyncConnection) -> MemoryId | None:
            row = await (await connection.execute(_STANDING, which)).fetchone()
            return None if row is None else MemoryId(row[0])

        return await self._database.read(work)


async def _take_apart(connection: AsyncConnection, which: dict[str, object]) -> None:
    if (await connection.execute(_REMOVE, which)).rowcount == 0:
        await connection.execute(_LEAVE, which)
