"""An `AnswerBook` that all workers of one database share."""

from datetime import timedelta
from typing import LiteralString

from psycopg import AsyncConnection

from agent_memory.adapters.postgres.connection import Database
from agent_memory.domain.answers import Claim

# The row that is there is written anew as it is, so that it is seen however the two statements fall.
_CLAIM: LiteralString = """
INSERT INTO agent_memory.answers AS a (key, request) VALUES (%s, %s)
ON CONFLICT (key) DO UPDATE SET request = a.request
RETURNING request, answer
"""

# A key that was released or purged meanwhile is claimed again by its answer.
_SETTLE: LiteralString = """
INSERT INTO agent_memory.answers AS a (key, request, answer) VALUES (%(key)s, '', %(answer)s)
ON CONFLICT (key) DO UPDATE SET answer = coalesce(a.answer, excluded.answer)
RETURNING answer
"""

_RELEASE: LiteralString = "DELETE FROM agent_memory.answers WHERE key = %s AND answer IS NULL"
_PURGE: LiteralString = "DELETE FROM agent_memory.answers WHERE claimed_at <= clock_timestamp() - %s"


class PostgresAnswerBook:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, key: str, request: str) -> Claim:
        async def work(connection: AsyncConnection) -> Claim:
            [row] = await (await connection.execute(_CLAIM, [key, request])).fetchall()
            return Claim(*row)

        return await self._database.run(work)

    async def settle(self, key: str, answer: str) -> str:
        async def work(connection: AsyncConnection) -> str:
            [[stands]] = await (await connection.execute(_SETTLE, {"key": key, "answer": answer})).fetchall()
            return str(stands)

        return await self._database.run(work)

    async def release(self, key: str) -> None:
        async def work(connection: AsyncConnection) -> None:
            await connection.execute(_RELEASE, [key])

        await self._database.run(work)

    async def purge(self, older_than: timedelta) -> int:
        async def work(connection: AsyncConnection) -> int:
            return (await connection.execute(_PURGE, [older_than])).rowcount

        return await self._database.run(work)
