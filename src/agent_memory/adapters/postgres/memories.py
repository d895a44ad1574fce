"""A `MemoryStore` in PostgreSQL: small scopes are kept ready and checked at every search, larger ones too if they are
searched again, others are measured whole, and the largest are asked through their indexes.
"""

from datetime import datetime
from typing import LiteralString

from psycopg import AsyncConnection
from psycopg.sql import SQL

from agent_memory.adapters.postgres.adding import add_many
from agent_memory.adapters.postgres.connection import Database
from agent_memory.adapters.postgres.forgetting import UNTOLD, forget
from agent_memory.adapters.postgres.large_scope import read_large
from agent_memory.adapters.postgres.rows import ADD, IN_SCOPE_OF, named, row_of
from agent_memory.adapters.postgres.scope_cache import ScopeCache
from agent_memory.adapters.postgres.sizes import Commonness, Sizes
from agent_memory.adapters.postgres.weighed_scope import read_weighed
from agent_memory.adapters.postgres.whole_scope import read_whole
from agent_memory.domain.semantic.keeping import Versions, check_version, versions_meant
from agent_memory.domain.semantic.memory import Embedding, Memory, MemoryId, Scope
from agent_memory.domain.semantic.recall import Search, Shortlist

# Memories of a scope: up to here all of them are brought and kept at the first search, whatever its filter ...
SMALL_UP_TO = 200
# ... and up to here at the second, if it has none, for which a statement is better; and measuring all of them costs no
# more than asking the indexes.
WHOLE_UP_TO = 2000

_ONE: LiteralString = """
id = %(id)s AND tenant = %(tenant)s AND agent_id = %(agent_id)s
AND (%(user_id)s::text IS NULL OR user_id = %(user_id)s)
"""
_MEANT: LiteralString = "(%(versions)s::numeric[] IS NULL OR version = ANY(%(versions)s::numeric[]))"
# Of what nothing stands for, nothing was condensed.
_REMOVE = SQL("""
WITH gone AS (
    DELETE FROM agent_memory.memories WHERE {} AND {} AND superseded_by IS NULL RETURNING id, tenant
), {}
SELECT FROM gone
""").format(SQL(_ONE), SQL(_MEANT), UNTOLD)
_MEANT_ONE = SQL("id = %(id)s AND {}").format(SQL(_MEANT))
_WHOSE = SQL("SELECT user_id, version FROM agent_memory.memories WHERE {}").format(SQL(_ONE))

_COUNT = SQL("SELECT count(*) FROM agent_memory.memories WHERE {}").format(SQL(IN_SCOPE_OF))
# All, less those that hold no more: both are counted by an index alone.
_COUNT_HELD = SQL("""
SELECT count(*) - (
    SELECT count(*) FROM agent_memory.memories WHERE {scope} AND (superseded_at IS NOT NULL OR expires_at <= %(now)s)
) FROM agent_memory.memories WHERE {scope}
""").format(scope=SQL(IN_SCOPE_OF))


class PostgresMemoryStore:
    def __init__(
        self,
        database: Database,
        whole_up_to: int = WHOLE_UP_TO,
        small_up_to: int = SMALL_UP_TO,
        cache: ScopeCache | None = None,
    ) -> None:
        self._database = database
        self._small_up_to = small_up_to
        self._whole_up_to = whole_up_to
        self._sizes = Sizes(whole_up_to)
        self._commonness = Commonness()
        self._cache = cache or ScopeCache(database)

    async def add(self, memory: Memory, embedding: Embedding, now: datetime | None = None) -> bool:
        row = row_of(memory, embedding)

        async def work(connection: AsyncConnection) -> bool:
            return (await connection.execute(ADD, row)).rowcount > 0

        added = await self._database.run(work, writes=[memory.scope])
        if not added and now is not None:  # what is known may have expired
            [added] = await add_many(self._database, [(memory, embedding)], now)
        return added

    async def shortlist(self, search: Search) -> Shortlist:
        if search.as_of is None and (most := self._worth_reading(search)):
            scope = await self._cache.read(search.scope, search.embedding, most)
            if scope is not None:
                return scope.shortlist(search)

        async def work(connection: AsyncConnection) -> Shortlist:
            size = await self._sizes.of(connection, search.scope)
            if size <= self._whole_up_to:
                return await read_whole(connection, search)
            commonness = await self._commonness.read(connection)
            if search.weighing is not None:
                return await read_weighed(connection, search, search.weighing, size, commonness.memories)
            return await read_large(connection, search, size, commonness)

        return await self._database.read(work)

    def _worth_reading(self, search: Search) -> int:
        """How many memories the scope may have to be searched here, as the cache has it; 0: by a statement."""
        scope, cache = search.scope, self._cache
        size = cache.size(scope) or self._sizes.known(scope)
        if size is None:  # the first search of many is of a small scope, and of a larger one nothing is brought
            return self._small_up_to
        if size <= self._small_up_to:
            return 2 * self._small_up_to
        worth = size <= min(self._whole_up_to, WHOLE_UP_TO) and not search.selection.filters
        return 2 * WHOLE_UP_TO if worth and (cache.size(scope) or cache.takes(scope, size)) else 0

    async def remove(
        self,
        memory_id: MemoryId,
        agent_id: str,
        user_id: str | None = None,
        *,
        tenant: str,
        version: Versions | None = None,
    ) -> bool:
        versions = None if version is None else versions_meant(version)
        one = {"id": memory_id, "tenant": tenant, "agent_id": agent_id, "user_id": user_id, "versions": versions}

        async def work(connection: AsyncConnection) -> bool:
            if (await connection.execute(_REMOVE, one)).rowcount > 0:
                return True
            row = await (await connection.execute(_WHOSE, one)).fetchone()
            if row is None:
                return False
            user, present = row
            check_version(memory_id, present, version)
            if await forget(connection, Scope(agent_id, user, tenant), _MEANT_ONE, one) > 0:
                return True
            return await work(connection)  # somebody was faster: what is there now?

        return await self._database.run(work, writes=None if user_id is None else [Scope(agent_id, user_id, tenant)])

    async def count(self, scope: Scope, now: datetime | None = None) -> int:
        query, parameters = (_COUNT, named(scope)) if now is None else (_COUNT_HELD, named(scope) | {"now": now})

        async def work(connection: AsyncConnection) -> int:
            cursor = await connection.execute(query, parameters)
            [[count]] = await cursor.fetchall()
            return int(count)

        return await self._database.read(work)
