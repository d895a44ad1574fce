"""Indexes that pay only for large scopes, built when there is one: beside the traffic, by one worker of many.

Every insertion into a vector index costs milliseconds, so it waits until a scope is large enough to need one.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import LiteralString

import structlog
from psycopg import AsyncConnection
from psycopg.sql import SQL, Composed, Identifier, Literal

from agent_memory.adapters.postgres.connection import Database

LARGE = 5000  # memories in one scope
_MOST_DIMENSIONS = 4000  # that pgvector indexes of half-precision vectors
_LOCK = 0x696E646578

_log = structlog.get_logger(__name__)

_LARGEST: LiteralString = """
SELECT coalesce(max(size), 0)
FROM (SELECT count(*) AS size FROM agent_memory.memories GROUP BY tenant, agent_id, user_id) AS s
"""
_DIMENSIONS: LiteralString = """
SELECT embedding_dimension FROM agent_memory.memories GROUP BY embedding_dimension HAVING count(*) >= %s
"""
_STATE: LiteralString = """
SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)
"""


class VectorIndex(StrEnum):
    HNSW = "hnsw"
    IVFFLAT = "ivfflat"


_OPTIONS = {
    # With pgvector's 64 one query in twenty finds none of its nearest, however far it looks (decision 27).
    VectorIndex.HNSW: SQL("WITH (m = 16, ef_construction = 256)"),
    VectorIndex.IVFFLAT: SQL("WITH (lists = 100)"),
}


class Indexing:
    def __init__(self, database: Database, kind: VectorIndex = VectorIndex.HNSW, large: int = LARGE) -> None:
        self._database = database
        self._kind = kind
        self._large = large
        self._replaced: set[int] = set()

    async def tend(self) -> list[str]:
        """Build what is missing; the names of what was built. May be repeated, by many workers.

        An index of another kind goes once ours is there, and but once: a program that is set to that kind may build it
        again, and no two take turns for ever.
        """
        return await self._database.run(self._tend, writes=())

    async def _tend(self, connection: AsyncConnection) -> list[str]:
        [[locked]] = await (await connection.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])).fetchall()
        if not locked:
            return []
        try:
            [[largest]] = await (await connection.execute(_LARGEST)).fetchall()
            if largest < self._large:
                return []
            rows = await (await connection.execute(_DIMENSIONS, [self._large])).fetchall()
            dimensions = [dimension for (dimension,) in rows if dimension <= _MOST_DIMENSIONS]
            wanted = [*map(self._vectors, dimensions), _words()]
            built = [name for name, statement in wanted if await _build(connection, name, statement)]
            for dimension in set(dimensions) - self._replaced:
                for kind in set(VectorIndex) - {self._kind}:
                    await _drop(connection, _vectors(kind, dimension))
                self._replaced.add(dimension)
            return built
        finally:
            await connection.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])

    def _vectors(self, dimension: int) -> tuple[str, Composed]:
        name = _vectors(self._kind, dimension)
        statement = SQL("""
            CREATE INDEX CONCURRENTLY {name} ON agent_memory.memories
            USING {kind} ((embedding::halfvec({dimension})) halfvec_cosine_ops) {options}
            WHERE embedding_dimension = {dimension}
        """).format(
            name=Identifier(name),
            kind=Identifier(self._kind),
            dimension=Literal(dimension),
            options=_OPTIONS[self._kind],
        )
        return name, statement


def _vectors(kind: VectorIndex, dimension: int) -> str:
    return f"memories_{kind}_{dimension}"


def indexed(dimension: int) -> Composed:
    """A condition: whether vectors of that dimension have an index. A statement asks it once, before any row."""
    names = SQL(", ").join(
        SQL("to_regclass({})").format(Literal(f"agent_memory.{_vectors(kind, dimension)}")) for kind in VectorIndex
    )
    return SQL("(SELECT EXISTS (SELECT FROM pg_index WHERE indisvalid AND indexrelid IN ({})))").format(names)


def _words() -> tuple[str, Composed]:
    # Without a list of what is to be put in later, which every search would read from end to end.
    name = "memories_by_word"
    statement = SQL("CREATE INDEX CONCURRENTLY {} ON agent_memory.memories USING gin (words) WITH (fastupdate = off)")
    return name, statement.format(Identifier(name))


async def _build(connection: AsyncConnection, name: str, statement: Composed) -> bool:
    """An index whose building was interrupted stays behind, of no use to anybody: it is built again."""
    qualified = f"agent_memory.{name}"
    states = await (await connection.execute(_STATE, [qualified])).fetchall()
    if states == [(True,)]:
        return False
    if states:
        await _drop(connection, name)
    _log.info("building an index", index=name)
    async with _unhurried(connection):
        await connection.execute("SET maintenance_work_mem = '256MB'")
        try:
            await connection.execute(statement)
        finally:
            await connection.execute("RESET maintenance_work_mem")
    await connection.execute("ANALYZE agent_memory.memories")
    return True


async def _drop(connection: AsyncConnection, name: str) -> None:
    """Where it is there; waits for whoever reads by it."""
    async with _unhurried(connection):
        await connection.execute(SQL("DROP INDEX CONCURRENTLY IF EXISTS agent_memory.{}").format(Identifier(name)))


@asynccontextmanager
async def _unhurried(connection: AsyncConnection) -> AsyncIterator[None]:
    [[patience]] = await (await connection.execute("SHOW statement_timeout")).fetchall()
    await connection.execute("SET statement_timeout = 0")
    try:
        yield
    finally:
        await connection.execute("SELECT set_config('statement_timeout', %s, false)", [patience])
