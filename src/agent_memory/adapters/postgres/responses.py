"""A `ResponseStore` that outlives the process."""

from datetime import timedelta
from typing import LiteralString

from psycopg import AsyncConnection

from agent_memory.adapters.postgres.connection import Database
from agent_memory.domain.responses import MOST_BEFORE, MOST_BYTES, KeptResponse

_KEEP: LiteralString = """
INSERT INTO agent_memory.responses (owner, id, asked, told, previous) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (owner, id) DO NOTHING
"""

_GET: LiteralString = "SELECT id, asked, told, previous FROM agent_memory.responses WHERE owner = %s AND id = %s"

_LINEAGE: LiteralString = """
WITH RECURSIVE line (id, asked, told, previous, depth, size) AS (
    SELECT id, asked, told, previous, 1, (octet_length(asked) + octet_length(told))::bigint
    FROM agent_memory.responses WHERE owner = %(owner)s AND id = %(id)s
    UNION ALL
    SELECT r.id, r.asked, r.told, r.previous, depth + 1, size + octet_length(r.asked) + octet_length(r.told)
    FROM line JOIN agent_memory.responses AS r ON r.owner = %(owner)s AND r.id = line.previous
    WHERE depth <= %(most)s AND size <= %(most_bytes)s
)
SELECT id, asked, told, previous FROM line ORDER BY depth DESC
"""

_DELETE: LiteralString = "DELETE FROM agent_memory.responses WHERE owner = %s AND id = %s"
_PURGE: LiteralString = "DELETE FROM agent_memory.responses WHERE kept_at <= clock_timestamp() - %s"


class PostgresResponseStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, owner: str, response: KeptResponse) -> None:
        async def work(connection: AsyncConnection) -> None:
            row = [owner, response.id, response.asked, response.told, response.previous]
            await connection.execute(_KEEP, row)

        await self._database.run(work, writes=())

    async def get(self, owner: str, response_id: str) -> KeptResponse | None:
        async def work(connection: AsyncConnection) -> KeptResponse | None:
            row = await (await connection.execute(_GET, [owner, response_id])).fetchone()
            return None if row is None else KeptResponse(*row)

        return await self._database.read(work)

    async def lineage(
        self, owner: str, response_id: str, most: int = MOST_BEFORE, most_bytes: int = MOST_BYTES
    ) -> list[KeptResponse]:
        parameters = {"owner": owner, "id": response_id, "most": most, "most_bytes": most_bytes}

        async def work(connection: AsyncConnection) -> list[KeptResponse]:
            rows = await connection.execute(_LINEAGE, parameters)
            return [KeptResponse(*row) for row in await rows.fetchall()]

        return await self._database.read(work)

    async def delete(self, owner: str, response_id: str) -> bool:
        async def work(connection: AsyncConnection) -> bool:
            return (await connection.execute(_DELETE, [owner, response_id])).rowcount > 0

        return await self._database.run(work, writes=())

    async def purge(self, older_than: timedelta) -> int:
        async def work(connection: AsyncConnection) -> int:
            return (await connection.execute(_PURGE, [older_than])).rowcount

        return await self._database.run(work, writes=())
