"""An `AnswerBook` that all workers of one database share."""

from collections.abc import Sequence
from datetime import timedelta
from typing import LiteralString

from psycopg import AsyncConnection

from agent_memory.adapters.postgres.connection import Database
from agent_memory.domain.answers import Claim
from agent_memory.domain.semantic.memory import MemoryId, Scope

# The row that is there is written anew, so that it is seen however the two statements fall. One of an older server,
# which gave no ids, gets those of whoever sends its request again.
_CLAIM: LiteralString = """
INSERT INTO agent_memory.answers AS a (key, request, tenant, agent_id, user_id, memory_ids)
VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (key) DO UPDATE SET memory_ids =
    CASE WHEN a.memory_ids = '{}' AND a.request = excluded.request THEN excluded.memory_ids ELSE a.memory_ids END,
    repeated = a.repeated OR a.request = excluded.request
RETURNING request, memory_ids, answer, forgotten
"""

# Whoever forgets one that is told finds the key's ids from the beginning; any other, which was known before, has to be
# there still, and stay until this is written.
_SETTLE: LiteralString = """
WITH others AS (
    SELECT a.tenant, told.id FROM agent_memory.answers AS a, unnest(%(told)s::uuid[]) AS told (id)
    WHERE a.key = %(key)s AND told.id <> ALL(a.memory_ids)
), there AS (
    SELECT m.id FROM agent_memory.memories AS m JOIN others USING (id, tenant) FOR KEY SHARE OF m
), lost AS (
    SELECT EXISTS (SELECT id FROM others EXCEPT SELECT id FROM there) AS some
)
UPDATE agent_memory.answers SET
    memory_ids = memory_ids || ARRAY(SELECT id FROM others),
    forgotten = forgotten OR lost.some,
    answer = CASE WHEN NOT (forgotten OR lost.some) THEN coalesce(answer, %(answer)s) END
FROM lost WHERE key = %(key)s RETURNING coalesce(answer, %(answer)s)
"""

_ERASE: LiteralString = """
DELETE FROM agent_memory.answers
WHERE tenant = %(tenant)s AND user_id = %(user_id)s
  AND (%(agent_id)s::text IS NULL OR agent_id = %(agent_id)s)
"""

_RELEASE: LiteralString = """
DELETE FROM agent_memory.answers WHERE key = %s AND answer IS NULL AND NOT forgotten AND NOT repeated
"""
_PURGE: LiteralString = "DELETE FROM agent_memory.answers WHERE claimed_at <= clock_timestamp() - %s"


class PostgresAnswerBook:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, key: str, request: str, scope: Scope, ids: Sequence[MemoryId]) -> Claim:
        async def work(connection: AsyncConnection) -> Claim:
            names = [scope.tenant, scope.agent_id, scope.user_id]
            [row] = await (await connection.execute(_CLAIM, [key, request, *names, list(ids)])).fetchall()
            return Claim(*row)

        return await self._database.run(work, writes=())

    async def settle(self, key: str, answer: str, told: Sequence[MemoryId]) -> str:
        parameters = {"key": key, "answer": answer, "told": list(set(told))}

        async def work(connection: AsyncConnection) -> str:
            rows = await (await connection.execute(_SETTLE, parameters)).fetchall()
            return str(rows[0][0]) if rows else answer  # erased or purged meanwhile

        return await self._database.run(work, writes=())

    async def release(self, key: str) -> None:
        async def work(connection: AsyncConnection) -> None:
            await connection.execute(_RELEASE, [key])

        await self._database.run(work, writes=())

    async def erase(self, user_id: str, agent_id: str | None, *, tenant: str) -> None:
        async def work(connection: AsyncConnection) -> None:
            await connection.execute(_ERASE, {"tenant": tenant, "user_id": user_id, "agent_id": agent_id})

        await self._database.run(work, writes=())

    async def purge(self, older_than: timedelta) -> int:
        async def work(connection: AsyncConnection) -> int:
            return (await connection.execute(_PURGE, [older_than])).rowcount

        return await self._database.run(work, writes=())
