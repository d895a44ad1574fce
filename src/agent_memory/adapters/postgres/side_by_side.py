"""Vectors of many memories that come together, compared with all of a scope and with each other."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import numpy as np
from pgvector import HalfVector
from psycopg import AsyncConnection
from psycopg.sql import SQL

from agent_memory.adapters.postgres.conditions import valid
from agent_memory.adapters.postgres.rows import COLUMNS, IN_SCOPE_OF, memory_of, named
from agent_memory.adapters.postgres.scope_index import Reals, Vectors
from agent_memory.adapters.postgres.vector_likeness import Entry
from agent_memory.domain.semantic.duplicates import MOST_REPORTED, NEAR, NEARLY, Likeness

_VECTORS = SQL("""
SELECT id, embedding FROM agent_memory.memories
WHERE {scope} AND {valid} AND embedding_model = %(model)s AND embedding_dimension = %(dimension)s
""").format(scope=SQL(IN_SCOPE_OF), valid=valid())

_BY_ID = SQL("SELECT {columns} FROM agent_memory.memories WHERE {scope} AND {valid} AND id = ANY(%(ids)s)").format(
    columns=SQL(COLUMNS), scope=SQL(IN_SCOPE_OF), valid=valid()
)


async def near_in_scope(connection: AsyncConnection, entries: Sequence[Entry], now: datetime) -> list[list[Likeness]]:
    """The nearest of each in its scope: all are compared."""
    memory, embedding = entries[0]
    asked = {"model": embedding.model, "dimension": embedding.dimension}
    parameters = named(memory.scope) | asked | {"now": now}
    async with connection.cursor(binary=True) as cursor:
        rows = await (await cursor.execute(_VECTORS, parameters)).fetchall()
        near = await asyncio.to_thread(_near, rows, entries)
        ids = {id_ for some in near for id_, _ in some}
        found = await (await cursor.execute(_BY_ID, parameters | {"ids": list(ids)})).fetchall() if ids else []
    known = {row[0]: memory_of(row) for row in found}
    return [[Likeness(known[id_], like) for id_, like in some if id_ in known] for some in near]


def _near(rows: Sequence[tuple[UUID, HalfVector]], entries: Sequence[Entry]) -> list[list[tuple[UUID, float]]]:
    told = _vectors(entries)
    known = Vectors.of([half.to_numpy().astype(np.float32) for _, half in rows], told.dimension)
    near = (_nearest(known.similarity(vector)) for vector in told.matrix)
    return [[(rows[place][0], like) for place, like in some] for some in near]


def near_before(entries: Sequence[Entry], now: datetime) -> list[list[Likeness]]:
    """Of each those before it that hold: the first of the very same words, then the nearest."""
    vectors, said = _vectors(entries), defaultdict[str, list[Likeness]](list)
    held = np.array([memory.holds(now) for memory, _ in entries])
    found: list[list[Likeness]] = []
    for number, (memory, _) in enumerate(entries):
        cosines = np.where(held[:number], np.vecdot(vectors.matrix[:number], vectors.matrix[number]), 0)
        near = [Likeness(entries[place][0], like) for place, like in _nearest(cosines)]
        found.append(said[memory.content][:MOST_REPORTED] + near)
        if held[number]:
            said[memory.content].append(Likeness(memory, 1.0))
    return found


def _vectors(entries: Sequence[Entry]) -> Vectors:
    vectors = [np.frombuffer(embedding.vector, np.float32) for _, embedding in entries]
    return Vectors.of(vectors, len(vectors[0]) if vectors else 0)


def _nearest(cosines: Reals) -> list[tuple[int, float]]:
    """Places and likenesses; among equals the first."""
    near = np.flatnonzero(cosines >= NEAR)
    order = near[np.argsort(-cosines[near], kind="stable")[:MOST_REPORTED]]
    return list(zip(order.tolist(), np.minimum(cosines[order], NEARLY).tolist(), strict=True))
