"""New memories as rows, in the order of their ids: of two who add the same, one waits at most. What has expired, and is
not purged yet, makes room for what comes under its id; it is locked in that order too, before anything is written.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime

from psycopg import AsyncConnection
from psycopg.sql import SQL

from agent_memory.adapters.postgres.connection import Database
from agent_memory.adapters.postgres.forgetting import UNTOLD_IF_ANSWERED
from agent_memory.adapters.postgres.rows import ADD, row_of
from agent_memory.domain.semantic.memory import Embedding, Memory, MemoryId, Scope

_PORTION = 20_000  # characters, in whose words a thread looks for no more than some hundredths of a second
_PURGE = SQL("""
WITH over AS (
    SELECT m.id, m.tenant FROM agent_memory.memories AS m
    JOIN unnest(%(tenants)s::text[], %(ids)s::uuid[]) AS named (tenant, id)
         ON m.tenant = named.tenant AND m.id = named.id
    WHERE expires_at <= %(now)s ORDER BY m.id, m.tenant FOR UPDATE OF m
), gone AS (
    DELETE FROM agent_memory.memories AS m USING over WHERE m.tenant = over.tenant AND m.id = over.id
    RETURNING m.id, agent_id, user_id, m.tenant
), {}
SELECT agent_id, user_id, tenant FROM gone
""").format(UNTOLD_IF_ANSWERED)

Entry = tuple[Memory, Embedding]


async def add_many(database: Database, entries: Sequence[Entry], now: datetime | None = None) -> list[bool]:
    """What `MemoryArchive` promises."""
    order = sorted(range(len(entries)), key=lambda place: _key(entries[place][0]))
    rows = await rows_of([entries[place] for place in order])
    lasting = [] if now is None else [memory for memory, _ in entries if not memory.has_expired(now)]

    async def work(connection: AsyncConnection) -> list[bool]:
        with ExitStack() as counted:  # the count of what is gone ends after the commit
            async with connection.transaction(), connection.cursor() as cursor:
                if now is not None and lasting:
                    counted.enter_context(database.writing(await purge(connection, lasting, now)))
                await cursor.executemany(ADD + " RETURNING true", rows, returning=True)
                return [bool(await results.fetchall()) async for results in cursor.results()]

    new = await database.run(work, writes={memory.scope for memory, _ in entries})
    return [added for _, added in sorted(zip(order, new, strict=True))]


async def purge(connection: AsyncConnection, memories: Sequence[Memory], now: datetime) -> set[Scope]:
    """Remove what has expired under these ids; answers whose it was, which is to be counted before the commit."""
    places = {
        "tenants": [memory.scope.tenant for memory in memories],
        "ids": [memory.id for memory in memories],
        "now": now,
    }
    return {Scope(*row) for row in await (await connection.execute(_PURGE, places)).fetchall()}


async def rows_of(entries: Iterable[Entry]) -> list[list[object]]:
    """`row_of` each. The words of many take a second to find: beside the loop, unless they are few."""
    rows: list[list[object]] = []
    for portion, characters in _portions(entries):
        rows += _rows_of(portion) if characters < _PORTION else await asyncio.to_thread(_rows_of, portion)
    return rows


def _rows_of(entries: Iterable[Entry]) -> list[list[object]]:
    return [row_of(memory, embedding) for memory, embedding in entries]


def _portions(entries: Iterable[Entry]) -> Iterator[tuple[list[Entry], int]]:
    """And their characters: of each but the last just enough."""
    portion: list[Entry] = []
    characters = 0
    for entry in entries:
        portion.append(entry)
        characters += len(entry[0].content)
        if characters >= _PORTION:
            yield portion, characters
            portion, characters = [], 0
    yield portion, characters


def _key(memory: Memory) -> tuple[MemoryId, str]:
    return memory.id, memory.scope.tenant
