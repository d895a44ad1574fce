"""A `RateLimiter` that all workers of one database share: one statement a call, by the database's clock."""

from typing import LiteralString

from psycopg import AsyncConnection

from agent_memory.adapters.postgres.connection import Database
from agent_memory.domain.limits import Admission, Limit

# The conflicting row is locked and read anew before it is updated: of many who ask at once, each sees the last.
_ADMIT: LiteralString = """
INSERT INTO agent_memory.rate_limits AS r (key, passed, admitted, asked_at)
VALUES (%(key)s, ARRAY[clock_timestamp()], true, clock_timestamp())
ON CONFLICT (key) DO UPDATE
SET (passed, admitted, asked_at) = (
    SELECT CASE WHEN cardinality(recent) < %(calls)s THEN recent || now ELSE recent END,
           cardinality(recent) < %(calls)s, now
    FROM (SELECT clock_timestamp() AS now) AS clock,
         LATERAL (SELECT ARRAY(
             SELECT call FROM unnest(r.passed) AS call WHERE call > now - %(window)s ORDER BY call
         ) AS recent) AS calls
)
RETURNING admitted, %(calls)s - cardinality(passed), extract(epoch FROM passed[1] + %(window)s - asked_at)::float8
"""

_PURGE: LiteralString = "DELETE FROM agent_memory.rate_limits WHERE asked_at <= clock_timestamp() - %s"


class PostgresRateLimiter:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def admit(self, key: str, limit: Limit) -> Admission:
        parameters = {"key": key, "calls": limit.calls, "window": limit.window}

        async def work(connection: AsyncConnection) -> Admission:
            [[admitted, remaining, free_in]] = await (await connection.execute(_ADMIT, parameters)).fetchall()
            return Admission(admitted, remaining, 0.0 if remaining > 0 else max(free_in, 0.0))

        return await self._database.run(work)

    async def purge(self, limit: Limit) -> int:
        async def work(connection: AsyncConnection) -> int:
            return (await connection.execute(_PURGE, [limit.window])).rowcount

        return await self._database.run(work)
