"""What every `CondensingStore` promises, and consolidation on top of it."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from agent_memory.adapters.in_memory.condensing import InMemoryCondensingStore
from agent_memory.adapters.in_memory.embedder import HashingEmbedder
from agent_memory.adapters.in_memory.memories import InMemoryMemoryStore
from agent_memory.adapters.postgres import connection
from agent_memory.adapters.postgres.condensing import PostgresCondensingStore
from agent_memory.adapters.postgres.memories import PostgresMemoryStore
from agent_memory.application.consolidation import Consolidation
from agent_memory.application.semantic_memory import SemanticMemory
from agent_memory.domain.errors import NotFound
from agent_memory.domain.semantic.memory import Memory, MemoryId, MemoryType, Scope
from agent_memory.domain.semantic.retention import Retention
from agent_memory.domain.tenants import Reach

START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 6, 1, tzinfo=UTC)


class Bench:
    def __init__(self, store, condensing) -> None:
        self.store, self.condensing = store, condensing
        self.scope = Scope(f"agent-{uuid4()}", "user")
        self.whose = {"agent_id": self.scope.agent_id, "user_id": self.scope.user_id}
        self.embedder = HashingEmbedder()
        self.memory = SemanticMemory(store, self.embedder, clock=lambda: NOW)

    def consolidation(self, threshold=6, batch=4) -> Consolidation:
        return Consolidation(self.condensing, self.embedder, retention=Retention(threshold, batch), clock=lambda: NOW)

    async def tell(self, number: int, **fields) -> list[Memory]:
        told = []
        for hour in range(number):
            content = f"The code of door {hour} is {hour * 77}."
            memory = Memory(MemoryId(uuid4()), self.scope, content, START + timedelta(hours=hour), **fields)
            [embedding] = await self.embedder.embed([content])
            await self.store.add(memory, embedding)
            told.append(memory)
        return told

    async def known(self) -> set[str]:
        found = await self.memory.recall(
            agent_id=self.scope.agent_id, user_id="user", query="What is the code of the door?", top_k=50
        )
        return {recollection.memory.content for recollection in found}


@pytest.fixture(params=["in_memory", pytest.param("postgres", marks=pytest.mark.integration)])
async def bench(request):
    if request.param == "in_memory":
        store = InMemoryMemoryStore()
        yield Bench(store, InMemoryCondensingStore(store))
    else:
        async with connection.opened(request.getfixturevalue("conninfo"), 4, 8) as database:
            yield Bench(PostgresMemoryStore(database), PostgresCondensingStore(database))


async def test_finds_the_scopes_that_have_too_much(bench):
    await bench.tell(3)
    assert bench.scope in await bench.condensing.crowded(2, NOW)
    assert bench.scope not in await bench.condensing.crowded(3, NOW)


async def test_only_held_episodic_memories_are_too_much(bench):
    await bench.tell(3, memory_type=MemoryType.SEMANTIC)
    await bench.tell(3, expires_at=NOW)
    assert bench.scope not in await bench.condensing.crowded(0, NOW)
    assert await bench.condensing.oldest(bench.scope, 10, NOW) == []


async def test_gives_the_oldest_first(bench):
    told = await bench.tell(5)
    assert await bench.condensing.oldest(bench.scope, 3, NOW) == told[:3]


async def test_the_oldest_become_one_that_tells_what_they_told(bench):
    told = await bench.tell(7)
    made = await bench.consolidation().condense(**bench.whose)
    assert made.content == "\n".join(memory.content for memory in told[:4])
    assert await bench.known() == {made.content, *(memory.content for memory in told[4:])}
    assert await bench.store.count(bench.scope) == 8


async def test_too_little_is_left_alone(bench):
    await bench.tell(3)
    assert await bench.consolidation().condense(**bench.whose) is None
    assert len(await bench.known()) == 3


async def test_a_run_condenses_what_is_crowded_until_nothing_is(bench):
    await bench.tell(7)
    consolidation = bench.consolidation()
    assert bench.scope in {memory.scope for memory in await consolidation.run_once()}
    assert bench.scope not in {memory.scope for memory in await consolidation.run_once()}


async def test_of_many_workers_one_condenses(bench):
    await bench.tell(7)
    made = await asyncio.gather(*(bench.consolidation().condense(**bench.whose) for _ in range(6)))
    assert sum(memory is not None for memory in made) == 1
    assert await bench.store.count(bench.scope) == 8


async def test_what_was_condensed_can_be_brought_back(bench):
    told = await bench.tell(7)
    made = await bench.consolidation().condense(**bench.whose)
    with pytest.raises(NotFound):
        await bench.consolidation().restore(made.id, agent_id="another")
    assert await bench.consolidation().restore(made.id, agent_id=bench.scope.agent_id) == 4
    assert await bench.known() == {memory.content for memory in told}
    with pytest.raises(NotFound):
        await bench.consolidation().restore(made.id, agent_id=bench.scope.agent_id)


@pytest.mark.parametrize("differs", ["user_id", "agent_id"])
@pytest.mark.parametrize("asked", ["user", None])
async def test_bringing_back_removes_nothing_of_another_scope(bench, differs, asked):
    """An imported memory may name any other as what stands for it."""
    [foreign] = await bench.tell(1)
    [embedding] = await bench.embedder.embed([foreign.content])
    foreign = replace(foreign, id=MemoryId(uuid4()), scope=replace(bench.scope, **{differs: f"another-{uuid4()}"}))
    await bench.store.add(foreign, embedding)
    await bench.tell(1, superseded_by=foreign.id, superseded_at=NOW)
    assert await bench.condensing.restore(foreign.id, bench.scope.agent_id, asked, tenant=bench.scope.tenant) == 1
    assert await bench.store.count(foreign.scope) == 1


async def test_nothing_changes_when_a_source_is_gone(bench):
    told = await bench.tell(4)
    await bench.store.remove(told[0].id, bench.scope.agent_id, tenant=bench.scope.tenant)
    successor = Memory(MemoryId(uuid4()), bench.scope, "all", START)
    [embedding] = await bench.embedder.embed(["all"])
    ids = [memory.id for memory in told]
    assert not await bench.condensing.stand_for(ids, successor, embedding, NOW)
    assert await bench.known() == {memory.content for memory in told[1:]}


async def test_what_expires_by_itself_is_not_condensed(bench):
    await bench.tell(3, expires_at=NOW + timedelta(days=1))
    assert bench.scope not in await bench.condensing.crowded(0, NOW)
    assert await bench.condensing.oldest(bench.scope, 10, NOW) == []


async def test_what_is_old_and_unimportant_fades_and_can_be_brought_back(bench):
    [dull] = await bench.tell(1, importance=0.5)
    [plain] = await bench.tell(1)
    await bench.tell(1, importance=1.1)
    await bench.tell(1, memory_type=MemoryType.SEMANTIC, importance=0)
    await bench.tell(1, expires_at=NOW + timedelta(days=1), importance=0)
    age = NOW - START
    held = await bench.store.count(bench.scope)
    await bench.condensing.fade(2 * age, NOW)
    assert len(await bench.condensing.oldest(bench.scope, 10, NOW)) == 3
    await bench.condensing.fade(1.9 * age, NOW)
    assert dull not in await bench.condensing.oldest(bench.scope, 10, NOW)
    await bench.condensing.fade(timedelta(days=1), NOW)
    assert [m.importance for m in await bench.condensing.oldest(bench.scope, 10, NOW)] == [pytest.approx(1.1)]
    assert await bench.store.count(bench.scope) == held
    assert await bench.condensing.restore(plain.id, "another", tenant=bench.scope.tenant) == 0
    assert await bench.condensing.restore(plain.id, bench.scope.agent_id, tenant=bench.scope.tenant) == 1
    assert await bench.condensing.restore(plain.id, bench.scope.agent_id, tenant=bench.scope.tenant) == 0
    await bench.condensing.fade(timedelta(days=1), NOW)
    assert plain.id in {m.id for m in await bench.condensing.oldest(bench.scope, 10, NOW)}


async def test_the_tags_of_what_was_condensed_find_what_stands_for_it(bench):
    await bench.tell(7, tags=frozenset({"door"}))
    assert (await bench.consolidation().condense(**bench.whose)).tags == {"door", "condensed"}


async def test_tenants_share_names_and_ids_and_never_meet(bench):
    """The same agent, user and ids: one tenant's are condensed and brought back, the other's stay as they are."""
    mine = await bench.tell(4)
    other = replace(bench.scope, tenant="another")
    for memory in mine:
        [embedding] = await bench.embedder.embed([memory.content])
        await bench.store.add(replace(memory, scope=other), embedding)
    assert {scope for scope in await bench.condensing.crowded(3, NOW) if scope.agent_id == other.agent_id} == {
        bench.scope, other
    }  # fmt: skip
    theirs = bench.consolidation(threshold=4).within(Reach("another"))
    made = await theirs.condense(**bench.whose)
    assert await bench.condensing.oldest(bench.scope, 9, NOW) == mine
    assert await bench.condensing.restore(made.id, bench.scope.agent_id, tenant=bench.scope.tenant) == 0
    assert await bench.condensing.restore(made.id, bench.scope.agent_id, "somebody", tenant="another") == 0
    assert await bench.condensing.restore(made.id, bench.scope.agent_id, "user", tenant="another") == 4
    assert await bench.store.count(bench.scope) == await bench.store.count(other) == 4
