"""A `MemoryArchive` in PostgreSQL, over the same table as the `MemoryStore`."""

import asyncio
from array import array
from collections.abc import Sequence
from datetime import datetime
from typing import Any, LiteralString

from psycopg import AsyncConnection, Rollback
from psycopg.sql import SQL, Composed

from agent_memory.adapters.postgres.adding import add_many
from agent_memory.adapters.postgres.conditions import BEGINS, Conditions, valid
from agent_memory.adapters.postgres.connection import Database
from agent_memory.adapters.postgres.forgetting import UNHURRIED, UNTOLD, alone_in, forget
from agent_memory.adapters.postgres.likenesses import Likenesses
from agent_memory.adapters.postgres.reinforcing import Reinforcing
from agent_memory.adapters.postgres.rows import (
    ADD,
    COLUMNS,
    IN_SCOPE_OF,
    REPLACE,
    WIDTH,
    ending,
    memory_of,
    named,
    replacing,
    row_of,
)
from agent_memory.adapters.postgres.scope_cache import ScopeCache
from agent_memory.adapters.postgres.side_by_side import near_before
from agent_memory.domain.semantic.checks import Json
from agent_memory.domain.semantic.duplicates import Likeness, Remembered, most_alike
from agent_memory.domain.semantic.keeping import Inventory, Mark, Receipt
from agent_memory.domain.semantic.memory import Embedding, Memory, MemoryId, MemoryType, Scope
from agent_memory.domain.semantic.selection import Selection
from agent_memory.ports.semantic import Spool

_HELD = SQL("{valid} AND {selected}")
# And what is out of sight because it is superseded.
_KNOWN = SQL("({valid} OR superseded_at IS NOT NULL) AND {selected}")

_COUNT = SQL("SELECT count(*) FROM agent_memory.memories WHERE {scope} AND {known}")

_GET = SQL("""
SELECT {columns} FROM agent_memory.memories
WHERE id = %(id)s AND tenant = %(tenant)s AND agent_id = %(agent_id)s
  AND (%(user_id)s::text IS NULL OR user_id = %(user_id)s)
""")

_AGREEING = SQL("""
SELECT told.place
FROM unnest(%(ids)s::uuid[], %(agents)s::text[], %(users)s::text[], %(contents)s::text[])
     WITH ORDINALITY AS told (id, agent_id, user_id, content, place)
JOIN agent_memory.memories AS m USING (id, agent_id, user_id, content)
WHERE m.tenant = %(tenant)s
""")

_PAGE = SQL("""
SELECT {columns} FROM agent_memory.memories
WHERE {scope} AND {held} AND (%(moment)s::timestamptz IS NULL OR (moment, id) < (%(moment)s, %(mark)s))
ORDER BY moment DESC, id DESC LIMIT %(limit)s
""")

_VALUES = SQL("""
SELECT DISTINCT metadata #> %(path)s FROM agent_memory.memories
WHERE {scope} AND {held} AND metadata #> %(path)s IS NOT NULL
""")

_HISTORY = SQL("""
SELECT m.id, m.agent_id, m.user_id, m.tenant, v.content, m.created_at, v.memory_type, v.importance, v.tags, v.metadata,
       v.expires_at, v.version, NULL::uuid, NULL::timestamptz, v.event_time, NULL::text, v.revised_at
FROM agent_memory.memory_versions AS v JOIN agent_memory.memories AS m
     ON m.id = v.memory_id AND m.tenant = v.tenant
WHERE m.id = %(id)s AND m.tenant = %(tenant)s AND m.agent_id = %(agent_id)s
UNION ALL
SELECT {columns} FROM agent_memory.memories
WHERE id = %(id)s AND tenant = %(tenant)s AND agent_id = %(agent_id)s
ORDER BY version DESC
""")

_SUPERSEDE = SQL("""
UPDATE agent_memory.memories SET
    superseded_by = %(successor)s, superseded_at = greatest(%(since)s, {})
WHERE id = %(id)s AND {} AND superseded_at IS NULL
  AND (%(expected)s::integer IS NULL OR version = %(expected)s)
  AND (NOT %(read)s::boolean OR expires_at IS NOT DISTINCT FROM %(end)s::timestamptz)
""").format(BEGINS, SQL(IN_SCOPE_OF))

_PUT_OFF = SQL("""
UPDATE agent_memory.memories SET expires_at = %(expires_at)s
WHERE id = %(id)s AND {} AND version = %(version)s AND superseded_at IS NULL
  AND expires_at > %(now)s AND expires_at < %(expires_at)s
""").format(SQL(IN_SCOPE_OF))

_AGENTS: LiteralString = """
SELECT DISTINCT agent_id FROM agent_memory.memories
WHERE tenant = %(tenant)s AND user_id = %(user_id)s AND (%(agent_id)s::text IS NULL OR agent_id = %(agent_id)s)
ORDER BY agent_id
"""

_PURGED_AT_ONCE = 5000
_PURGE = SQL("""
WITH gone AS (
    DELETE FROM agent_memory.memories WHERE (id, tenant) IN (
        SELECT id, tenant FROM agent_memory.memories WHERE expires_at <= %(now)s LIMIT %(most)s FOR UPDATE SKIP LOCKED
    ) RETURNING id, tenant
), {}
SELECT FROM gone
""").format(UNTOLD)

# Versions are counted of one memory after the other, whatever the planner expects of a tenant.
_ERASE = SQL("""
WITH gone AS (
    DELETE FROM agent_memory.memories
    WHERE tenant = %(tenant)s AND user_id = %(user_id)s
      AND (%(agent_id)s::text IS NULL OR agent_id = %(agent_id)s)
    RETURNING id, tenant
), {}
SELECT count(*), coalesce(sum(versions.number), 0)::bigint
FROM gone, LATERAL (
    SELECT count(*) AS number FROM agent_memory.memory_versions WHERE memory_id = gone.id AND tenant = %(tenant)s
) AS versions
""").format(UNTOLD)

_INVENTORY = SQL("""
WITH scope AS (
    SELECT *, superseded_at IS NOT NULL AS superseded,
           superseded_at IS NULL AND coalesce(expires_at <= %(now)s, false) AS expired
    FROM agent_memory.memories WHERE {scope}
), held AS (
    SELECT * FROM scope WHERE NOT superseded AND NOT expired
)
SELECT count(*), coalesce(sum(char_length(content)), 0)::bigint, min(moment), max(moment),
       (SELECT coalesce(jsonb_object_agg(memory_type, number), '{{}}')
        FROM (SELECT memory_type, count(*) AS number FROM held GROUP BY memory_type) AS types),
       (SELECT coalesce(jsonb_object_agg(tag, number), '{{}}')
        FROM (SELECT tag, count(*) AS number FROM held, unnest(tags) AS tag GROUP BY tag) AS tags),
       (SELECT count(*) FROM scope WHERE superseded), (SELECT count(*) FROM scope WHERE expired)
FROM held
""").format(scope=SQL(IN_SCOPE_OF))

_ENTRIES = SQL("""
SELECT {columns}, embedding, embedding_model FROM agent_memory.memories
WHERE {scope} AND (%(moment)s::timestamptz IS NULL OR (moment, id) > (%(moment)s, %(mark)s))
ORDER BY moment, id LIMIT %(limit)s
""")

_SPOOLED_AT_ONCE = 200

_NAMED = SQL(COLUMNS)


class PostgresMemoryArchive:
    def __init__(self, database: Database, cache: ScopeCache | None = None) -> None:
        self._database = database
        self._alike = Likenesses(database, cache)
        self._reinforcing = Reinforcing(database, self._alike)

    async def add_many(self, entries: Sequence[tuple[Memory, Embedding]], now: datetime | None = None) -> list[bool]:
        return await add_many(self._database, entries, now)

    async def agree(self, memories: Sequence[Memory], *, tenant: str) -> list[bool]:
        parameters = {
            "tenant": tenant,
            "ids": [memory.id for memory in memories],
            "agents": [memory.scope.agent_id for memory in memories],
            "users": [memory.scope.user_id for memory in memories],
            "contents": [memory.content for memory in memories],
        }
        agreeing = {place for (place,) in await self._rows(_AGREEING, parameters)}
        return [place in agreeing for place in range(1, len(memories) + 1)]

    async def tell_many(
        self, entries: Sequence[tuple[Memory, Embedding]], now: datetime
    ) -> list[list[Likeness] | None]:
        before = await self._alike.of_many(entries, now)
        new = await self.add_many(entries, now)
        told = [entry for entry, added in zip(entries, new, strict=True) if added]
        earlier = iter(await asyncio.to_thread(near_before, told, now))
        return [most_alike(some + next(earlier)) if added else None for some, added in zip(before, new, strict=True)]

    async def alike(self, memory: Memory, embedding: Embedding, now: datetime) -> list[Likeness]:
        return await self._alike.find(memory, embedding, now)

    async def reinforce(self, memory: Memory, embedding: Embedding, now: datetime) -> Remembered:
        return await self._reinforcing.reinforce(memory, embedding, now)

    async def get(
        self, memory_id: MemoryId, agent_id: str, user_id: str | None = None, *, tenant: str
    ) -> Memory | None:
        parameters = {"id": memory_id, "tenant": tenant, "agent_id": agent_id, "user_id": user_id}
        rows = await self._rows(_GET.format(columns=_NAMED), parameters)
        return memory_of(rows[0]) if rows else None

    async def page(
        self,
        scope: Scope,
        selection: Selection,
        now: datetime,
        after: Mark | None,
        limit: int,
        *,
        superseded: bool = False,
    ) -> list[Memory]:
        held, parameters = _selected(_KNOWN if superseded else _HELD, selection, now)
        page = _PAGE.format(columns=_NAMED, scope=SQL(IN_SCOPE_OF), held=held)
        rows = await self._rows(page, parameters | named(scope) | _place(after, limit))
        return [memory_of(row) for row in rows]

    async def replace(
        self, memory: Memory, embedding: Embedding | None, expected: int, read: Memory | None = None
    ) -> bool:
        return await self._changed(SQL(REPLACE), replacing(memory, embedding, expected, read), [memory.scope]) > 0

    async def put_off(
        self, memory_id: MemoryId, scope: Scope, version: int, expires_at: datetime, now: datetime
    ) -> bool:
        parameters = named(scope) | {"id": memory_id, "version": version, "expires_at": expires_at, "now": now}
        return await self._changed(_PUT_OFF, parameters, [scope]) > 0

    async def history(self, memory_id: MemoryId, agent_id: str, *, tenant: str) -> list[Memory]:
        parameters = {"id": memory_id, "tenant": tenant, "agent_id": agent_id}
        rows = await self._rows(_HISTORY.format(columns=_NAMED), parameters)
        return [memory_of(row) for row in rows]

    async def supersede(
        self,
        memory_id: MemoryId,
        successor: Memory,
        embedding: Embedding,
        expected: int | None = None,
        read: Memory | None = None,
    ) -> bool:
        scope, row = successor.scope, row_of(successor, embedding)
        mark = {"successor": successor.id, "since": successor.begins, "id": memory_id, "expected": expected}

        async def work(connection: AsyncConnection) -> bool:
            done = False
            async with connection.transaction() as transaction:
                marked = (await connection.execute(_SUPERSEDE, named(scope) | mark | ending(read))).rowcount > 0
                done = marked and (await connection.execute(ADD, row)).rowcount > 0
                if not done:
                    raise Rollback(transaction)
            return done

        return await self._database.run(work, writes=[scope])

    async def count_selected(self, scope: Scope, selection: Selection, now: datetime) -> int:
        known, parameters = _selected(_KNOWN, selection, now)
        [[count]] = await self._rows(_COUNT.format(scope=SQL(IN_SCOPE_OF), known=known), parameters | named(scope))
        return int(count)

    async def remove_selected(self, scope: Scope, selection: Selection, now: datetime) -> int:
        known, parameters = _selected(_KNOWN, selection, now)
        return await self._database.run(lambda connection: forget(connection, scope, known, parameters), writes=[scope])

    async def erase(self, user_id: str, agent_id: str | None, now: datetime, *, tenant: str) -> Receipt:
        parameters = {"tenant": tenant, "user_id": user_id, "agent_id": agent_id}

        async def work(connection: AsyncConnection) -> Receipt:
            async with connection.transaction():
                await connection.execute(UNHURRIED)
                # Nobody condenses meanwhile what is to be gone.
                for (agent,) in await (await connection.execute(_AGENTS, parameters)).fetchall():
                    await alone_in(connection, Scope(agent, user_id, tenant))
                [[memories, versions]] = await (await connection.execute(_ERASE, parameters)).fetchall()
            return Receipt(user_id, agent_id, memories, versions, now)

        return await self._database.run(work)

    async def values(self, scope: Scope, selection: Selection, path: tuple[str, ...], now: datetime) -> list[Json]:
        held, parameters = _selected(_HELD, selection, now)
        query = _VALUES.format(scope=SQL(IN_SCOPE_OF), held=held)
        return [value for (value,) in await self._rows(query, parameters | named(scope) | {"path": list(path)})]

    async def inventory(self, scope: Scope, now: datetime) -> Inventory:
        [row] = await self._rows(_INVENTORY, named(scope) | {"now": now})
        memories, characters, oldest, newest, types, tags, superseded, expired = row
        by_type = {MemoryType(name): number for name, number in types.items()}
        return Inventory(memories, by_type, tags, characters, oldest, newest, superseded, expired)

    async def purge(self, now: datetime) -> int:
        gone = 0
        while some := await self._changed(_PURGE, {"now": now, "most": _PURGED_AT_ONCE}):
            gone += some
        return gone

    async def spool(self, scope: Scope, spool: Spool) -> None:
        query = _ENTRIES.format(columns=_NAMED, scope=SQL(IN_SCOPE_OF))

        async def work(connection: AsyncConnection) -> None:
            spool.clear()
            after: Mark | None = None
            async with connection.transaction():
                await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                while rows := await (
                    await connection.execute(query, named(scope) | _place(after, _SPOOLED_AT_ONCE))
                ).fetchall():
                    entries = [
                        (memory_of(row[:WIDTH]), Embedding(row[-1], array("f", row[-2].to_list()))) for row in rows
                    ]
                    spool.add(entries)
                    after = Mark.after(entries[-1][0])

        await self._database.read(work)

    async def _rows(self, query: SQL | Composed, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        async def work(connection: AsyncConnection) -> list[tuple[Any, ...]]:
            return await (await connection.execute(query, parameters)).fetchall()

        return await self._database.read(work)

    async def _changed(
        self, query: SQL | Composed, parameters: dict[str, Any], writes: Sequence[Scope] | None = None
    ) -> int:
        async def work(connection: AsyncConnection) -> int:
            return (await connection.execute(query, parameters)).rowcount

        return await self._database.run(work, writes=writes)


def _selected(which: SQL, selection: Selection, now: datetime) -> tuple[Composed, dict[str, Any]]:
    conditions = Conditions()
    selected = conditions.selected(selection)
    return which.format(valid=valid(), selected=selected), conditions.parameters | {"now": now}


def _place(after: Mark | None, limit: int) -> dict[str, Any]:
    if after is None:
        return {"moment": None, "mark": None, "limit": limit}
    return {"moment": after.moment, "mark": after.id, "limit": limit}
