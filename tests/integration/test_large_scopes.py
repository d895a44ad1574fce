"""What is found through the indexes of a large scope, held against reading the scope whole."""

import random
from array import array
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest
from databases import new_database

from agent_memory.adapters.in_memory.embedder import HashingEmbedder
from agent_memory.adapters.postgres import connection, likenesses
from agent_memory.adapters.postgres.archive import PostgresMemoryArchive
from agent_memory.adapters.postgres.indexing import Indexing, VectorIndex
from agent_memory.adapters.postgres.memories import PostgresMemoryStore
from agent_memory.domain.semantic.memory import Embedding, Memory, MemoryId, Scope
from agent_memory.domain.semantic.recall import Search
from agent_memory.domain.semantic.selection import EVERYTHING, Selection
from agent_memory.domain.semantic.weighing import Weighing
from agent_memory.domain.semantic.words import word_counts

pytestmark = pytest.mark.integration
START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 6, 1, tzinfo=UTC)
LARGE, SMALL = Scope("agent", "large"), Scope("agent", "small")
SIZE = 1200
WORDS = (
    "boat", "tea", "train", "music", "garden", "rain", "money", "phone", "doctor", "holiday", "cat", "dog",
    "bread", "work", "school", "football", "paint",
)  # fmt: skip


@pytest.fixture(scope="module")
def own(conninfo):
    return new_database(conninfo)


@pytest.fixture
async def database(own):
    async with connection.opened(own, 1, 4) as opened:
        archive = PostgresMemoryArchive(opened)
        if not await archive.count_selected(LARGE, EVERYTHING, NOW):
            await archive.add_many(await entries(LARGE, SIZE) + await entries(SMALL, 30))
            assert set(await Indexing(opened, large=1000).tend()) == {"memories_hnsw_384", "memories_by_word"}
        yield opened


async def entries(scope, size):
    dice = random.Random(str(scope))
    memories = [
        Memory(
            MemoryId(uuid4()), scope, f"Note {n}: {' '.join(dice.choices(WORDS, k=6))}", START + timedelta(hours=n),
            tags=frozenset({"rare"} if n % 100 == 7 else {"common"}),
        )
        for n in range(size)
    ]  # fmt: skip
    return list(zip(memories, await HashingEmbedder().embed([m.content for m in memories]), strict=True))


async def ask(database, query, whole_up_to, *, scope=LARGE, depth=10, selection=EVERYTHING, newest=0):
    [embedding] = await HashingEmbedder().embed([query])
    search = Search(scope, embedding, frozenset(word_counts(query)), depth, NOW, newest, selection)
    return await PostgresMemoryStore(database, whole_up_to).shortlist(search)


def nearest(shortlist, number):
    eligible = [c for c in shortlist.candidates if c.eligible]
    return [c.memory for c in sorted(eligible, key=lambda c: -c.similarity)[:number]]


def similarities(shortlist):
    return sorted((c.similarity for c in shortlist.candidates if c.eligible), reverse=True)[:10]


QUERIES = [" ".join(random.Random(n).choices(WORDS, k=3)) for n in range(20)]


async def test_finds_what_reading_all_finds(database):
    same = 0
    for query in QUERIES:
        exact, found = await ask(database, query, 10**6), await ask(database, query, 100)
        # Of memories that are equally near any may be among the ten.
        same += sum(a == pytest.approx(b, abs=1e-3) for a, b in zip(*map(similarities, (exact, found)), strict=True))
    assert same >= 0.99 * 10 * len(QUERIES)


async def test_measures_as_reading_all_does(database):
    exact = {c.memory.id: c for c in (await ask(database, "boat tea 77", 10**6)).candidates}
    found = await ask(database, "boat tea 77", 100)
    for candidate in found.candidates:
        other = exact.get(candidate.memory.id)
        if other is not None:
            assert candidate.similarity == pytest.approx(other.similarity)
            assert (dict(candidate.counts), candidate.length) == (dict(other.counts), other.length)
    assert found.words.documents == SIZE


async def test_another_tenants_memories_of_the_same_ids_are_not_there(database):
    """Every id of the large scope is used by another tenant too, for something else."""
    other = replace(LARGE, tenant="another")
    before = await ask(database, "boat tea 77", 100)
    theirs = [(replace(m, scope=other, content=f"{m.content} boat"), e) for m, e in await entries(LARGE, SIZE)]
    known = [replace(m, id=c.memory.id) for (m, _), c in zip(theirs, before.candidates, strict=False)]
    mixed = [(m, e) for m, (_, e) in zip(known, theirs, strict=False)] + theirs[len(known) :]
    assert all(await PostgresMemoryArchive(database).add_many(mixed))
    after = await ask(database, "boat tea 77", 100)
    assert {c.memory.scope for c in after.candidates} == {LARGE}
    assert (after.words.documents, after.words.frequencies) == (before.words.documents, before.words.frequencies)
    found = await ask(database, "boat tea 77", 100, scope=other)
    assert {c.memory.scope for c in found.candidates} == {other}
    await PostgresMemoryArchive(database).erase(LARGE.user_id, None, NOW, tenant="another")


async def test_finds_a_rare_word(database):
    found = await ask(database, "77", 100)
    assert any(c.memory.content.startswith("Note 77:") for c in found.candidates)


async def test_brings_neighbours_with_their_places(database):
    found = await ask(database, "77", 100)
    places = {c.memory.content.split(":")[0]: c.position for c in found.candidates}
    assert [places[f"Note {n}"] - places["Note 77"] for n in (75, 76, 77, 78, 79)] == [-2, -1, 0, 1, 2]
    order = [c.memory.created_at for c in found.candidates]
    assert order == sorted(order)
    for one, other in zip(found.candidates, found.candidates[1:], strict=False):
        adjacent = other.memory.created_at - one.memory.created_at == timedelta(hours=1)
        # Side by side in time they may still be the ends of what two hits brought, which do not know of each other.
        assert adjacent or other.position > one.position + 1


@pytest.mark.parametrize("depth", [5, 10, 20])
async def test_returns_as_many_as_pass_the_filter(database, depth):
    found = await ask(database, "boat", 100, depth=depth, selection=Selection(tags=frozenset({"rare"})))
    eligible = [c for c in found.candidates if c.eligible]
    assert len(eligible) >= min(depth, 12)
    assert all("rare" in c.memory.tags for c in eligible)


async def test_finds_nothing_where_nothing_passes(database):
    found = await ask(database, "boat", 100, selection=Selection(tags=frozenset({"absent"})))
    assert not any(c.eligible for c in found.candidates)


async def test_brings_the_newest_when_asked_and_their_neighbours(database):
    found = await ask(database, "boat", 100, newest=3)
    last = found.candidates[-5:]
    assert [c.memory.content.split(":")[0] for c in last] == [f"Note {SIZE - n}" for n in (5, 4, 3, 2, 1)]
    assert [c.position - last[0].position for c in last] == [0, 1, 2, 3, 4]


async def test_brings_the_newest_that_pass_a_filter(database):
    found = await ask(database, "boat", 100, depth=1, newest=3, selection=Selection(tags=frozenset({"rare"})))
    names = {c.memory.content.split(":")[0]: c.eligible for c in found.candidates}
    assert {f"Note {n}": True for n in (907, 1007, 1107)}.items() <= names.items()
    assert not names["Note 1108"]


@pytest.mark.parametrize("alpha", [0, 0.5, 1])
async def test_weighs_what_has_no_vector_of_the_model(database, alpha):
    [embedding] = await HashingEmbedder(64).embed(["boat"])
    search = Search(LARGE, embedding, frozenset(), 10, NOW, weighing=Weighing(alpha))
    found = (await PostgresMemoryStore(database, 100).shortlist(search)).candidates
    assert [c.memory.content.split(":")[0] for c in found] == [f"Note {SIZE - n}" for n in range(10, 0, -1)]


@pytest.mark.parametrize("weighing", [None, Weighing(0), Weighing(0.5), Weighing(1)])
@pytest.mark.parametrize("size", [64, 384])
async def test_what_cannot_be_compared_is_found_by_words_and_age(database, weighing, size):
    """Vectors of another dimension of the model, and one without a length, which is near nothing."""
    nothing = Embedding(HashingEmbedder().model, array("f", [0.0] * size))
    search = Search(LARGE, nothing, frozenset({"boat"}), 10, NOW, 5, weighing=weighing)
    found = (await PostgresMemoryStore(database, 100).shortlist(search)).candidates
    assert {candidate.similarity for candidate in found} == {0.0}
    newest = [f"Note {SIZE - n}" for n in range(10 if weighing else 5, 0, -1)]
    assert [c.memory.content.split(":")[0] for c in found][-len(newest) :] == newest


async def test_a_small_scope_beside_a_large_one_loses_nothing(database):
    for query in QUERIES:
        exact = nearest(await ask(database, query, 10**6, scope=SMALL, depth=30), 30)
        assert len(exact) == 30
        assert nearest(await ask(database, query, 10, scope=SMALL, depth=30), 30) == exact


async def test_what_is_built_is_not_built_again(database):
    assert await Indexing(database, large=1000).tend() == []


def vector_indexes(own) -> list[str]:
    query = "SELECT indexname FROM pg_indexes WHERE indexname ~ 'hnsw|ivfflat' AND schemaname = 'agent_memory'"
    with psycopg.connect(own) as server:
        return sorted(name for (name,) in server.execute(query).fetchall())


async def test_builds_another_kind_when_asked_in_place_of_the_former(database, own):
    assert await Indexing(database, VectorIndex.IVFFLAT, large=1000).tend() == ["memories_ivfflat_384"]
    assert vector_indexes(own) == ["memories_ivfflat_384"]
    assert await Indexing(database, large=1000).tend() == ["memories_hnsw_384"]
    assert vector_indexes(own) == ["memories_hnsw_384"]


async def test_of_two_that_are_set_to_other_kinds_each_has_its_own_in_the_end(database, own):
    graph, lists = (Indexing(database, kind, large=1000) for kind in VectorIndex)
    built = [await each.tend() for each in (graph, lists, graph, lists, graph)]
    assert built == [[], ["memories_ivfflat_384"], ["memories_hnsw_384"], [], []]
    assert vector_indexes(own) == ["memories_hnsw_384", "memories_ivfflat_384"]
    assert await Indexing(database, large=1000).tend() == []
    assert vector_indexes(own) == ["memories_hnsw_384"]


async def test_an_index_left_half_built_is_built_again(database, own):
    with psycopg.connect(own, autocommit=True) as server:
        server.execute(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'agent_memory.memories_by_word'::regclass"
        )
    assert await Indexing(database, large=1000).tend() == ["memories_by_word"]


async def test_no_index_is_built_for_small_scopes(database):
    assert await Indexing(database, large=10**6).tend() == []


async def test_vectors_that_no_index_takes_are_compared(database):
    wide, memory = Scope("agent", "wide"), Memory(MemoryId(uuid4()), Scope("agent", "wide"), "wide", START)
    vector = Embedding("a wide model", array("f", [1.0, *[0.0] * 4095]))
    await PostgresMemoryStore(database).add(memory, vector)
    try:
        assert not [name for name in await Indexing(database, large=1).tend() if "4096" in name]
        search = Search(wide, vector, frozenset({"wide"}), 10, NOW)
        for store in (PostgresMemoryStore(database), PostgresMemoryStore(database, whole_up_to=0, small_up_to=0)):
            assert [candidate.id for candidate in (await store.shortlist(search)).candidates] == [memory.id]
    finally:
        await PostgresMemoryStore(database).remove(memory.id, "agent", tenant=wide.tenant)


async def test_the_index_of_words_keeps_nothing_waiting(database):
    """A list of what is to be put in later would be read from end to end by every search."""
    late = await entries(replace(LARGE, user_id="late"), 50)
    await PostgresMemoryArchive(database).add_many(late)

    async def waiting(open_connection):
        return await (
            await open_connection.execute("SELECT gin_clean_pending_list('agent_memory.memories_by_word')")
        ).fetchall()

    assert await database.run(waiting) == [(0,)]


async def test_an_index_of_words_that_was_made_otherwise_is_brought_up_to_date(own, database):
    with psycopg.connect(own, autocommit=True) as server:
        server.execute("ALTER INDEX agent_memory.memories_by_word SET (fastupdate = on)")
        server.execute("DELETE FROM agent_memory.schema_versions WHERE name = 'words_at_once'")
        await PostgresMemoryArchive(database).add_many(await entries(replace(LARGE, user_id="later"), 50))
        async with connection.opened(own, 1, 1):
            rows = server.execute("SELECT reloptions FROM pg_class WHERE relname = 'memories_by_word'").fetchall()
        assert rows == [(["fastupdate=off"],)]
        assert server.execute("SELECT gin_clean_pending_list('agent_memory.memories_by_word')").fetchall() == [(0,)]


async def test_what_is_told_again_is_found_by_its_words_and_by_its_vector(database, monkeypatch):
    monkeypatch.setattr(likenesses, "WHOLE_UP_TO", SIZE - 1)
    archive = PostgresMemoryArchive(database)
    for said, (known, embedding) in zip(("{}", "{}!"), (await entries(LARGE, 20))[-2:], strict=True):
        again = replace(known, id=MemoryId(uuid4()), content=said.format(known.content))
        told = await archive.reinforce(again, embedding, NOW)
        assert (told.added, told.memory.content, told.memory.version) == (False, known.content, 2)
