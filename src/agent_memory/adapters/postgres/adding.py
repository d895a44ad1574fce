"""Many memories are added in one transaction, in the order of their ids: of two who add the same, one waits at most."""

from collections.abc import Sequence

from psycopg import AsyncConnection

from agent_memory.adapters.postgres.connection import Database
from agent_memory.adapters.postgres.rows import ADD, row_of
from agent_memory.domain.semantic.memory import Embedding, Memory, MemoryId


async def add_many(database: Database, entries: Sequence[tuple[Memory, Embedding]]) -> list[bool]:
    """What `MemoryArchive` promises."""
    order = sorted(range(len(entries)), key=lambda place: _key(entries[place][0]))
    rows = [row_of(*entries[place]) for place in order]

    async def work(connection: AsyncConnection) -> list[bool]:
        async with connection.transaction(), connection.cursor() as cursor:
            await cursor.executemany(ADD + " RETURNING true", rows, returning=True)
            return [bool(await results.fetchall()) async for results in cursor.results()]

    new = await database.run(work, writes={memory.scope for memory, _ in entries})
    return [added for _, added in sorted(zip(order, new, strict=True))]


def _key(memory: Memory) -> tuple[MemoryId, str]:
    return memory.id, memory.scope.tenant
