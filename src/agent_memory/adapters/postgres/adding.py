"""Many memories are added in one transaction, in the order of their ids: of two who add the same, one waits at most."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence

from psycopg import AsyncConnection

from agent_memory.adapters.postgres.connection import Database
from agent_memory.adapters.postgres.rows import ADD, row_of
from agent_memory.domain.semantic.memory import Embedding, Memory, MemoryId

_PORTION = 20_000  # characters, in whose words a thread looks for no more than some hundredths of a second

Entry = tuple[Memory, Embedding]


async def add_many(database: Database, entries: Sequence[Entry]) -> list[bool]:
    """What `MemoryArchive` promises."""
    order = sorted(range(len(entries)), key=lambda place: _key(entries[place][0]))
    rows = await rows_of([entries[place] for place in order])

    async def work(connection: AsyncConnection) -> list[bool]:
        async with connection.transaction(), connection.cursor() as cursor:
            await cursor.executemany(ADD + " RETURNING true", rows, returning=True)
            return [bool(await results.fetchall()) async for results in cursor.results()]

    new = await database.run(work, writes={memory.scope for memory, _ in entries})
    return [added for _, added in sorted(zip(order, new, strict=True))]


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
