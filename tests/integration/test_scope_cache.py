"""What a store keeps of scopes is never believed unasked: whatever others do meanwhile, a search sees what is there."""

import asyncio
import os
import random
import signal
import time
from contextlib import closing, suppress
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest
from prometheus_client import CollectorRegistry
from scopes import NOW, contents, entry, memory_in, search, writer

from agent_memory.adapters.in_memory.embedder import HashingEmbedder
from agent_memory.adapters.postgres import connection, embedded, scope_cache
from agent_memory.adapters.postgres.archive import PostgresMemoryArchive
from agent_memory.adapters.postgres.condensing import PostgresCondensingStore
from agent_memory.adapters.postgres.memories import PostgresMemoryStore
from agent_memory.adapters.postgres.reembedding import PostgresReembeddingStore
from agent_memory.adapters.postgres.rows import ADD, row_of
from agent_memory.adapters.postgres.scope_cache import ScopeCache
from agent_memory.adapters.postgres.scope_check import Asked, check
from agent_memory.adapters.prometheus.search_cache import SearchCacheMetrics
from agent_memory.domain.errors import Unavailable
from agent_memory.domain.semantic.memory import Condensing, Embedding, Memory, MemoryId
from agent_memory.domain.semantic.selection import EVERYTHING, Selection

pytestmark = pytest.mark.integration
WORDS = ("boat", "tea", "train", "music", "garden", "rain", "money", "phone", "doctor", "119")


def nearest(shortlist, number=20):
    """Their similarities alone: among equals any may be the last of a few."""
    return sorted((c.similarity for c in shortlist.candidates if c.eligible), reverse=True)[:number]


async def fill(database, scope, size, words=3):
    dice = random.Random(size)
    memories = [memory_in(scope, " ".join(dice.choices(WORDS, k=words)), hours) for hours in range(size)]
    for start in range(0, size, 500):
        await PostgresMemoryArchive(database).add_many([await entry(m) for m in memories[start : start + 500]])
    return memories


class Others:
    """Writers of one scope: other stores, and a connection that may keep a transaction open."""

    def __init__(self, seed, database, conninfo, scope) -> None:
        self.dice = random.Random(seed)
        self.scope = scope
        self.store, self.archive = PostgresMemoryStore(database), PostgresMemoryArchive(database)
        self.condensing, self.renewing = PostgresCondensingStore(database), PostgresReembeddingStore(database)
        self.slow = writer(conninfo)
        self.known: list[Memory] = []

    def new(self):
        memory = memory_in(
            self.scope, " ".join(self.dice.choices(WORDS, k=4)), self.dice.randint(0, 50),
            expires_at=self.dice.choice([None, None, NOW + timedelta(hours=self.dice.randint(-9, 9))]),
            tags=frozenset(self.dice.sample(["a", "b"], k=self.dice.randint(0, 2))),
        )  # fmt: skip
        self.known.append(memory)
        return memory

    async def step(self):
        acts = [self.add, self.add, self.add_slowly, self.add_slowly, self.revise, self.supersede, self.remove]
        acts += [self.condense, self.renew, self.settle, self.settle]
        await self.dice.choice(acts if self.known else [self.add])()

    async def add(self):
        await self.store.add(*await entry(self.new()))

    async def add_slowly(self):
        """In a transaction, or in one within it, that goes on: its number is older than those of many to come."""
        memory, embedding = await entry(self.new())
        if self.dice.random() < 0.5:
            self.slow.execute("SAVEPOINT within")
        self.slow.execute(ADD, row_of(memory, embedding))

    async def settle(self):
        self.dice.choice([self.slow.commit, self.slow.commit, self.slow.rollback])()

    async def revise(self):
        old = self.dice.choice(self.known)
        version = self.dice.randint(1, 2)
        revised = replace(old, content=" ".join(self.dice.choices(WORDS, k=3)), version=version + 1)
        embedding = (await entry(revised))[1] if self.dice.random() < 0.5 else None
        await self.archive.replace(revised, embedding, version)

    async def supersede(self):
        await self.archive.supersede(self.dice.choice(self.known).id, *await entry(self.new()))

    async def remove(self):
        await self.store.remove(self.dice.choice(self.known).id, self.scope.agent_id, tenant=self.scope.tenant)

    async def condense(self):
        sources = await self.condensing.oldest(self.scope, 3, NOW)
        if sources:
            made = replace(self.new(), condensing=Condensing.SUMMARY, expires_at=None)
            await self.condensing.stand_for(sources, *await entry(made), NOW)

    async def renew(self):
        old = self.dice.choice(self.known)
        await self.renewing.reembed([(old, (await HashingEmbedder(64).embed([old.content]))[0])])


@pytest.mark.parametrize("seed", range(6))
async def test_a_search_sees_what_others_have_committed_and_nothing_else(database, conninfo, scope, seed):
    others = Others(f"{seed} {random.random()}", database, conninfo, scope)
    keeping, asking = (
        PostgresMemoryStore(database),
        PostgresMemoryStore(database, small_up_to=0, cache=ScopeCache(database, 0)),
    )
    with others.slow:
        for _ in range(60):
            await others.step()
            selection = others.dice.choice([EVERYTHING, EVERYTHING, Selection(tags=frozenset({"a"}))])
            asked = await search(
                scope, others.dice.choice(WORDS), others.dice.choice([2, 40]), selection, others.dice.choice([0, 2])
            )
            kept, exact = [await store.shortlist(asked) for store in (keeping, asking)]
            if exact.candidates:  # statistics of nothing are nothing to rank by
                assert kept.words.documents == exact.words.documents
                assert kept.words.mean_length == pytest.approx(exact.words.mean_length)
                assert kept.words.frequencies == exact.words.frequencies
            if asked.depth == 40:
                assert [(c.memory, c.position, c.counts, c.length, c.eligible) for c in kept.candidates] == [
                    (c.memory, c.position - 1, c.counts, c.length, c.eligible) for c in exact.candidates
                ]
            assert nearest(kept, asked.depth) == pytest.approx(nearest(exact, asked.depth), abs=2e-3)


async def test_what_an_older_transaction_commits_later_is_seen(database, conninfo, scope):
    store = PostgresMemoryStore(database)
    with writer(conninfo) as slow:
        slow.execute(ADD, row_of(*await entry(memory_in(scope, "the slow one"))))
        slow.execute("SAVEPOINT within")
        slow.execute(ADD, row_of(*await entry(memory_in(scope, "the slow one's second", 1))))
        for hours in range(2, 5):  # transactions that are younger, and over
            await store.add(*await entry(memory_in(scope, f"tea {hours}", hours)))
        assert await contents(store, scope) == ["tea 2", "tea 3", "tea 4"]
        assert await contents(store, scope) == ["tea 2", "tea 3", "tea 4"]
        slow.commit()
    assert await contents(store, scope) == ["the slow one", "the slow one's second", "tea 2", "tea 3", "tea 4"]


async def test_two_stores_hear_of_each_other_at_once(database, scope):
    one, other = PostgresMemoryStore(database), PostgresMemoryStore(database)
    assert await contents(one, scope) == await contents(other, scope) == []
    for hours in range(20):
        memory, embedding = await entry(memory_in(scope, f"tea {hours}", hours))
        await one.add(memory, embedding)
        assert f"tea {hours}" in await contents(other, scope)
        await other.remove(memory.id, scope.agent_id, tenant=scope.tenant)
        assert await contents(one, scope) == []


async def test_numbers_of_transactions_go_round(database, scope):
    """A horizon is of 32 bits: half of all numbers are before the present one, and half are after it."""
    await fill(database, scope, 3)

    async def known(horizon):
        [found] = await database.run(lambda c: check(c, [Asked(scope, horizon, 100, 100, 10**9)]))
        assert found.size == found.known + len(found.fresh) == 3
        return found.known

    [found] = await database.run(lambda c: check(c, [Asked(scope, None, 100, 100, 10**9)]))
    writers = {row[0] for row in found.fresh}
    assert len(found.fresh) == 3
    assert len(writers) == 1
    [writer] = writers
    assert await known(found.horizon) == 3
    assert await known((writer + 1) % 2**32) == 3
    assert await known(writer) == 0
    assert await known((found.horizon + 2**31 - 1000) % 2**32) == 3
    assert await known((found.horizon + 2**31 + 1000) % 2**32) == 0
    assert await known((writer - 1) % 2**32) == 0


async def test_a_scope_of_more_than_a_few_is_kept_at_its_second_search(database, scope, asked):
    memories = await fill(database, scope, 450)
    store = PostgresMemoryStore(database)
    exact = PostgresMemoryStore(database, small_up_to=0, cache=ScopeCache(database, 0))
    wanted = nearest(await exact.shortlist(await search(scope, "boat and tea", 20)))
    assert asked == []
    for _ in range(3):
        found = await store.shortlist(await search(scope, "boat and tea", 20))
        assert nearest(found) == pytest.approx(wanted, abs=2e-3)
    assert [each.horizon is None for [each] in asked] == [True, True, False]
    assert asked[0][0].most < 450
    late = memory_in(scope, "boat tea boat tea", 1000)
    await store.add(*await entry(late))
    assert late.id in {c.id for c in (await store.shortlist(await search(scope, "boat and tea", 20))).candidates}
    await store.remove(memories[0].id, scope.agent_id, tenant=scope.tenant)
    gone = await store.shortlist(await search(scope, memories[0].content, 20))
    assert memories[0].id not in {c.id for c in gone.candidates}
    # With a filter a statement is better.
    before = len(asked)
    assert not (await store.shortlist(await search(scope, selection=Selection(tags=frozenset({"x"}))))).candidates
    assert len(asked) == before


async def test_a_scope_that_outgrows_what_is_kept_is_asked_by_a_statement(database, scope):
    store = PostgresMemoryStore(database, whole_up_to=40, small_up_to=20)
    await fill(database, scope, 15)
    assert len(await contents(store, scope, depth=50)) == 15
    await fill(database, scope, 80)
    for _ in range(3):
        assert len(await contents(store, scope, depth=50)) >= 50
    assert store._cache.size(scope) is None


async def test_keeps_to_its_budget(database, scope):
    store = PostgresMemoryStore(database, cache=ScopeCache(database, 1_000_000))
    scopes = [replace(scope, user_id=f"user {n}") for n in range(30)]
    for each in scopes:
        await fill(database, each, 30)
        assert len(await contents(store, each, depth=50)) == 30
        assert store._cache._weight == sum(e.scope.weight for e in store._cache._entries.values()) <= 1_000_000
    kept = [each for each in scopes if store._cache.size(each)]
    assert scopes[-1] in kept
    assert 3 < len(kept) < 30
    heavy = replace(scope, user_id="heavy")
    await PostgresMemoryArchive(database).add_many([await entry(memory_in(heavy, "tea " * 2000, n)) for n in range(40)])
    for _ in range(3):
        assert len(await contents(store, heavy, depth=50)) == 40
    assert not store._cache.takes(heavy, 40)
    assert store._cache.size(heavy) is None


async def test_scopes_without_memories_take_room_too(database, scope):
    for budget in (0, 100_000):
        store = PostgresMemoryStore(database, cache=ScopeCache(database, budget))
        for number in range(100):
            assert await contents(store, replace(scope, user_id=f"nobody {number}")) == []
        stats = store._cache.pop_stats()
        assert stats["read"] == 100
        assert 2000 * stats["scopes"] <= stats["bytes"] <= budget


async def test_a_large_scope_takes_no_room_from_those_in_use(database, scope, monkeypatch):
    one, other = [replace(scope, user_id=name) for name in ("one", "other")]
    for each in (one, other):
        await fill(database, each, 450)
    store = PostgresMemoryStore(database, cache=ScopeCache(database, 6_000_000))
    store._cache._weight = 3_500_000  # of others, who are in use
    for _ in range(3):
        for each in (one, other):
            assert len(await contents(store, each, depth=20)) > 20
    assert store._cache.pop_stats()["read"] == 1
    assert store._cache.size(one) == 450
    monkeypatch.setattr(scope_cache, "_IN_USE", 0.0)
    await contents(store, other, depth=20)
    assert store._cache.size(other) == 450


async def test_what_is_too_heavy_to_bring_is_not_brought(database, scope):
    """Long texts of which one scope would take more than its part, and the loop's time to read."""
    dice = random.Random(1)
    texts = ["".join(chr(dice.randint(0x4E00, 0x9FFF)) for _ in range(4000)) for _ in range(250)]
    await PostgresMemoryArchive(database).add_many(
        [await entry(memory_in(scope, text, hours)) for hours, text in enumerate(texts)]
    )
    store = PostgresMemoryStore(database, cache=ScopeCache(database, 4_000_000))
    for _ in range(4):
        assert len(await contents(store, scope, depth=20)) >= 20
    assert store._cache.pop_stats() == {"scopes": 0, "bytes": 0, "too_large": 2}  # as unknown, and by its weight


async def test_what_is_forgotten_is_taken_out_and_nothing_read_anew(database, scope, monkeypatch):
    memories = await fill(database, scope, 300)
    brought = []

    async def counted(connection, of):
        found = await check(connection, of)
        brought.extend(len(each.fresh) for each in found)
        return found

    store = PostgresMemoryStore(database)
    for _ in range(3):
        await contents(store, scope, depth=20)
    assert store._cache.size(scope) == 300
    monkeypatch.setattr(scope_cache, "check", counted)
    await store.remove(memories[7].id, scope.agent_id, tenant=scope.tenant)
    revised = replace(memories[8], content="a phone in the rain", version=2)
    assert await PostgresMemoryArchive(database).replace(revised, (await entry(revised))[1], 1)
    await store.add(*await entry(memory_in(scope, "the newest", 1000)))
    exact = PostgresMemoryStore(database, small_up_to=0, cache=ScopeCache(database, 0))
    asked = await search(scope, "phone", 1000)
    kept, read = [await each.shortlist(asked) for each in (store, exact)]
    assert [(c.memory, c.counts) for c in kept.candidates] == [(c.memory, c.counts) for c in read.candidates]
    assert len(kept.candidates) == 300
    assert brought == [2, 2]


async def test_what_an_open_transaction_leaves_unsettled_is_not_brought_for_ever(database, conninfo, scope):
    store = PostgresMemoryStore(database)
    with writer(conninfo) as slow:
        slow.execute(ADD, row_of(*await entry(memory_in(scope, "the slow one"))))
        await fill(database, scope, 450)
        for _ in range(3):
            await contents(store, scope, depth=20)
        stats = store._cache.pop_stats()
        assert (stats["scopes"], stats["read"]) == (1, 1)
        assert stats["too_large"] == 2  # as unknown, and because all of it is unsettled
        slow.commit()
    for _ in range(3):
        assert "the slow one" in await contents(store, scope, query="slow one", depth=20)
    assert store._cache.pop_stats()["kept"] == 1


async def test_two_models_at_once_are_not_taken_for_each_other(database, scope):
    store = PostgresMemoryStore(database)
    await store.add(*await entry(memory_in(scope)))
    asked = await search(scope, "tea in the garden")
    same_size = replace(asked, embedding=Embedding("another model", asked.embedding.vector))
    [smaller] = await HashingEmbedder(64).embed(["tea in the garden"])
    searches = asked, same_size, replace(asked, embedding=smaller)
    three = await asyncio.gather(*map(store.shortlist, searches))
    assert [[(round(c.similarity, 2), c.compared) for c in found.candidates] for found in three] == [
        [(1.0, True)], [(0.0, False)], [(0.0, False)]
    ]  # fmt: skip


async def test_a_vector_of_another_size_is_compared_with_nothing(database, scope):
    """Of a model that kept its name and changed its size."""
    store = PostgresMemoryStore(database)
    [smaller] = await HashingEmbedder(64).embed(["tea"])
    await store.add(memory_in(scope), Embedding(HashingEmbedder().model, smaller.vector))
    [found] = (await store.shortlist(await search(scope))).candidates
    assert (found.similarity, found.compared) == (0.0, False)


async def test_another_event_loop_is_answered_by_statements(conninfo, database, scope):
    store = PostgresMemoryStore(database)
    await store.add(*await entry(memory_in(scope)))
    assert await contents(store, scope) == ["tea in the garden"]

    async def elsewhere():
        return await store._cache.read(scope, (await search(scope)).embedding, 100)

    assert await asyncio.to_thread(asyncio.run, elsewhere()) is None


async def test_what_nobody_searches_is_given_up(database, scope, monkeypatch):
    await fill(database, scope, 5)
    cache = ScopeCache(database)
    store = PostgresMemoryStore(database, cache=cache)
    await contents(store, scope)
    await cache.sweep()
    assert cache.size(scope) == 5
    monkeypatch.setattr(scope_cache, "_IDLE", 0.0)
    await cache.sweep()
    assert cache.pop_stats() == {"scopes": 0, "bytes": 0, "read": 1}


def wait_for_recovery(conninfo, witness):
    with suppress(psycopg.OperationalError):
        while True:
            witness.execute("SELECT 1")
    for _ in range(300):
        with suppress(psycopg.OperationalError):
            return psycopg.connect(conninfo).close()
        time.sleep(0.1)
    pytest.fail("the database does not come back")


async def test_a_crash_of_the_database_is_a_new_life_of_it(tmp_path, scope):
    """What was not on disk never was, and numbers of transactions are given out again."""
    async with embedded.running(tmp_path) as own, connection.opened(own, 1, 2) as database:
        store = PostgresMemoryStore(database)
        memory, embedding = await entry(memory_in(scope, "Ada lives in Oslo"))
        await store.add(memory, embedding)
        with closing(psycopg.connect(own)) as victim, closing(psycopg.connect(own, autocommit=True)) as witness:
            for _ in range(3):  # that come to nothing
                victim.execute("SELECT pg_current_xact_id()")
                victim.rollback()
            assert await contents(store, scope) == ["Ada lives in Oslo"]
            os.kill(victim.info.backend_pid, signal.SIGKILL)
            wait_for_recovery(own, witness)  # or what comes next would be done before the crash
        revised = replace(memory, content="Ada lives in Lima", version=2)
        assert await PostgresMemoryArchive(database).replace(revised, (await entry(revised))[1], 1)
        assert await contents(store, scope) == ["Ada lives in Lima"]


async def test_tells_how_often_it_served(database, scope):
    cache = ScopeCache(database)
    store = PostgresMemoryStore(database, cache=cache)
    await fill(database, scope, 5)
    await contents(store, scope)
    await contents(store, scope)
    await contents(store, scope)
    await store.add(*await entry(memory_in(scope)))
    await contents(store, scope)
    large = replace(scope, user_id="large")
    await fill(database, large, 250)
    await contents(store, large)
    stats = cache.pop_stats()
    assert stats == {"scopes": 1, "bytes": cache._weight, "read": 1, "kept": 2, "changed": 1, "too_large": 1}
    assert cache.pop_stats() == {"scopes": 1, "bytes": cache._weight}
    registry = CollectorRegistry()
    metrics = SearchCacheMetrics(cache.pop_stats, registry)
    await contents(store, scope)
    await metrics.refresh()
    assert registry.get_sample_value("agent_memory_search_cache_checks_total", {"found": "kept"}) == 1
    assert registry.get_sample_value("agent_memory_search_cache_checks_total", {"found": "read"}) == 0
    assert registry.get_sample_value("agent_memory_search_cache_scopes") == 1
    assert registry.get_sample_value("agent_memory_search_cache_bytes") == cache._weight > 5 * 2000


async def test_whoever_asks_at_the_same_moment_shares_the_statement(database, scope, asked):
    scopes = [replace(scope, user_id=f"user {n % 10}") for n in range(40)]
    for each in scopes[:10]:
        await fill(database, each, 5)
    store = PostgresMemoryStore(database)
    found = await asyncio.gather(*(contents(store, each) for each in scopes))
    assert all(len(each) == 5 for each in found)
    assert len(asked) <= 2
    assert sorted(each.scope.user_id for of in asked for each in of) == sorted({each.user_id for each in scopes})


async def test_whoever_gives_up_takes_nobody_along(database, scope):
    await fill(database, scope, 5)
    store = PostgresMemoryStore(database)
    impatient, patient = [asyncio.create_task(contents(store, scope)) for _ in range(2)]
    await asyncio.sleep(0)
    impatient.cancel()
    assert len(await patient) == 5
    with pytest.raises(asyncio.CancelledError):
        await impatient


async def test_a_statement_that_fails_is_told_to_all_who_waited_and_to_none_after(database, scope, monkeypatch):
    await fill(database, scope, 5)
    store = PostgresMemoryStore(database)

    async def broken(connection, of):
        raise Unavailable("the database does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(scope_cache, "check", broken)
        told = await asyncio.gather(*(contents(store, scope) for _ in range(3)), return_exceptions=True)
    assert [type(each) for each in told] == [Unavailable] * 3
    assert len(await contents(store, scope)) == 5


async def test_what_a_caller_does_with_a_memory_is_not_kept(database, scope):
    store = PostgresMemoryStore(database)
    await store.add(*await entry(memory_in(scope, metadata={"places": ["Oslo"]})))
    [found] = (await store.shortlist(await search(scope))).candidates
    found.memory.metadata["places"].append("Rome")
    found.memory.metadata["more"] = 1
    [again] = (await store.shortlist(await search(scope))).candidates
    assert again.memory.metadata == {"places": ["Oslo"]}


async def test_what_is_superseded_counts_as_what_must_be_looked_at(database, scope):
    """Of ten thousand condensed and ten that hold, a check would read ten thousand at every search."""
    store = PostgresMemoryStore(database, whole_up_to=40, small_up_to=20)
    memories = await fill(database, scope, 50)
    made = memory_in(scope, "all of it", 100, condensing=Condensing.SUMMARY)
    assert await PostgresCondensingStore(database).stand_for(memories[:45], *await entry(made), NOW)
    for _ in range(3):
        assert len(await contents(store, scope, depth=50)) == 6
    assert store._cache.size(scope) is None
    few = replace(scope, user_id="few")
    memories = await fill(database, few, 15)
    made = replace(made, id=MemoryId(uuid4()), scope=few)
    assert await PostgresCondensingStore(database).stand_for(memories[:5], *await entry(made), NOW)
    for _ in range(3):
        assert len(await contents(store, few, depth=50)) == 11
        assert store._cache.size(few) == 16
