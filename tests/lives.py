"""A random life of memories, led on both adapters at once."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from agent_memory.adapters.in_memory.archive import InMemoryMemoryArchive
from agent_memory.adapters.in_memory.condensing import InMemoryCondensingStore
from agent_memory.adapters.in_memory.embedder import HashingEmbedder
from agent_memory.adapters.in_memory.memories import InMemoryMemoryStore
from agent_memory.adapters.in_memory.reembedding import InMemoryReembeddingStore
from agent_memory.adapters.postgres.archive import PostgresMemoryArchive
from agent_memory.adapters.postgres.condensing import PostgresCondensingStore
from agent_memory.adapters.postgres.memories import PostgresMemoryStore
from agent_memory.adapters.postgres.reembedding import PostgresReembeddingStore
from agent_memory.adapters.postgres.scope_cache import ScopeCache
from agent_memory.domain.semantic.filters import parse_filter
from agent_memory.domain.semantic.memory import Condensing, Memory, MemoryId, MemoryType, Scope
from agent_memory.domain.semantic.recall import Search
from agent_memory.domain.semantic.selection import Selection
from agent_memory.domain.semantic.words import word_counts

START = datetime(2026, 1, 1, tzinfo=UTC)
WORDS = ("boat", "tea", "trains", "music", "gardens", "rain", "äpfel", "東京", "119", "'", "the", "%s")
CONDITIONS = ({"n": {"gt": 3}}, {"n": {"ne": 2}}, {"deep.list.1": None}, {"or": [{"n": 1}, {"odd": True}]})


class Life:
    """Every choice is made once, by the dice, and done on both."""

    def __init__(self, seed: str, database, believed: float = 0.0) -> None:
        self.dice = random.Random(seed)
        self.scopes = [Scope(f"agent {seed}", user, tenant) for user in ("ada", "bob") for tenant in ("acme", "bolt")]
        memory = InMemoryMemoryStore()
        cache = ScopeCache(database, believed=believed)
        self.stores = memory, PostgresMemoryStore(database, cache=cache)
        self.archives = InMemoryMemoryArchive(memory), PostgresMemoryArchive(database, cache)
        self.condensing = InMemoryCondensingStore(memory), PostgresCondensingStore(database)
        self.reembedding = InMemoryReembeddingStore(memory), PostgresReembeddingStore(database)
        self.embedder = HashingEmbedder()
        self.hour = 0
        self.known: list[Memory] = []

    @property
    def now(self) -> datetime:
        return START + timedelta(hours=self.hour)

    async def both(self, parts, verb, *arguments, **options):
        one, other = [await getattr(part, verb)(*arguments, **options) for part in parts]
        assert one == other, verb
        return one

    async def entry(self, memory: Memory):
        [embedding] = await self.embedder.embed([memory.content])
        return memory, embedding

    def text(self) -> str:
        return " ".join(self.dice.choices(WORDS, k=self.dice.randint(1, 8)))

    def new(self) -> Memory:
        number = self.dice.randint(0, 5)
        return Memory(
            MemoryId(UUID(int=self.dice.getrandbits(128))), self.dice.choice(self.scopes), self.text(), self.now,
            self.dice.choice(list(MemoryType)), self.dice.choice([0.0, 1.0, 2.0]),
            frozenset(self.dice.sample(["a", "b", "c"], k=self.dice.randint(0, 2))),
            {"n": number, "odd": number % 2 == 1, "deep": {"list": [number, None]}},
            self.dice.choice([None, None, self.now + timedelta(hours=self.dice.randint(1, 40))]),
            event_time=self.dice.choice([None, None, START + timedelta(hours=self.dice.randint(-50, 150))]),
        )  # fmt: skip

    def old(self) -> Memory:
        return self.dice.choice(self.known)

    def selection(self) -> Selection:
        return Selection(
            memory_type=self.dice.choice([None, *MemoryType]),
            tags=frozenset(self.dice.sample(["a", "b"], k=self.dice.randint(0, 1))),
            metadata=self.dice.choice([None, *map(parse_filter, CONDITIONS)]),
            since=self.dice.choice([None, START + timedelta(hours=self.dice.randint(0, 60))]),
        )

    async def step(self) -> None:
        self.hour += self.dice.randint(0, 3)
        acts = [self.add] * 6 + [self.revise, self.supersede, self.remove, self.condense, self.restore, self.purge]
        acts.append(self.put_off)
        acts += [self.tell] * 3 + [self.fade, self.look, self.tell_many, self.change_model, self.condense, self.remove]
        await self.dice.choice(acts if self.known else [self.add])()

    async def add(self) -> None:
        memory = self.new()
        if self.known and self.dice.random() < 0.2:  # an id that another tenant has, or this one
            memory = replace(memory, id=self.old().id)
        self.known.append(memory)
        now = self.dice.choice([None, self.now, self.now])
        await self.both(self.stores, "add", *await self.entry(memory), now)

    async def tell(self) -> None:
        memory = self.new()
        if self.known and self.dice.random() < 0.7:  # the same words, and perhaps what reinforced before
            old = self.old()
            again = old.id if self.dice.random() < 0.2 else memory.id
            end = self.dice.choice([old.expires_at, None, self.now + timedelta(hours=20)])
            memory = replace(old, id=again, tags=frozenset({"c"}), expires_at=end)
        self.known.append(memory)
        entry = await self.entry(memory)
        one, other = [await archive.reinforce(*entry, self.now) for archive in self.archives]
        assert (one.memory, one.added) == (other.memory, other.added)
        assert [like.similarity == 1 for like in one.near] == [like.similarity == 1 for like in other.near]

    async def revise(self) -> None:
        old = self.old()
        expected = self.dice.randint(1, 3)
        revised = replace(old, content=self.text(), version=expected + 1, tags=frozenset({"b"}), revised_at=self.now)
        await self.both(self.archives, "replace", *await self.entry(revised), expected)

    async def put_off(self) -> None:
        old, end = self.old(), self.now + timedelta(hours=self.dice.randint(1, 40))
        await self.both(self.archives, "put_off", old.id, old.scope, self.dice.randint(1, 2), end, self.now)

    async def supersede(self) -> None:
        successor = self.new()
        self.known.append(successor)
        await self.both(self.archives, "supersede", self.old().id, *await self.entry(successor))

    async def remove(self) -> None:
        old = self.old()
        if self.dice.random() < 0.2:
            selection = self.selection()
            number = await self.both(self.archives, "count_selected", old.scope, selection, self.now)
            assert number == await self.both(self.archives, "remove_selected", old.scope, selection, self.now)
        else:
            user = self.dice.choice([None, "ada"])
            await self.both(self.stores, "remove", old.id, old.scope.agent_id, user, tenant=old.scope.tenant)

    async def condense(self) -> None:
        scope = self.dice.choice(self.scopes)
        sources = await self.both(self.condensing, "oldest", scope, 4, self.now)
        if sources:
            made = replace(self.new(), scope=scope, memory_type=self.dice.choice(list(MemoryType)))
            if self.dice.random() < 0.8:  # others may have put it in the place of many
                made = replace(made, condensing=Condensing.SUMMARY, expires_at=None)
            self.known.append(made)
            if self.dice.random() < 0.2:  # one was revised in between
                sources = [replace(sources[0], version=sources[0].version + 1), *sources[1:]]
            await self.both(self.condensing, "stand_for", sources, *await self.entry(made), self.now)

    async def restore(self) -> None:
        old = self.old()
        options = {"tenant": old.scope.tenant, "now": self.now}
        await self.both(self.condensing, "standing", old.id, old.scope.agent_id, **options)
        await self.both(self.condensing, "restore", old.id, old.scope.agent_id, **options)

    async def purge(self) -> None:
        # Others live in the same database: what they have expired is not for us to compare.
        for archive in self.archives:
            await archive.purge(self.now)

    async def fade(self) -> None:
        # As with what has expired.
        for condensing in self.condensing:
            await condensing.fade(timedelta(hours=60), self.now)

    async def look(self) -> None:
        memory = self.dice.choice([self.new(), replace(self.new(), content=self.old().content)])
        found = [await archive.alike(*await self.entry(memory), self.now) for archive in self.archives]
        one, other = ([(like.similarity == 1, round(like.similarity, 2)) for like in near] for near in found)
        assert [exact for exact, _ in one] == [exact for exact, _ in other]
        assert [similar for _, similar in one] == pytest.approx([similar for _, similar in other], abs=0.02)

    async def tell_many(self) -> None:
        scope = self.dice.choice(self.scopes)
        some = [replace(self.new(), scope=scope) for _ in range(self.dice.randint(0, 5))]
        some += [replace(memory, content=self.old().content) for memory in some[:2]]  # the same words, or a known id
        if self.known:  # ids of any scope, which may have expired
            some += [replace(self.new(), id=self.old().id, scope=scope) for _ in range(self.dice.randint(0, 3))]
        self.known += some
        entries = [await self.entry(memory) for memory in some]
        if self.dice.random() < 0.3:
            await self.both(self.archives, "add_many", entries, self.dice.choice([None, self.now]))
            return
        told = [await archive.tell_many(entries, self.now) for archive in self.archives]
        assert [near is None for near in told[0]] == [near is None for near in told[1]]
        for one, other in zip(*([near for near in each if near] for each in told), strict=True):
            assert [like.similarity == 1 for like in one] == [like.similarity == 1 for like in other]
            assert [like.similarity for like in one] == pytest.approx([like.similarity for like in other], abs=0.02)

    async def change_model(self) -> None:
        old = self.old()
        [embedding] = await HashingEmbedder(64).embed([old.content])
        await self.both(self.reembedding, "reembed", [(old, embedding)])

    async def compare(self) -> None:
        for scope in self.scopes:
            await self.both(self.stores, "count", scope)
            await self.both(self.archives, "inventory", scope, self.now)
            superseded = self.dice.random() < 0.5
            await self.both(self.archives, "page", scope, self.selection(), self.now, None, 100, superseded=superseded)
            await self.compare_searches(scope)
        for memory in self.known:
            await self.both(self.archives, "get", memory.id, memory.scope.agent_id, tenant=memory.scope.tenant)
            await self.both(self.archives, "history", memory.id, memory.scope.agent_id, tenant=memory.scope.tenant)

    async def compare_searches(self, scope: Scope) -> None:
        query = self.text()
        [embedding] = await self.embedder.embed([query])
        words = frozenset(word_counts(query))
        search = Search(
            scope, embedding, words, 100, self.now, selection=self.selection(),
            as_of=self.dice.choice([None, START + timedelta(hours=self.dice.randint(0, 100))]),
        )  # fmt: skip
        one, other = [await store.shortlist(search) for store in self.stores]
        if one.candidates:  # statistics of nothing are nothing to rank by
            assert one.words.documents == other.words.documents
            assert one.words.mean_length == pytest.approx(other.words.mean_length)
            assert dict(one.words.frequencies) == dict(other.words.frequencies)
        assert [(c.memory, c.eligible, dict(c.counts), c.length) for c in one.candidates] == [
            (c.memory, c.eligible, dict(c.counts), c.length) for c in other.candidates
        ]
        assert [c.similarity for c in one.candidates] == pytest.approx(
            [c.similarity for c in other.candidates], abs=2e-3
        )
