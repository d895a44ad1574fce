"""What every `MemoryStore` promises."""

from array import array
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import uuid4

import pytest

from agent_memory.adapters.in_memory.embedder import HashingEmbedder
from agent_memory.adapters.in_memory.memories import InMemoryMemoryStore
from agent_memory.adapters.postgres import connection
from agent_memory.adapters.postgres.memories import PostgresMemoryStore
from agent_memory.application.semantic_memory import SemanticMemory
from agent_memory.domain.errors import StaleVersion
from agent_memory.domain.semantic.filters import matches, parse_filter
from agent_memory.domain.semantic.memory import Embedding, Memory, MemoryId, MemoryType, Scope
from agent_memory.domain.semantic.recall import Search
from agent_memory.domain.semantic.selection import Selection
from agent_memory.domain.semantic.weighing import Weighing
from agent_memory.domain.semantic.words import word_counts

START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 6, 1, tzinfo=UTC)
HOSTILE = [
    "'; DROP TABLE memories; --",
    "%s %(id)s {0}",
    "\\",
    "\u202eright to left",
    "💥" * 50,
    "\ufeff",
    "\n\t",
]


@pytest.fixture(params=["in_memory", pytest.param("postgres", marks=pytest.mark.integration)])
async def store(request):
    if request.param == "in_memory":
        yield InMemoryMemoryStore()
    else:
        async with connection.opened(request.getfixturevalue("conninfo"), 1, 2) as database:
            yield PostgresMemoryStore(database)


class Bench:
    """Writes to one scope of one store, an hour between memories, and asks it."""

    def __init__(self, store, scope: Scope) -> None:
        self.store = store
        self.scope = scope
        self.embedder = HashingEmbedder()
        self.hours = count()

    async def add(self, content: str, scope: Scope | None = None, **fields) -> Memory:
        created_at = fields.pop("created_at", START + timedelta(hours=next(self.hours)))
        memory = Memory(MemoryId(uuid4()), scope or self.scope, content, created_at, **fields)
        await self.store.add(memory, await self.embedded(content))
        return memory

    async def embedded(self, text: str) -> Embedding:
        [embedding] = await self.embedder.embed([text])
        return embedding

    async def shortlist(self, query: str, depth: int = 50, scope: Scope | None = None, **fields):
        search = Search(
            scope or self.scope, await self.embedded(query), frozenset(word_counts(query)), depth, NOW, **fields
        )
        return await self.store.shortlist(search)

    async def found(self, query: str, **fields) -> list[Memory]:
        return [c.memory for c in (await self.shortlist(query, **fields)).candidates if c.eligible]


@pytest.fixture
def bench(store):
    return Bench(store, Scope(f"agent-{uuid4()}", "user"))


async def test_gives_back_what_it_was_given(bench):
    memory = await bench.add("She lives in Oslo", memory_type=MemoryType.SEMANTIC, importance=1.5)
    assert await bench.found("Where does she live?") == [memory]


async def test_knows_nothing_of_a_scope_nobody_wrote_to(bench):
    shortlist = await bench.shortlist("anything")
    assert shortlist.candidates == ()
    assert shortlist.words.documents == 0
    assert await bench.store.count(bench.scope) == 0


async def test_counts_what_a_scope_holds(bench):
    for content in ("one", "two", "three"):
        await bench.add(content)
    assert await bench.store.count(bench.scope) == 3


@pytest.mark.parametrize("name", ["agent_id", "user_id"])
async def test_never_crosses_scopes(bench, name):
    other = {"agent_id": bench.scope.agent_id, "user_id": bench.scope.user_id} | {name: f"other-{uuid4()}"}
    await bench.add("secret of somebody else", scope=Scope(**other))
    assert await bench.found("secret") == []
    assert (await bench.shortlist("secret")).words.frequencies == {}


async def test_adding_a_known_id_changes_nothing(bench):
    memory = await bench.add("the first")
    later = Memory(memory.id, bench.scope, "the second", START)
    assert not await bench.store.add(later, await bench.embedded("the second"))
    assert await bench.found("the second") == [memory]


async def test_forgets_one_memory_once(bench):
    gone, kept = await bench.add("apples"), await bench.add("pears")
    assert await bench.store.remove(gone.id, bench.scope.agent_id, bench.scope.user_id, tenant=bench.scope.tenant)
    assert not await bench.store.remove(gone.id, bench.scope.agent_id, bench.scope.user_id, tenant=bench.scope.tenant)
    assert await bench.found("apples") == [kept]


@pytest.mark.parametrize("superseded_by", [None, MemoryId(uuid4())])
async def test_forgets_a_memory_at_the_version_that_is_meant(bench, superseded_by):
    memory = await bench.add("apples", superseded_by=superseded_by, superseded_at=superseded_by and START)
    which = memory.id, bench.scope.agent_id
    for stale in (2, [2, 3], [], 2**70):
        with pytest.raises(StaleVersion):
            await bench.store.remove(*which, tenant=bench.scope.tenant, version=stale)
    assert await bench.store.count(bench.scope) == 1
    assert not await bench.store.remove(memory.id, "another", tenant=bench.scope.tenant, version=2)
    assert await bench.store.remove(*which, tenant=bench.scope.tenant, version=[1, 2])
    assert not await bench.store.remove(*which, tenant=bench.scope.tenant, version=[1, 2])


async def test_forgets_nothing_of_another_agent_or_user(bench):
    memory = await bench.add("apples")
    assert not await bench.store.remove(memory.id, "another agent", tenant=bench.scope.tenant)
    assert not await bench.store.remove(memory.id, bench.scope.agent_id, "another user", tenant=bench.scope.tenant)
    assert await bench.store.remove(memory.id, bench.scope.agent_id, tenant=bench.scope.tenant)


async def test_numbers_memories_by_time(bench):
    memories = [await bench.add(f"event {number}") for number in range(5)]
    candidates = (await bench.shortlist("event")).candidates
    assert [c.memory for c in candidates] == memories
    assert [c.position - candidates[0].position for c in candidates] == [0, 1, 2, 3, 4]


async def test_measures_meaning(bench):
    await bench.add("the cat sleeps on the sofa")
    await bench.add("interest rates rise again")
    same, other = (await bench.shortlist("the cat sleeps on the sofa")).candidates
    assert same.similarity == pytest.approx(1, abs=1e-3)
    assert other.similarity < 0.5


async def test_vectors_of_another_model_are_not_near(bench):
    memory = Memory(MemoryId(uuid4()), bench.scope, "the cat", START)
    foreign = await HashingEmbedder(16).embed(["the cat"])
    await bench.store.add(memory, foreign[0])
    [candidate] = (await bench.shortlist("the cat")).candidates
    assert candidate.similarity == 0


async def test_vectors_of_another_dimension_of_the_model_are_not_near(bench):
    """Of a model that keeps its name and changes its size."""
    [smaller] = await HashingEmbedder(16).embed(["the cat"])
    resized = Embedding(bench.embedder.model, smaller.vector)
    await bench.store.add(Memory(MemoryId(uuid4()), bench.scope, "the cat", START), resized)
    for weighing in (None, Weighing(0.5), None, Weighing(0.5)):  # of the second searches the scope may be kept ready
        [candidate] = (await bench.shortlist("the cat", weighing=weighing)).candidates
        assert (candidate.similarity, candidate.compared) == (0, False)


async def test_a_vector_without_a_length_is_near_nothing(bench):
    nothing = Embedding(bench.embedder.model, array("f", [0.0] * bench.embedder.dimension))
    await bench.store.add(Memory(MemoryId(uuid4()), bench.scope, "???", START - timedelta(hours=1)), nothing)
    await bench.add("the cat")
    asked = Search(bench.scope, nothing, frozenset({"cat"}), 10, NOW)
    for weighing in (None, Weighing(0.5), None, Weighing(0.5)):
        one, other = (await bench.shortlist("the cat", weighing=weighing)).candidates
        assert (one.similarity, other.similarity) == (0, pytest.approx(1, abs=1e-3))
        unasked = (await bench.store.shortlist(replace(asked, weighing=weighing))).candidates
        assert [candidate.similarity for candidate in unasked] == [0, 0]


async def test_measures_words(bench):
    await bench.add("cats chase cats and dogs")
    await bench.add("dogs sleep")
    shortlist = await bench.shortlist("cat dog fish")
    assert [(dict(c.counts), c.length) for c in shortlist.candidates] == [
        ({"cat": 2, "dog": 1}, 7),  # three of them are the day it was kept
        ({"dog": 1}, 5),
    ]
    assert shortlist.words.documents == 2
    assert shortlist.words.mean_length == 6
    assert dict(shortlist.words.frequencies) == {"cat": 1, "dog": 2}


async def test_returns_all_that_pass_the_filter(bench):
    for number in range(40):
        await bench.add(f"chatter about the weather {number}")
    wanted = [await bench.add(f"unrelated {number}", memory_type=MemoryType.PROCEDURAL) for number in range(3)]
    for number in range(40):
        await bench.add(f"chatter about the weather {number}")
    assert await bench.found("weather", depth=5, selection=Selection(MemoryType.PROCEDURAL)) == wanted


async def test_each_leg_brings_its_own(bench):
    near = await bench.add("zebra stripes zebra stripes")
    worded = await bench.add("xylophone " + " ".join(f"filler{n}" for n in range(60)))
    padding = [await bench.add(f"noise {number}") for number in range(10)]
    found = await bench.found("zebra stripes zebra stripes xylophone", depth=1, newest=1)
    assert near in found
    assert worded in found
    assert padding[-1] in found
    assert padding[4] not in found


async def test_the_newest_of_a_filter_come_with_it(bench):
    wanted = [await bench.add(f"noise {number}", memory_type=MemoryType.SEMANTIC) for number in range(4)]
    for number in range(10):
        await bench.add(f"zebra {number}")
    last = await bench.add("the very last", memory_type=MemoryType.SEMANTIC)
    found = await bench.found("noise 0", depth=1, newest=2, selection=Selection(MemoryType.SEMANTIC))
    assert {wanted[0], wanted[-1], last} <= set(found)


async def test_brings_the_neighbours_of_what_it_finds(bench):
    for number in range(10):
        await bench.add(f"noise {number}")
    before, hit, after = [await bench.add(text) for text in ("I have news", "we bought a boat", "how nice")]
    for number in range(10):
        await bench.add(f"noise {number}")
    candidates = (await bench.shortlist("boat", depth=1)).candidates
    of = {c.memory: c.position for c in candidates}
    assert of[before] + 1 == of[hit] == of[after] - 1


@pytest.mark.parametrize("text", HOSTILE)
async def test_takes_any_text_literally(store, text):
    bench = Bench(store, Scope(f"{text}-{uuid4()}"[-128:], text))
    memory = await bench.add(text)
    assert await bench.found(text) == [memory]
    assert await store.count(bench.scope) == 1
    assert await store.remove(memory.id, bench.scope.agent_id, text, tenant=bench.scope.tenant)


async def test_holds_the_longest_content(bench):
    memory = await bench.add("long " * 1600)
    assert await bench.found("long") == [memory]


async def test_keeps_tags_metadata_and_expiry(bench):
    memory = await bench.add(
        "with everything",
        tags=frozenset({"b", "a"}),
        metadata={"deep": {"list": [1, 2.5, None, True, "\u2028'%s"]}},
        expires_at=datetime(2027, 1, 1, tzinfo=UTC),
        version=3,
    )
    assert await bench.found("everything") == [memory]


async def test_what_has_expired_is_not_found(bench):
    await bench.add("milk is in the fridge", expires_at=NOW)
    fresh = await bench.add("milk is on the table", expires_at=NOW + timedelta(seconds=1))
    shortlist = await bench.shortlist("milk")
    assert [c.memory for c in shortlist.candidates] == [fresh]
    assert shortlist.words.documents == 1


ANA = {"name": "Ana", "age": 31, "home": {"city": "Oslo"}, "vip": True, "left": None, "pets": ["cat"], "ä%": "ß"}


@pytest.mark.parametrize(
    "condition",
    [
        {}, {"name": "Ana"}, {"age": 31.0}, {"home.city": "Oslo"}, {"vip": True}, {"vip": 1}, {"age": "31"},
        {"name": {"ne": "Bo"}}, {"nickname": {"ne": "Bo"}}, {"age": {"gt": 30, "lte": 31}}, {"age": {"gt": 31}},
        {"name": {"lt": "B"}}, {"name": {"gt": "a"}}, {"name": {"gt": 5}}, {"vip": {"gte": 0}}, {"age": {"lt": "x"}},
        {"name": {"in": ["Bo", "Ana"]}}, {"name": {"in": []}}, {"left": None}, {"left": {"exists": True}},
        {"nickname": {"exists": False}}, {"nickname": None}, {"pets": ["cat"]}, {"pets": ["dog"]}, {"pets.0": "cat"},
        {"or": [{"age": 1}, {"vip": True}]}, {"or": []}, {"and": []}, {"not": {}},
        {"and": [{"age": 31}, {"not": {"name": "Bo"}}]}, {"not": {"nickname": {"lt": 5}}}, {"ä%": "ß"},
        {"'; DROP TABLE memories; --": {"ne": "%s %(x)s"}}, {"home": {"eq": {"city": "Oslo"}}}, {"name.0": "A"},
        {"age": {"lt": 1e308}}, {"age": {"gt": -10**300}},
    ],
)  # fmt: skip
async def test_reads_conditions_as_the_domain_does(bench, condition):
    await bench.add("a person", metadata=ANA)
    parsed = parse_filter(condition)
    found = await bench.found("person", selection=Selection(metadata=parsed))
    assert bool(found) == matches(parsed, ANA)


async def test_selects_by_tags_and_time(bench):
    first, second, third = [await bench.add(f"note {n}", tags=frozenset({"x", str(n)})) for n in range(3)]
    assert await bench.found("note", selection=Selection(tags=frozenset({"x"}))) == [first, second, third]
    assert await bench.found("note", selection=Selection(tags=frozenset({"x", "1"}))) == [second]
    assert await bench.found("note", selection=Selection(since=second.created_at)) == [second, third]
    assert await bench.found("note", selection=Selection(until=second.created_at)) == [first]


async def test_as_of_a_time_brings_what_was_valid_then(bench):
    early = await bench.add("the boat is red", superseded_at=START + timedelta(days=2))
    late = await bench.add("the boat is blue", created_at=START + timedelta(days=2))
    told_later = await bench.add("the boat was built", created_at=NOW, event_time=START - timedelta(days=9))
    for days, known in ((-1, [told_later]), (1, [told_later, early]), (2, [told_later, late])):
        assert await bench.found("boat", as_of=START + timedelta(days=days)) == known
    assert await bench.found("boat") == [told_later, late]


async def test_tenants_share_names_and_ids_and_never_meet(bench):
    """The same agent, user and id: two memories."""
    other = replace(bench.scope, tenant="another")
    mine = await bench.add("the red boat")
    theirs = replace(mine, scope=other, content="the blue boat")
    assert await bench.store.add(theirs, await bench.embedded(theirs.content))
    assert not await bench.store.add(theirs, await bench.embedded(theirs.content))
    assert await bench.found("boat") == [mine]
    assert await bench.found("boat", scope=other) == [theirs]
    assert (await bench.shortlist("blue boat")).words.frequencies == {"boat": 1}
    assert not await bench.store.remove(mine.id, bench.scope.agent_id, tenant="a-third")
    assert await bench.store.remove(mine.id, bench.scope.agent_id, tenant="another")
    assert (await bench.store.count(bench.scope), await bench.store.count(other)) == (1, 0)


async def test_the_pages_of_a_question_give_all_of_a_scope_once_and_in_order(bench):
    told = {(await bench.add(f"fact {number % 7} of {number}")).id for number in range(70)}
    memory = SemanticMemory(bench.store, bench.embedder, clock=lambda: NOW)
    who = {"agent_id": bench.scope.agent_id, "user_id": bench.scope.user_id}
    found, cursor = [], None
    while not found or cursor is not None:
        page = await memory.recall_page(cursor, **who, query="which fact 3?", top_k=7)
        found, cursor = [*found, *page.recollections], page.cursor
    assert len(found) == 70
    assert {recollection.memory.id for recollection in found} == told
    scores = [recollection.score.total for recollection in found]
    assert scores == sorted(scores, reverse=True)


SIZES = {
    "as it is kept here": {},
    "measured by a statement": {"small_up_to": 0},
    "by index": {"small_up_to": 0, "whole_up_to": 20},
}


@pytest.mark.integration
@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("asked", [{}, {"alpha": 0.0}, {"alpha": 0.6}], ids=str)
async def test_what_is_kept_between_two_pages_takes_nobodys_place(sizes, asked, conninfo):
    async with connection.opened(conninfo, 1, 2) as database:
        bench = Bench(PostgresMemoryStore(database, **sizes), Scope(f"agent-{uuid4()}", "user"))
        told = {(await bench.add(f"fact {number % 7} of {number}", created_at=START)).id for number in range(150)}
        moments = count()
        memory = SemanticMemory(bench.store, bench.embedder, clock=lambda: NOW + timedelta(hours=next(moments)))
        who = {"agent_id": bench.scope.agent_id, "user_id": bench.scope.user_id}
        asked = asked | who | {"query": "fact 3", "top_k": 10}
        page = await memory.recall_page(None, **asked)
        for number in range(250):
            await bench.add(f"fact 3 of {number}", created_at=NOW + timedelta(minutes=1))
        found = [*page.recollections]
        while page.cursor is not None:
            page = await memory.recall_page(page.cursor, **asked)
            found += page.recollections
    assert len(found) == 150
    assert {recollection.memory.id for recollection in found} == told


@pytest.mark.parametrize("given", [{"home": "Oslo", "pets": ["cat"]}, {}])
async def test_nobody_changes_what_is_kept_by_what_they_gave_or_got(bench, given):
    metadata = deepcopy(given)
    await bench.add("She lives in Oslo", metadata=metadata)
    metadata["home"] = "Rome"
    metadata.setdefault("pets", []).append("dog")
    for _ in range(2):
        [found] = await bench.found("Where does she live?")
        assert found.metadata == given
        found.metadata.setdefault("pets", []).append("fox")
        found.metadata["is"] = "gone"
