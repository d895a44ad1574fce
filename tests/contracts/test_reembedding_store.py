"""What every `ReembeddingStore` promises, and re-embedding on top of it."""

import asyncio

import pytest
from databases import new_database
from spools import entries_of

from agent_memory.adapters.in_memory.archive import InMemoryMemoryArchive
from agent_memory.adapters.in_memory.embedder import HashingEmbedder
from agent_memory.adapters.in_memory.memories import InMemoryMemoryStore
from agent_memory.adapters.in_memory.reembedding import InMemoryReembeddingStore
from agent_memory.adapters.postgres import connection
from agent_memory.adapters.postgres.archive import PostgresMemoryArchive
from agent_memory.adapters.postgres.memories import PostgresMemoryStore
from agent_memory.adapters.postgres.reembedding import PostgresReembeddingStore
from agent_memory.application.memory_keeping import MemoryKeeping
from agent_memory.application.reembedding import Reembedding
from agent_memory.application.semantic_memory import SemanticMemory
from agent_memory.domain.semantic.memory import Scope

SCOPE = Scope("agent", "user")
WHO = {"agent_id": "agent", "user_id": "user"}
OLD, NEW = HashingEmbedder(64), HashingEmbedder(96)


class Bench:
    def __init__(self, store, archive, reembedding) -> None:
        self.store, self.archive, self.reembedding = store, archive, reembedding
        self.old = SemanticMemory(store, OLD)
        self.new = SemanticMemory(store, NEW)

    async def models(self) -> set[str]:
        return {embedding.model for _, embedding in await entries_of(self.archive, SCOPE)}


@pytest.fixture(params=["in_memory", pytest.param("postgres", marks=pytest.mark.integration)])
async def bench(request):
    if request.param == "in_memory":
        store = InMemoryMemoryStore()
        yield Bench(store, InMemoryMemoryArchive(store), InMemoryReembeddingStore(store))
    else:
        async with connection.opened(new_database(request.getfixturevalue("conninfo")), 4, 8) as database:
            yield Bench(
                PostgresMemoryStore(database), PostgresMemoryArchive(database), PostgresReembeddingStore(database)
            )


async def test_what_has_a_vector_of_another_model_gets_a_new_one(bench):
    told = [await bench.old.remember(**WHO, content=f"fact {number}") for number in range(20)]
    assert await Reembedding(bench.reembedding, NEW).run() == 20
    assert await bench.models() == {NEW.model}
    assert [memory for memory, _ in await entries_of(bench.archive, SCOPE)] == told
    assert await Reembedding(bench.reembedding, NEW).run() == 0


async def test_until_then_it_is_found_by_its_words(bench):
    old = await bench.old.remember(**WHO, content="The red boat is in the harbour")
    new = await bench.new.remember(**WHO, content="Interest rates rise")
    found = await bench.new.recall(**WHO, query="Where is the boat?")
    assert [r.memory for r in found] == [old, new]


async def test_what_was_said_anew_meanwhile_keeps_its_own_vector(bench):
    memory = await bench.old.remember(**WHO, content="She lives in Oslo")
    [stale] = await bench.reembedding.outdated(NEW.model, 10)
    await MemoryKeeping(bench.archive, NEW).revise(memory.id, agent_id="agent", content="She lives in Lima")
    [embedding] = await NEW.embed([stale.content])
    assert await bench.reembedding.reembed([(stale, embedding)]) == 0
    [(_, kept)] = await entries_of(bench.archive, SCOPE)
    assert kept == (await NEW.embed(["She lives in Lima"]))[0] or kept.model == NEW.model


async def test_many_workers_may_do_it_at_once_beside_the_traffic(bench):
    for number in range(40):
        await bench.old.remember(**WHO, content=f"fact {number}")
    workers = [Reembedding(bench.reembedding, NEW).run() for _ in range(4)]
    writes = [bench.new.remember(**WHO, content=f"later {number}") for number in range(10)]
    searches = [bench.new.recall(**WHO, query=f"fact {number}", top_k=1) for number in range(40)]
    *_, found = await asyncio.gather(*workers, *writes, asyncio.gather(*searches))
    assert [r.memory.content for [r] in found] == [f"fact {number}" for number in range(40)]
    assert await bench.models() == {NEW.model}
    assert await bench.store.count(SCOPE) == 50
