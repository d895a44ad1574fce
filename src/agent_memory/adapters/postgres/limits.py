"""A `RateLimiter` that all workers of one database share: one statement a call, by the database's clock."""

from collections.abc import Sequence
from typing import LiteralString

from psycopg import AsyncConnection

from agent_memory.adapters.postgres.connection import Database
from agent_memory.domain.limits import Admission, Limit

# The rows are locked, in the order of their keys, before they are read: of many who ask at once, each sees the last.
_ADMIT: LiteralString = """
WITH asked AS (
    SELECT key, clock_timestamp() AS now FROM unnest(%(keys)s::text[]) AS key
), locked AS MATERIALIZED (
    SELECT key, passed FROM agent_memory.rate_limits WHERE key = ANY(%(keys)s) ORDER BY key FOR UPDATE
), free AS MATERIALIZED (
    SELECT coalesce(bool_and(%(calls)s > (
        SELECT count(*) FROM unnest(passed) AS call WHERE call > clock_timestamp() - %(window)s
    )), true) AS all_of_them FROM locked
)
INSERT INTO agent_memory.rate_limits AS r (key, passed, admitted, asked_at)
SELECT key, CASE WHEN all_of_them THEN ARRAY[now] ELSE '{}' END, true, now FROM asked, free ORDER BY key
ON CONFLICT (key) DO UPDATE
SET (passed, admitted, asked_at) = (
    SELECT CASE WHEN cardinality(excluded.passed) > 0 AND cardinality(recent) < %(calls)s
                THEN recent || now ELSE recent END,
           cardinality(recent) < %(calls)s, now
    FROM (SELECT clock_timestamp() AS now) AS clock,
         LATERAL (SELECT ARRAY(
             SELECT call FROM unnest(r.passed) AS call WHERE call > now - %(window)s ORDER BY call
         ) AS recent) AS calls
)
RETURNING key, admitted, %(calls)s - cardinality(passed),
          coalesce(extract(epoch FROM passed[1] + %(window)s - asked_at), 0)::float8
"""

_PURGE: LiteralString = "DELETE FROM agent_memory.rate_limits WHERE asked_at <= clock_timestamp() - %s"


class PostgresRateLimiter:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def admit(self, keys: Sequence[str], limit: Limit) -> list[Admission]:
        parameters = {"keys": list(keys), "calls": limit.calls, "window": limit.window}

        async def work(connection: AsyncConnection) -> list[Admission]:
            rows = await (await connection.execute(_ADMIT, parameters)).fetchall()
            told = {
                key: Admission(admitted, remaining, max(free_in, 0.0)) for key, admitted, remaining, free_in in rows
            }
            return [told[key] for key in keys]

        return await self._database.run(work, writes=())

    async def purge(self, limit: Limit) -> int:
        async def work(connection: AsyncConnection) -> int:
            return (await connection.execute(_PURGE, [limit.window])).rowcount

        return await self._database.run(work, writes=())
