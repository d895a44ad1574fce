"""Near-duplicates of a scope that is too large to be compared whole, and of one that has no vector index yet."""

import random
from array import array
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import numpy as np
import pytest
from databases import new_database

from agent_memory.adapters.postgres import connection, likenesses
from agent_memory.adapters.postgres.archive import PostgresMemoryArchive
from agent_memory.adapters.postgres.indexing import Indexing, VectorIndex
from agent_memory.domain.semantic.memory import Embedding, Memory, MemoryId, Scope

pytestmark = pytest.mark.integration
START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 6, 1, tzinfo=UTC)
SIZE = 1500
LARGE, AMONG_OTHERS = Scope("agent", "large"), Scope("agent", "among others")


def bent(vector, by, dice):
    """A unit vector whose cosine with the other is about 1 / sqrt(1 + by²)."""
    aside = dice.normal(size=len(vector))
    moved = np.frombuffer(vector, np.float32) + by * aside / np.linalg.norm(aside)
    return array("f", (moved / np.linalg.norm(moved)).astype(np.float32).tobytes())


def entry(scope, content, vector, hour=0, model="model"):
    memory = Memory(MemoryId(uuid4()), scope, content, START + timedelta(hours=hour))
    return memory, Embedding(model, vector)


def entries(scope, size=SIZE):
    """Far from each other, all in one cone, as texts are."""
    dice = np.random.default_rng(len(scope.user_id))
    middle = array("f", dice.normal(size=48).astype(np.float32).tobytes())
    return [entry(scope, f"note {n}", bent(middle, 20, dice), n) for n in range(size)]


@asynccontextmanager
async def filled(conninfo, kind):
    async with connection.opened(new_database(conninfo), 1, 2) as database:
        archive = PostgresMemoryArchive(database)
        known = {scope: entries(scope, size) for scope, size in ((LARGE, SIZE), (AMONG_OTHERS, 150))}
        for some in known.values():
            await archive.add_many(some)
        if kind:
            await Indexing(database, kind, large=1000).tend()
        yield database, archive, known


@pytest.fixture(params=[VectorIndex.HNSW, VectorIndex.IVFFLAT])
async def large(request, conninfo, monkeypatch):
    """Every scope of more than a hundred is a large one."""
    for name in ("WHOLE_UP_TO", "_MOST_COMPARED_HERE", "LARGE"):
        monkeypatch.setattr(likenesses, name, 100)
    async with filled(conninfo, request.param) as parts:
        yield parts


def told_again(known, number, seed=1):
    """Nearly the same as some of them, and one that is near nothing."""
    dice = np.random.default_rng(seed)
    near = random.Random(seed).sample(known, number)
    again = [entry(m.scope, f"{m.content}!", bent(e.vector, 0.3, dice)) for m, e in near]
    return [m for m, _ in near], again


async def test_what_is_near_is_found_through_the_index(large):
    _, archive, known = large
    for scope, least in ((LARGE, 50), (AMONG_OTHERS, 48)):
        near, again = told_again(known[scope], 50)
        found = [await archive.alike(*each, NOW) for each in again]
        assert sum(memory in [like.memory for like in some] for memory, some in zip(near, found, strict=True)) >= least
        assert all(0.9 <= like.similarity < 1 for some in found for like in some)


async def test_among_many_what_is_near_is_found_through_the_index(large):
    _, archive, known = large
    near, again = told_again(known[LARGE], 120, seed=2)
    again.append(entry(LARGE, "the last", again[0][1].vector, 1))
    found = await archive.tell_many(again, NOW)
    assert sum(memory in [like.memory for like in some] for memory, some in zip(near, found, strict=False)) >= 119
    assert again[0][0] in [like.memory for like in found[-1]]
    assert all(like.memory.scope == LARGE and 0.9 <= like.similarity < 1 for some in found for like in some)


async def test_the_very_same_words_hide_nothing_until_they_are_all_that_is_reported(large):
    _, archive, known = large
    (memory, embedding), *_ = known[LARGE]
    again = entry(LARGE, "the same", bent(embedding.vector, 0.3, np.random.default_rng(1)))
    for number in range(1, 7):
        await archive.add_many([entry(LARGE, "the same", again[1].vector, number)])
        found = await archive.alike(*again, NOW)
        assert [like.similarity for like in found[:number]] == [1] * min(number, 5)
        assert (memory in [like.memory for like in found]) == (number < 5)


async def test_vectors_of_another_model_are_near_nothing(large):
    _, archive, known = large
    _, again = told_again(known[LARGE], 5)
    foreign = [(memory, replace(embedding, model="another")) for memory, embedding in again]
    assert [await archive.alike(*each, NOW) for each in foreign] == [[]] * 5
    assert await archive.tell_many(foreign, NOW) == [[]] * 5


async def test_vectors_of_another_dimension_or_of_no_length_are_near_nothing(large):
    _, archive, _ = large
    for number, vector in enumerate((array("f", [1.0] * 20), array("f", [0.0] * 48))):
        assert await archive.alike(*entry(LARGE, "not kept", vector), NOW) == []
        assert await archive.tell_many([entry(LARGE, f"told {number}", vector)], NOW) == [[]]
        assert (await archive.reinforce(*entry(LARGE, f"told {number}", vector), NOW)).near == ()


async def test_a_search_looks_as_deep_as_before(large):
    database, archive, known = large
    shown = ("hnsw.ef_search", "hnsw.max_scan_tuples", "ivfflat.max_probes")

    async def settings(open_connection):
        return [await (await open_connection.execute(f"SHOW {name}")).fetchone() for name in shown]

    before = await database.run(settings)
    await archive.alike(*told_again(known[LARGE], 1)[1][0], NOW)
    assert await database.run(settings) == before


@pytest.mark.parametrize("large_from", [100, 5000])
async def test_without_an_index_only_scopes_that_are_not_large_are_compared(conninfo, monkeypatch, large_from):
    for name in ("WHOLE_UP_TO", "_MOST_COMPARED_HERE"):
        monkeypatch.setattr(likenesses, name, 100)
    monkeypatch.setattr(likenesses, "LARGE", large_from)
    async with filled(conninfo, None) as (_, archive, known):
        near, again = told_again(known[LARGE], 5)
        same = entry(LARGE, near[0].content, again[0][1].vector)
        compared = large_from > SIZE
        assert [bool(await archive.alike(*each, NOW)) for each in again] == [compared] * 5
        assert [like.memory for like in await archive.alike(*same, NOW)] == [near[0]]
        assert [bool(some) for some in await archive.tell_many(again, NOW)] == [compared] * 5


async def test_many_are_compared_with_all_of_a_scope_that_is_not_so_large(conninfo):
    async with filled(conninfo, None) as (_, archive, known):
        near, again = told_again(known[LARGE], 40)
        one_by_one = [await archive.alike(*each, NOW) for each in again]
        found = await archive.tell_many(again, NOW)
        assert [[like.memory for like in some] for some in found] == [[memory] for memory in near]
        for some, others in zip(found, one_by_one, strict=True):
            assert [like.memory for like in some] == [like.memory for like in others]
            assert some[0].similarity == pytest.approx(others[0].similarity, abs=1e-3)
