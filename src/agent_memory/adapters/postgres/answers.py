"""An `AnswerBook` that all workers of one database share."""

from collections.abc import Sequence
from datetime import timedelta
from typing import LiteralString

from psycopg import AsyncConnection

from agent_memory.adapters.postgres.connection import Database
from agent_memory.domain.answers import Claim
from agent_memory.domain.semantic.memory import MemoryId, Scope

# The row that is there is written anew as it is, so that it is seen however the two statements fall; but one of an
# older server, which gave no ids, gets those of whoever sends its request again.
_CLAIM: LiteralString = """
INSERT INTO agent_memory.answers AS a (key, request, tenant, agent_id, user_id, memory_ids)
VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (key) DO UPDATE SET memory_ids =
    CASE WHEN a.memory_ids = '{}' AND a.request = excluded.request THEN excluded.memory_ids ELSE a.memory_ids END
RETURNING request, memory_ids, answer
"""

_SETTLE: LiteralString = """
UPDATE agent_memory.answers SET answer = coalesce(answer, %(answer)s) WHERE key = %(key)s RETURNING answer
"""

_ERASE: LiteralString = """
DELETE FROM agent_memory.answers
WHERE tenant = %(tenant)s AND user_id = %(user_id)s
  AND (%(agent_id)s::text IS NULL OR agent_id = %(agent_id)s)
"""

_RELEASE: LiteralString = "DELETE FROM agent_memory.answers WHERE key = %s AND answer IS NULL"
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

    async def settle(self, key: str, answer: str) -> str:
        async def work(connection: AsyncConnection) -> str:
            rows = await (await connection.execute(_SETTLE, {"key": key, "answer": answer})).fetchall()
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
