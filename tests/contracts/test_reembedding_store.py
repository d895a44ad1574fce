"""What every `ReembeddingStore` promises, and re-embedding on top of it."""

import asyncio

import pytest
from databases import new_database
from spools import entries_of
from structlog.testing import capture_logs

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


class Resized(HashingEmbedder):
    """Keeps its name, whatever its dimension is."""

    @property
    def model(self) -> str:
        return "resized"


# Of another name, and of the same name in another size, greater and smaller.
CHANGES = {"renamed": (OLD, NEW), "grown": (Resized(64), Resized(96)), "shrunk": (Resized(96), Resized(64))}


class Bench:
    def __init__(self, parts, change) -> None:
        self.store, self.archive, self.reembedding = parts
        self.former, self.embedder = change
        self.old, self.new = (SemanticMemory(self.store, embedder) for embedder in change)

    async def renew(self) -> int:
        return await Reembedding(self.reembedding, self.embedder).run()

    async def is_renewed(self) -> bool:
        ours = self.embedder.model, self.embedder.dimension
        return {(e.model, e.dimension) for _, e in await entries_of(self.archive, SCOPE)} == {ours}


@pytest.fixture(params=["in_memory", pytest.param("postgres", marks=pytest.mark.integration)])
async def parts(request):
    if request.param == "in_memory":
        store = InMemoryMemoryStore()
        yield store, InMemoryMemoryArchive(store), InMemoryReembeddingStore(store)
    else:
        async with connection.opened(new_database(request.getfixturevalue("conninfo")), 4, 8) as database:
            yield PostgresMemoryStore(database), PostgresMemoryArchive(database), PostgresReembeddingStore(database)


@pytest.fixture(params=CHANGES)
def bench(parts, request):
    return Bench(parts, CHANGES[request.param])


async def test_what_has_a_vector_of_another_model_gets_a_new_one(bench):
    told = [await bench.old.remember(**WHO, content=f"fact {number}") for number in range(20)]
    assert await bench.renew() == 20
    assert await bench.is_renewed()
    assert [memory for memory, _ in await entries_of(bench.archive, SCOPE)] == told
    assert await bench.renew() == 0


async def test_until_then_it_is_found_by_its_words(bench):
    old = await bench.old.remember(**WHO, content="The red boat is in the harbour")
    new = await bench.new.remember(**WHO, content="Interest rates rise")
    found = await bench.new.recall(**WHO, query="Where is the boat?")
    assert [r.memory for r in found] == [old, new]


async def test_what_was_said_anew_meanwhile_keeps_its_own_vector(bench):
    memory = await bench.old.remember(**WHO, content="She lives in Oslo")
    [stale] = await bench.reembedding.outdated(bench.embedder.model, bench.embedder.dimension, 10)
    await MemoryKeeping(bench.archive, bench.embedder).revise(memory.id, agent_id="agent", content="She lives in Lima")
    [embedding] = await bench.embedder.embed([stale.content])
    assert await bench.reembedding.reembed([(stale, embedding)]) == 0
    [(_, kept)] = await entries_of(bench.archive, SCOPE)
    [new] = await bench.embedder.embed(["She lives in Lima"])
    assert kept.vector.tolist() == pytest.approx(new.vector.tolist(), abs=1e-3)


async def test_the_last_claim_counts_and_may_be_repeated(bench):
    assert await bench.reembedding.claimed() is None
    for model, dimension in (("a", 64), ("a", 64), ("a", 96), ("b", 96)):
        await bench.reembedding.claim(model, dimension)
        assert await bench.reembedding.claimed() == (model, dimension)


def warnings_of(told) -> list[tuple[str, int]]:
    return [(line["model"], line["dimension"]) for line in told if line["log_level"] == "warning"]


async def test_of_two_programs_with_different_models_the_one_that_began_last_embeds_anew(bench):
    for number in range(20):
        await bench.old.remember(**WHO, content=f"fact {number}")
    former, latter = (Reembedding(bench.reembedding, embedder) for embedder in (bench.former, bench.embedder))
    with capture_logs() as told:
        assert [await former.run(), await latter.run()] == [0, 20]
        assert [await former.run() for _ in range(3)] == [0, 0, 0]
        await bench.old.remember(**WHO, content="a later fact")
        assert [await former.run(), await latter.run()] == [0, 1]
    assert await bench.is_renewed()
    assert warnings_of(told) == [(bench.embedder.model, bench.embedder.dimension)]


async def test_a_program_that_is_started_again_decides_again(bench):
    await bench.old.remember(**WHO, content="She lives in Oslo")
    latter = Reembedding(bench.reembedding, bench.embedder)
    with capture_logs() as told:
        assert await latter.run() == 1
        assert await Reembedding(bench.reembedding, bench.former).run() == 1
        assert await latter.run() == 0
        assert await Reembedding(bench.reembedding, bench.embedder).run() == 1
        assert await latter.run() == 0
    assert warnings_of(told) == [(bench.former.model, bench.former.dimension)]


async def test_who_loses_the_claim_in_the_midst_stops_there(bench):
    class Overtaken(type(bench.embedder)):
        async def embed(self, texts, **options):
            await bench.reembedding.claim("another", 7)
            return await super().embed(texts, **options)

    for number in range(20):
        await bench.old.remember(**WHO, content=f"fact {number}")
    assert 0 < await Reembedding(bench.reembedding, Overtaken(bench.embedder.dimension)).run() < 20


async def test_many_workers_may_do_it_at_once_beside_the_traffic(bench):
    for number in range(40):
        await bench.old.remember(**WHO, content=f"fact {number}")
    workers = [bench.renew() for _ in range(4)]
    writes = [bench.new.remember(**WHO, content=f"later {number}") for number in range(10)]
    searches = [bench.new.recall(**WHO, query=f"fact {number}", top_k=1) for number in range(40)]
    *_, found = await asyncio.gather(*workers, *writes, asyncio.gather(*searches))
    assert [r.memory.content for [r] in found] == [f"fact {number}" for number in range(40)]
    assert await bench.is_renewed()
    assert await bench.store.count(SCOPE) == 50
