"""A `KeyStore` that all processes of one database share."""

from datetime import datetime
from typing import Any, LiteralString

from psycopg import AsyncConnection
from psycopg.sql import SQL, Composed

from agent_memory.adapters.postgres.connection import Database
from agent_memory.domain.keys import ApiKey, KeyId
from agent_memory.domain.tenants import Reach

_COLUMNS = SQL("id, digest, tenant, agent_id, user_id, created_at, label, expires_at, revoked_at")
_ADD = SQL("""
INSERT INTO agent_memory.api_keys ({}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (id) DO NOTHING
""").format(_COLUMNS)
_FIND = SQL("SELECT {} FROM agent_memory.api_keys WHERE id = %(id)s").format(_COLUMNS)
_LIST = SQL("""
SELECT {} FROM agent_memory.api_keys
WHERE %(tenant)s::text IS NULL OR tenant = %(tenant)s ORDER BY created_at, id
""").format(_COLUMNS)
_REVOKE: LiteralString = """
UPDATE agent_memory.api_keys SET revoked_at = coalesce(revoked_at, %(now)s) WHERE id = %(id)s
"""
_EXIST = SQL("SELECT EXISTS (SELECT FROM agent_memory.api_keys)")


class PostgresKeyStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, key: ApiKey) -> None:
        reach = key.reach
        row = [
            key.id, key.digest, reach.tenant, reach.agent_id, reach.user_id,
            key.created_at, key.label, key.expires_at, key.revoked_at,
        ]  # fmt: skip

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(_ADD, row)

        await self._database.run(work, writes=())

    async def find(self, key_id: KeyId) -> ApiKey | None:
        rows = await self._rows(_FIND, {"id": key_id})
        return _key_of(rows[0]) if rows else None

    async def listed(self, tenant: str | None = None) -> list[ApiKey]:
        return [_key_of(row) for row in await self._rows(_LIST, {"tenant": tenant})]

    async def revoke(self, key_id: KeyId, now: datetime) -> bool:
        async def work(connection: AsyncConnection) -> bool:
            return (await connection.execute(_REVOKE, {"id": key_id, "now": now})).rowcount > 0

        return await self._database.run(work, writes=())

    async def exist(self) -> bool:
        [[there]] = await self._rows(_EXIST, {})
        return bool(there)

    async def _rows(self, query: SQL | Composed, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        async def work(connection: AsyncConnection) -> list[tuple[Any, ...]]:
            return await (await connection.execute(query, parameters)).fetchall()

        return await self._database.read(work)


def _key_of(row: tuple[Any, ...]) -> ApiKey:
    id_, digest, tenant, agent_id, user_id, *rest = row
    return ApiKey(id_, digest, Reach(tenant, agent_id, user_id), *rest)
