"""The same told by many at once, in several processes: each has a pool, a cache and a loop of its own."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest

from agent_memory.adapters.in_memory.embedder import HashingEmbedder
from agent_memory.adapters.postgres import connection, reinforcing
from agent_memory.adapters.postgres.archive import PostgresMemoryArchive
from agent_memory.adapters.postgres.forgetting import alone_in
from agent_memory.adapters.postgres.memories import PostgresMemoryStore
from agent_memory.adapters.postgres.scope_cache import ScopeCache
from agent_memory.application.memory_keeping import MemoryKeeping
from agent_memory.application.remembering import Remembering
from agent_memory.domain.errors import Conflict, Unavailable
from agent_memory.domain.semantic.memory import Memory, MemoryId, Scope

pytestmark = pytest.mark.integration
EMBEDDER = HashingEmbedder()


class Process:
    def __init__(self, database) -> None:
        self.database = database
        cache = ScopeCache(database)
        self.store = PostgresMemoryStore(database, cache=cache)
        self.archive = PostgresMemoryArchive(database, cache)
        self.remembering = Remembering(self.store, self.archive, EMBEDDER)
        self.keeping = MemoryKeeping(self.archive, EMBEDDER)


@pytest.fixture
async def processes(conninfo):
    async with AsyncExitStack() as stack:
        yield [Process(await stack.enter_async_context(connection.opened(conninfo, 1, 3))) for _ in range(3)]


@pytest.fixture
def who():
    return {"agent_id": f"agent {uuid4()}", "user_id": "ada"}


async def tell(process, who, content, **fields):
    return await process.remembering.remember({"content": content} | fields, "reinforce", **who)


async def test_what_all_tell_at_once_is_one_memory(processes, who):
    for _ in range(5):
        text = f"Ada likes tea {uuid4()}"
        told = await asyncio.gather(*(tell(processes[n % 3], who, text + "." * (n % 2)) for n in range(24)))
        assert len({each.memory.id for each in told}) == 1
        assert sorted(each.memory.version for each in told) == list(range(1, 25))


async def test_two_hundred_at_once_take_each_its_turn(processes, who):
    told = await asyncio.gather(*(tell(processes[n % 3], who, "Ada likes tea") for n in range(200)))
    assert sorted(each.memory.version for each in told) == list(range(1, 201))
    assert len({each.memory.id for each in told}) == 1


async def test_batches_at_once_leave_one_memory_of_each_text(processes, who):
    texts = [{"content": f"Fact {n} of many"} for n in range(8)]
    batches = (p.remembering.remember_many(texts, "reinforce", **who) for p in processes * 2)
    told = [each for batch in await asyncio.gather(*batches) for each in batch]
    assert len({each.memory.id for each in told}) == 8
    assert await processes[0].store.count(Scope(**who)) == 8


async def test_who_revises_meanwhile_loses_nothing_and_nobody_adds(processes, who):
    first = await tell(processes[0], who, "Ada likes tea")
    revised = 0

    async def revise(number: int) -> None:
        nonlocal revised
        try:
            await processes[2].keeping.revise(first.memory.id, agent_id=who["agent_id"], metadata={f"n{number}": 1})
            revised += 1
        except Conflict:
            pass

    told = (tell(processes[n % 2], who, "Ada likes tea") for n in range(12))
    await asyncio.gather(*told, *(revise(number) for number in range(12)))
    [left] = (await processes[0].keeping.list(**who)).memories
    assert left.version == 1 + 12 + revised


async def test_who_waits_holds_no_connection(processes, who, monkeypatch):
    """Somebody erases for long; many more tell than there are connections, and others go on."""
    [one, other, _], scope = processes, Scope(**who)
    let_go = asyncio.Event()

    async def stay(held) -> None:
        async with held.transaction():
            await alone_in(held, scope)
            entered.set()
            await let_go.wait()

    entered = asyncio.Event()
    staying = asyncio.create_task(other.database.run(stay))
    await entered.wait()
    waiting = [asyncio.create_task(tell(one, who, "Ada likes tea")) for _ in range(12)]
    await asyncio.sleep(0.2)
    async with asyncio.timeout(30):
        for _ in range(20):
            assert await one.store.count(scope) == 0
    monkeypatch.setattr(reinforcing, "_PATIENCE", 0.2)
    with pytest.raises(Unavailable, match="all the time"):
        await tell(one, who, "Ada likes tea")
    let_go.set()
    await staying
    assert sorted(each.memory.version for each in await asyncio.gather(*waiting)) == list(range(1, 13))


async def test_an_attempt_that_ends_halfway_has_done_nothing(processes, who, monkeypatch):
    """What a process that is killed leaves behind is what a transaction that does not end leaves behind."""
    first = await tell(processes[0], who, "Ada likes tea")
    name, now = uuid4(), datetime.now(UTC)
    monkeypatch.setattr(reinforcing, "_RECORD", "SELECT 1 / 0")
    with pytest.raises(Exception, match="division by zero"):
        await tell(processes[0], who, "Ada likes tea", id=name)
    monkeypatch.undo()
    kept = await processes[1].archive.get(first.memory.id, who["agent_id"], tenant="default")
    assert (kept.version, kept.created_at < now) == (1, True)
    again = [await tell(process, who, "Ada likes tea", id=name) for process in processes]
    assert [each.memory.version for each in again] == [2, 2, 2]


async def test_of_two_who_add_what_has_expired_one_waits_with_nothing_in_its_hands(processes, who, conninfo):
    """Whatever the order in which it lies and is told."""
    archive, scope, now = processes[0].archive, Scope(**who), datetime.now(UTC)
    ids = sorted((MemoryId(uuid4()) for _ in range(6)), reverse=True)
    over = [Memory(id_, scope, "milk", now - timedelta(hours=2), expires_at=now - timedelta(hours=1)) for id_ in ids]
    [embedding] = await EMBEDDER.embed(["milk"])
    for memory in over:
        assert await archive.add_many([(memory, embedding)]) == [True]
    locked = "SELECT id FROM agent_memory.memories WHERE tenant = %s AND id = ANY(%s) FOR UPDATE SKIP LOCKED"
    async with await psycopg.AsyncConnection.connect(conninfo) as first:
        await first.execute(locked, [scope.tenant, ids[-1:]])
        again = [(replace(memory, expires_at=None), embedding) for memory in over]
        adding = asyncio.create_task(archive.add_many(again, now))
        while not await waiting_for(first):
            pass
        async with await psycopg.AsyncConnection.connect(conninfo) as other:
            free = await (await other.execute(locked, [scope.tenant, ids])).fetchall()
        await first.commit()
    assert await adding == [True] * 6
    assert {id_ for (id_,) in free} == set(ids[:-1])


async def waiting_for(connection) -> bool:
    asked = "SELECT FROM pg_stat_activity WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))"
    return await (await connection.execute(asked)).fetchone() is not None
