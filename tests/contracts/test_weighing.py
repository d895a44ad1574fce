"""What every `MemoryStore` promises of a question with an alpha: of all memories, the best of the sum."""

import random
from datetime import UTC, datetime, timedelta
from operator import mul
from uuid import UUID

import pytest
from databases import new_database

from agent_memory.adapters.in_memory.archive import InMemoryMemoryArchive
from agent_memory.adapters.in_memory.embedder import HashingEmbedder
from agent_memory.adapters.in_memory.memories import InMemoryMemoryStore
from agent_memory.adapters.postgres import connection
from agent_memory.adapters.postgres.archive import PostgresMemoryArchive
from agent_memory.adapters.postgres.indexing import Indexing
from agent_memory.adapters.postgres.memories import PostgresMemoryStore
from agent_memory.application.semantic_memory import SemanticMemory
from agent_memory.domain.semantic.memory import Memory, MemoryId, Scope
from agent_memory.domain.semantic.selection import EVERYTHING, Selection

NOW = datetime(2026, 6, 1, tzinfo=UTC)
SIZES = (150, 600, 2500)  # the last is asked through indexes
ALPHAS = (0, 0.1, 0.5, 0.9, 1)
WORDS = ("piano", "lesson", "tax", "boat", "tea", "train", "garden", "rain", "phone", "doctor", "cat", "bread", "work")
SELECTIONS = {"everything": EVERYTHING, **{tag: Selection(tags=frozenset({tag})) for tag in ("third", "rare")}}


def told(size):
    """What is near is old, what is new is far, and a few are neither; beside them all sorts."""
    dice = random.Random(size)
    kinds = [("piano piano", 400), ("tax", 0), ("piano lesson", 20), ("", 90)]
    for number in range(size):
        about, age = dice.choices(kinds, weights=[30, 30, 2, 38])[0]
        content = " ".join([about, *dice.choices(WORDS, k=3)]).strip()
        moment = NOW - timedelta(days=age + dice.uniform(-1, 1 + age / 2))
        tags = frozenset(tag for tag, each in (("third", 3), ("rare", 100)) if number % each == 1)
        yield Memory(MemoryId(UUID(int=dice.getrandbits(128))), Scope("agent", f"{size}"), content, moment, tags=tags)


@pytest.fixture(scope="module")
def own(request):
    return new_database(request.getfixturevalue("conninfo"))


async def fill(archive):
    if not await archive.count_selected(Scope("agent", f"{SIZES[0]}"), EVERYTHING, NOW):
        for size in SIZES:
            memories = list(told(size))
            embeddings = await HashingEmbedder().embed([memory.content for memory in memories])
            await archive.add_many(list(zip(memories, embeddings, strict=True)))


@pytest.fixture(params=["in_memory", pytest.param("postgres", marks=pytest.mark.integration)])
async def store(request):
    if request.param == "in_memory":
        store = InMemoryMemoryStore()
        await fill(InMemoryMemoryArchive(store))
        yield store
    else:
        async with connection.opened(request.getfixturevalue("own"), 1, 2) as database:
            await fill(PostgresMemoryArchive(database))
            await Indexing(database, large=2000).tend()
            yield PostgresMemoryStore(database)


async def similarities(size, query):
    memories = list(told(size))
    [asked, *embeddings] = await HashingEmbedder().embed([query, *(memory.content for memory in memories)])
    return [
        (memory, sum(map(mul, asked.vector, each.vector))) for memory, each in zip(memories, embeddings, strict=True)
    ]


def best_of_all(measured, alpha, selection, as_of):
    """As the formula in the README has it."""
    totals = [
        alpha * similarity + (1 - alpha) * 0.5 ** max(((as_of or NOW) - memory.moment) / timedelta(days=30), 0)
        for memory, similarity in measured
        if selection.admits(memory) and (as_of is None or memory.held(as_of))
    ]
    return sorted(totals, reverse=True)


@pytest.mark.parametrize("selection", SELECTIONS)
@pytest.mark.parametrize("size", SIZES)
async def test_with_alpha_the_best_of_all_come_first(store, size, selection):
    memory = SemanticMemory(store, HashingEmbedder(), clock=lambda: NOW)
    asked = {"agent_id": "agent", "user_id": f"{size}", "selection": SELECTIONS[selection]}
    measured = await similarities(size, "piano in the garden")
    for as_of in (None, None, NOW - timedelta(days=15)):  # at the second search the scope may be kept ready
        for alpha in ALPHAS:
            exact = best_of_all(measured, alpha, SELECTIONS[selection], as_of)
            found = await memory.recall(**asked, query="piano in the garden", alpha=alpha, top_k=30, as_of=as_of)
            totals = [recollection.score.total for recollection in found]
            assert totals == pytest.approx(exact[:30], abs=1e-3), (alpha, as_of)


@pytest.mark.parametrize("size", SIZES)
async def test_with_alpha_0_the_newest_come_first(store, size):
    memory = SemanticMemory(store, HashingEmbedder(), clock=lambda: NOW)
    found = await memory.recall(agent_id="agent", user_id=f"{size}", query="piano", alpha=0, top_k=50)
    newest = sorted(told(size), key=lambda memory: (memory.moment, memory.id), reverse=True)[:50]
    assert [recollection.memory.id for recollection in found] == [memory.id for memory in newest]
