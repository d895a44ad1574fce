"""What is told again reinforces what is known: of many who tell the same at once, one adds it, in whatever process.

Whoever does so is alone in its scope meanwhile. Who finds somebody there comes again, without a connection till then.
"""

import asyncio
import time
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from typing import LiteralString
from weakref import WeakValueDictionary

from psycopg import AsyncConnection
from psycopg.abc import Params
from psycopg.sql import SQL
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from agent_memory.adapters.postgres.adding import purge
from agent_memory.adapters.postgres.connection import Database
from agent_memory.adapters.postgres.forgetting import alone_at_once
from agent_memory.adapters.postgres.likenesses import Likenesses
from agent_memory.adapters.postgres.rows import ADD, COLUMNS, REPLACE, memory_of, replacing, row_of
from agent_memory.domain.errors import Unavailable
from agent_memory.domain.semantic.duplicates import MOST_REPORTED, Remembered, told_again, without
from agent_memory.domain.semantic.memory import Embedding, Memory, Scope

_PATIENCE = 30.0  # seconds
_FIRST_WAIT, _LONGEST_WAIT = 0.005, 0.03  # seconds

_TOLD_BEFORE = SQL("""
SELECT {columns} FROM agent_memory.memories
WHERE tenant = %(tenant)s AND id = coalesce(
    (SELECT memory_id FROM agent_memory.reinforcements WHERE id = %(id)s AND tenant = %(tenant)s), %(id)s
)
""").format(columns=SQL(COLUMNS))

_RECORD: LiteralString = """
INSERT INTO agent_memory.reinforcements (id, tenant, memory_id) VALUES (%(id)s, %(tenant)s, %(memory_id)s)
ON CONFLICT (id, tenant) DO NOTHING
"""


class _Lost(Unavailable):
    """Somebody else is there, or came in between: nothing is changed."""

    def __init__(self) -> None:
        super().__init__("the memories of this user are being changed all the time")


class Reinforcing:
    def __init__(self, database: Database, likenesses: Likenesses) -> None:
        self._database = database
        self._likenesses = likenesses
        self._turns: WeakValueDictionary[tuple[asyncio.AbstractEventLoop, Scope], asyncio.Lock] = WeakValueDictionary()

    async def reinforce(self, memory: Memory, embedding: Embedding, now: datetime) -> Remembered:
        """What `MemoryArchive` promises."""
        until = time.monotonic() + _PATIENCE
        # One of a scope and a process tries, so that what many try in vain does not keep all from getting on.
        turn = self._turns.setdefault((asyncio.get_running_loop(), memory.scope), asyncio.Lock())
        try:
            async with asyncio.timeout(_PATIENCE):
                await turn.acquire()
        except TimeoutError:
            raise _Lost from None
        try:
            return await self._in_turn(memory, embedding, now, until - time.monotonic())
        finally:
            turn.release()

    async def _in_turn(self, memory: Memory, embedding: Embedding, now: datetime, patience: float) -> Remembered:
        attempts = AsyncRetrying(
            retry=retry_if_exception_type(_Lost),
            wait=wait_random_exponential(multiplier=_FIRST_WAIT, max=_LONGEST_WAIT),
            stop=stop_after_delay(patience),
            reraise=True,
        )
        async for attempt in attempts:
            with attempt:
                return await self._database.run(partial(self._tell, memory, embedding, now), writes=[memory.scope])
        raise AssertionError("tenacity either returns or raises")

    async def _tell(
        self, memory: Memory, embedding: Embedding, now: datetime, connection: AsyncConnection
    ) -> Remembered:
        with ExitStack() as counted:  # the count of what is gone ends after the commit
            async with connection.transaction():
                if not await alone_at_once(connection, memory.scope):
                    raise _Lost
                while before := await _told_before(connection, memory):
                    if not memory.takes_place_of(before, now):
                        return Remembered(before, added=False)
                    counted.enter_context(self._database.writing(await purge(connection, [before], now)))
                return await self._tell_anew(memory, embedding, now, connection)

    async def _tell_anew(
        self, memory: Memory, embedding: Embedding, now: datetime, connection: AsyncConnection
    ) -> Remembered:
        near = await self._likenesses.all_on(connection, memory, embedding, now)
        found = told_again(memory, near)
        if found is None:
            await _done(connection, ADD, row_of(memory, embedding))
            return Remembered(memory, added=True, near=tuple(near[:MOST_REPORTED]))
        known, again = found
        await _done(connection, REPLACE, replacing(again, None, known.memory.version, known.memory))
        record = {"id": memory.id, "tenant": memory.scope.tenant, "memory_id": again.id}
        await _done(connection, _RECORD, record)
        return Remembered(again, added=False, near=without(known, near))


async def _done(connection: AsyncConnection, query: LiteralString, parameters: Params) -> None:
    if (await connection.execute(query, parameters)).rowcount == 0:
        raise _Lost


async def _told_before(connection: AsyncConnection, memory: Memory) -> Memory | None:
    """The memory of this id, or the one that it has reinforced."""
    cursor = await connection.execute(_TOLD_BEFORE, {"id": memory.id, "tenant": memory.scope.tenant})
    row = await cursor.fetchone()
    return None if row is None else memory_of(row)
