"""Has a scope changed since it was read, and what is new in it? One statement for as many scopes as ask.

Every row tells which transaction wrote it. One that is older than all that were still going on when the scope was read
was seen then; what others have written comes back. If as many are left of those that were seen as should be, nothing
is missing: whoever revises, supersedes or forgets a memory takes one of them away. Which are left is told on demand.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.sql import SQL

from agent_memory.adapters.postgres.rows import IN_SCOPE
from agent_memory.domain.semantic.memory import Scope

# Metadata stay text: few are looked at, and as objects they take several times the room.
COLUMNS = SQL(IN_SCOPE.replace("metadata", "metadata::text AS metadata"))

_CHECK = SQL("""
SELECT asked.number, held.size, held.known, held.fits, held.ids, held.horizon, life.began, m.*
FROM unnest(
    %(tenants)s::text[], %(agents)s::text[], %(users)s::text[], %(horizons)s::text[]::xid[], %(named)s::boolean[],
    %(most)s::integer[], %(most_fresh)s::integer[], %(room)s::bigint[]
) WITH ORDINALITY AS asked(tenant, agent_id, user_id, horizon, named, most, most_fresh, room, number)
CROSS JOIN (
    -- After a crash numbers of transactions are given out again, and what was counted is counted anew.
    SELECT greatest(pg_postmaster_start_time(), pg_stat_get_bgwriter_stat_reset_time()) AS began
) AS life
CROSS JOIN LATERAL (
    SELECT *, size <= asked.most AND new <= asked.most_fresh AND coalesce(bytes, 0) <= asked.room AS fits
    FROM (
        SELECT count(*) AS size, count(*) FILTER (WHERE stands AND seen) AS known,
               count(*) FILTER (WHERE stands AND NOT seen) AS new,
               sum(pg_column_size(content) + pg_column_size(words) + pg_column_size(metadata))
                   FILTER (WHERE stands AND NOT seen) AS bytes,
               array_agg(place) FILTER (WHERE stands AND NOT seen) AS fresh,
               array_agg(id) FILTER (WHERE stands AND seen AND asked.named) AS ids,
               pg_snapshot_xmin(pg_current_snapshot())::text::bigint & 4294967295 AS horizon
        FROM (
            SELECT id, content, words, metadata, ctid AS place, superseded_at IS NULL AS stands,
                   -- transactions are numbered with 32 bits, round and round: the older one has the greater age
                   coalesce(age(xmin) > age(asked.horizon), false) AS seen
            FROM agent_memory.memories
            WHERE tenant = asked.tenant AND agent_id = asked.agent_id AND user_id = asked.user_id
            ORDER BY moment, id -- as most of them lie in the table, page after page
            LIMIT asked.most + 1
        ) AS each
    ) AS counted
) AS held
LEFT JOIN LATERAL (
    SELECT xmin::text::bigint AS writer, {columns}, embedding, embedding_model, words
    FROM agent_memory.memories
    WHERE ctid = ANY(CASE WHEN held.fits THEN held.fresh END) AND tenant = asked.tenant
    OFFSET 0
) AS m ON true
ORDER BY asked.number
""").format(columns=COLUMNS)


class Asked(NamedTuple):
    """`horizon` is what the last answer told, None if the scope was never read; `named` asks which of those that were
    seen then are left. Nothing is brought of a scope of more than `most` memories in all, nor if more than `most_fresh`
    are new, or take more than `room` bytes of the database.
    """

    scope: Scope
    horizon: int | None
    most: int
    most_fresh: int
    room: int
    named: bool = False


class Found(NamedTuple):
    """`size` counts superseded memories too; `known` are those that were seen before and are left, `ids` which.

    `fresh` are the others, if all of it `fits`, as rows: the transaction that wrote each, `COLUMNS`, its vector, that
    one's model, its words. `began` is when this life of the database did: another one's horizons mean nothing in it.
    """

    size: int
    known: int
    fits: bool
    ids: list[UUID]
    horizon: int
    began: datetime
    fresh: list[tuple[Any, ...]]


_WIDTH = 7  # columns that tell of the scope


async def check(connection: AsyncConnection, asked: Sequence[Asked]) -> list[Found]:
    """For each scope, in their order."""
    parameters = {
        "tenants": [each.scope.tenant for each in asked],
        "agents": [each.scope.agent_id for each in asked],
        "users": [each.scope.user_id for each in asked],
        "horizons": [None if each.horizon is None else str(each.horizon) for each in asked],
        "named": [each.named for each in asked],
        "most": [each.most for each in asked],
        "most_fresh": [each.most_fresh for each in asked],
        "room": [each.room for each in asked],
    }
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(_CHECK, parameters)
        rows = await cursor.fetchall()
    return [_found(list(of_scope)) for _, of_scope in groupby(rows, key=itemgetter(0))]


def _found(rows: list[tuple[Any, ...]]) -> Found:
    _, size, known, fits, ids, horizon, began, writer, *_ = rows[0]
    fresh = [] if writer is None else [row[_WIDTH:] for row in rows]
    return Found(size, known, fits, ids or [], horizon, began, fresh)
