"""A `MemoryStore` in PostgreSQL: small scopes come back whole, larger ones are measured whole, and the largest are
asked through their indexes.
"""

from datetime import datetime
from typing import LiteralString

from psycopg import AsyncConnection
from psycopg.sql import SQL

from agent_memory.adapters.postgres.connection import Database
from agent_memory.adapters.postgres.forgetting import forget
from agent_memory.adapters.postgres.large_scope import read_large
from agent_memory.adapters.postgres.rows import ADD, IN_SCOPE_OF, named, row_of
from agent_memory.adapters.postgres.sizes import Commonness, Sizes
from agent_memory.adapters.postgres.small_scope import read_small
from agent_memory.adapters.postgres.whole_scope import read_whole
from agent_memory.domain.semantic.memory import Embedding, Memory, MemoryId, Scope
from agent_memory.domain.semantic.recall import Search, Shortlist

# Memories of a scope: up to here all of them come back, and the domain chooses ...
_SMALL_UP_TO = 200
# ... and up to here measuring all of them costs no more than asking the indexes.
WHOLE_UP_TO = 2000

_ONE: LiteralString = """
id = %(id)s AND tenant = %(tenant)s AND agent_id = %(agent_id)s
AND (%(user_id)s::text IS NULL OR user_id = %(user_id)s)
"""
# Of what nothing stands for, nothing was condensed.
_REMOVE = SQL("DELETE FROM agent_memory.memories WHERE {} AND superseded_by IS NULL").format(SQL(_ONE))
_WHOSE = SQL("SELECT user_id FROM agent_memory.memories WHERE {}").format(SQL(_ONE))

_COUNT = SQL("SELECT count(*) FROM agent_memory.memories WHERE {}").format(SQL(IN_SCOPE_OF))
# All, less those that hold no more: both are counted by an index alone.
_COUNT_HELD = SQL("""
SELECT count(*) - (
    SELECT count(*) FROM agent_memory.memories WHERE {scope} AND (superseded_at IS NOT NULL OR expires_at <= %(now)s)
) FROM agent_memory.memories WHERE {scope}
""").format(scope=SQL(IN_SCOPE_OF))


class PostgresMemoryStore:
    def __init__(self, database: Database, whole_up_to: int = WHOLE_UP_TO, small_up_to: int = _SMALL_UP_TO) -> None:
        self._database = database
        self._small_up_to = small_up_to
        self._whole_up_to = whole_up_to
        self._sizes = Sizes(whole_up_to)
        self._commonness = Commonness()

    async def add(self, memory: Memory, embedding: Embedding) -> bool:
        row = row_of(memory, embedding)

        async def work(connection: AsyncConnection) -> bool:
            return (await connection.execute(ADD, row)).rowcount > 0

        return await self._database.run(work)

    async def shortlist(self, search: Search) -> Shortlist:
        async def work(connection: AsyncConnection) -> Shortlist:
            size = await self._sizes.of(connection, search.scope)
            if size <= self._small_up_to:
                found = await read_small(connection, search, 2 * self._small_up_to)
                if found is not None:
                    return found
            if size > self._whole_up_to:
                return await read_large(connection, search, size, await self._commonness.read(connection))
            return await read_whole(connection, search)

        return await self._database.run(work)

    async def remove(self, memory_id: MemoryId, agent_id: str, user_id: str | None = None, *, tenant: str) -> bool:
        parameters = {"id": memory_id, "tenant": tenant, "agent_id": agent_id, "user_id": user_id}

        async def work(connection: AsyncConnection) -> bool:
            if (await connection.execute(_REMOVE, parameters)).rowcount > 0:
                return True
            row = await (await connection.execute(_WHOSE, parameters)).fetchone()
            if row is None:
                return False
            return await forget(connection, Scope(agent_id, row[0], tenant), SQL("id = %(id)s"), parameters) > 0

        return await self._database.run(work)

    async def count(self, scope: Scope, now: datetime | None = None) -> int:
        query, parameters = (_COUNT, named(scope)) if now is None else (_COUNT_HELD, named(scope) | {"now": now})

        async def work(connection: AsyncConnection) -> int:
            cursor = await connection.execute(query, parameters)
            [[count]] = await cursor.fetchall()
            return int(count)

        return await self._database.run(work)
