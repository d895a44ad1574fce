import asyncio
import random
from datetime import UTC, datetime, timedelta
from operator import mul
from uuid import uuid4

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent_memory.adapters.in_memory.archive import InMemoryMemoryArchive
from agent_memory.adapters.in_memory.embedder import HashingEmbedder
from agent_memory.adapters.in_memory.memories import InMemoryMemoryStore
from agent_memory.application.memory_keeping import MemoryKeeping
from agent_memory.application.semantic_memory import SemanticMemory
from agent_memory.domain.errors import Conflict, InvalidInput, NotFound
from agent_memory.domain.semantic.memory import MemoryType
from agent_memory.domain.semantic.scoring import Blend
from agent_memory.domain.semantic.selection import Selection

WHO = {"agent_id": "agent", "user_id": "user"}
WORDS = [f"word{number}" for number in range(40)]
COMMONNESS = [1 / number for number in range(1, 41)]


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def passes(self, **time: float) -> None:
        self.now += timedelta(**time)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store():
    return InMemoryMemoryStore()


@pytest.fixture
def memory(store, clock):
    return SemanticMemory(store, HashingEmbedder(), clock=clock)


async def contents(memory, query, **options):
    return [r.memory.content for r in await memory.recall(**WHO, query=query, **options)]


async def test_recalls_what_it_remembered(memory, clock):
    kept = await memory.remember(**WHO, content="Her cat is called Miso", memory_type="semantic", importance=1.5)
    assert (kept.memory_type, kept.importance, kept.created_at) == (MemoryType.SEMANTIC, 1.5, clock.now)
    [recollection] = await memory.recall(**WHO, query="What is the cat called?")
    assert recollection.memory == kept


async def test_the_best_comes_first_and_no_more_than_asked(memory):
    for content in ("He likes tea", "He likes trains", "Trains to Oslo leave at 9"):
        await memory.remember(**WHO, content=content)
    assert await contents(memory, "When do trains to Oslo leave?", top_k=1) == ["Trains to Oslo leave at 9"]


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"topk": 1}, "topk: unknown field"), ({"cursor": "x"}, "cursor: unknown field"),
        ({"selection": None}, "selection: must be a Selection, is NoneType"), ({"selection": {}}, "selection: must be"),
    ],
)  # fmt: skip
async def test_a_misspelt_option_is_no_silence(memory, asked, says):
    with pytest.raises(InvalidInput, match=says):
        await memory.recall(**WHO, query="trains", **asked)


@pytest.mark.parametrize("missing", ["agent_id", "user_id", "query"])
async def test_what_must_be_said_is_missed_by_its_name(memory, missing):
    asked = WHO | {"query": "trains"}
    del asked[missing]
    with pytest.raises(InvalidInput, match=f"{missing}: is missing"):
        await memory.recall(**asked)


@pytest.mark.parametrize("missing", ["agent_id", "user_id", "content"])
async def test_what_must_be_told_is_missed_by_its_name(memory, missing):
    told = WHO | {"content": "trains"}
    del told[missing]
    with pytest.raises(InvalidInput, match=f"{missing}: is missing"):
        await memory.remember(**told)


async def test_with_an_id_it_may_be_told_again(store, clock):
    memory = SemanticMemory(store, HashingEmbedder(), clock=clock, archive=InMemoryMemoryArchive(store))
    told = WHO | {"content": "trains leave at 9", "id": uuid4()}
    kept = await memory.remember(**told)
    clock.passes(hours=1)
    assert await memory.remember(**told | {"id": str(kept.id)}) == kept
    for other in ({"content": "trains leave at 10"}, {"user_id": "another"}):
        with pytest.raises(Conflict, match="that of another memory"):
            await memory.remember(**told | other)
    assert await memory.count(**WHO) == 1


async def test_without_an_archive_an_id_that_is_known_is_a_conflict(memory):
    kept = await memory.remember(**WHO, content="trains leave at 9", id=uuid4())
    with pytest.raises(Conflict, match="is known already"):
        await memory.remember(**WHO, content="trains leave at 9", id=kept.id)


async def test_alpha_0_is_newest_first(memory, clock):
    for number in range(80):
        await memory.remember(**WHO, content=f"note {number}")
        clock.passes(hours=1)
    assert await contents(memory, "note 0", alpha=0, top_k=3) == ["note 79", "note 78", "note 77"]


async def test_the_newest_may_always_answer(memory, clock):
    """Though many are nearer, and have more of the words."""
    for _ in range(150):
        await memory.remember(**WHO, content="trains to Oslo leave at 9")
        clock.passes(hours=2)
    for animal in ("cat", "dog", "horse", "sheep"):
        await memory.remember(**WHO, content=f"the {animal} sleeps")
    clock.passes(days=400)
    newest = "trains to Oslo leave at 10 from the other platform"
    await memory.remember(**WHO, content=newest)
    assert await contents(memory, "When do trains to Oslo leave now?", top_k=1) == [newest]


@pytest.mark.parametrize("alpha", [0, 0.3, 0.5, 0.7, 1])
async def test_with_alpha_the_best_of_all_come_first(memory, clock, alpha):
    embedder, query = HashingEmbedder(), "blue boats"
    told = []
    for number in range(150):
        words = ("blue", "green", "red"), ("boats", "houses", "cars", "dogs")
        content = f"{words[0][number % 3]} {words[1][number % 4]} number {number}"
        told.append(await memory.remember(**WHO, content=content))
        clock.passes(days=1)
    vector, *others = [e.vector for e in await embedder.embed([query, *(m.content for m in told)])]
    scores = [
        alpha * sum(map(mul, vector, other)) + (1 - alpha) * 0.5 ** ((150 - number) / 30)
        for number, other in enumerate(others)
    ]
    found = await memory.recall(**WHO, query=query, alpha=alpha, top_k=10)
    assert [r.score.total for r in found] == pytest.approx(sorted(scores, reverse=True)[:10])


async def test_the_default_prefers_the_fact_that_replaced_another(memory, clock):
    for place in ("Oslo", "Lima"):
        await memory.remember(**WHO, content=f"She lives in {place}")
        clock.passes(days=60)
    assert (await contents(memory, "Where does she live now?"))[0] == "She lives in Lima"


async def test_filters_by_type(memory):
    await memory.remember(**WHO, content="Boil the eggs", memory_type=MemoryType.PROCEDURAL)
    await memory.remember(**WHO, content="We ate eggs")
    assert await contents(memory, "eggs", memory_type="procedural") == ["Boil the eggs"]


async def test_forgets(memory):
    kept = await memory.remember(**WHO, content="a secret")
    await memory.forget(str(kept.id), agent_id="agent")
    assert await memory.count(**WHO) == 0
    with pytest.raises(NotFound):
        await memory.forget(kept.id, agent_id="agent")


async def test_what_belongs_to_others_is_not_found(memory):
    kept = await memory.remember(**WHO, content="a secret")
    with pytest.raises(NotFound):
        await memory.forget(kept.id, agent_id="another")
    with pytest.raises(NotFound):
        await memory.forget(kept.id, agent_id="agent", user_id="another")
    assert await memory.count(**WHO) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("query", ""), ("query", "x" * 2001), ("query", "\0"), ("top_k", 0), ("top_k", 51), ("alpha", -0.1),
        ("alpha", 1.1), ("alpha", float("nan")), ("agent_id", ""), ("user_id", "x" * 129),
        ("memory_type", "odd"),
    ],
)  # fmt: skip
async def test_recall_refuses_what_is_out_of_bounds(memory, field, value):
    with pytest.raises(InvalidInput) as refusal:
        await memory.recall(**{**WHO, "query": "x", field: value})
    assert refusal.value.field == field


async def test_a_refused_memory_leaves_no_trace(memory):
    with pytest.raises(InvalidInput):
        await memory.remember(**WHO, content="x", importance=float("nan"))
    with pytest.raises(InvalidInput):
        await memory.remember(**WHO, content="x", memory_type="odd")
    assert await memory.count(**WHO) == 0


@pytest.mark.parametrize("wrong", ["", "1", "00000000-0000-4000-8000-0000000000000", "'; --"])
async def test_forget_refuses_what_is_no_id(memory, wrong):
    with pytest.raises(InvalidInput) as refusal:
        await memory.forget(wrong, agent_id="agent")
    assert refusal.value.field == "memory_id"


async def test_the_half_life_counts_where_the_caller_weighs_recency_too(clock):
    daily = Blend(half_life=timedelta(days=1))
    memory = SemanticMemory(InMemoryMemoryStore(), HashingEmbedder(), blend=daily, clock=clock)
    await memory.remember(**WHO, content="something")
    clock.passes(days=1)
    [found] = await memory.recall(**WHO, query="something", alpha=0)
    assert found.score.total == pytest.approx(0.5)


async def test_what_happened_orders_by_when_it_happened(memory, clock):
    await memory.remember(**WHO, content="They met in Rome", event_time=clock() - timedelta(days=400))
    await memory.remember(**WHO, content="They met in Oslo", event_time=clock() - timedelta(days=30))
    assert await contents(memory, "met", alpha=0) == ["They met in Oslo", "They met in Rome"]
    since = Selection(since=clock() - timedelta(days=31))
    assert await contents(memory, "met", selection=since) == ["They met in Oslo"]


async def test_as_of_asks_what_was_valid_then(clock):
    store = InMemoryMemoryStore()
    memory = SemanticMemory(store, HashingEmbedder(), clock=clock)
    keeping = MemoryKeeping(InMemoryMemoryArchive(store), HashingEmbedder(), clock=clock)
    before = clock()
    clock.passes(days=1)
    old = await memory.remember(**WHO, content="She lives in Oslo", expires_at=clock() + timedelta(days=90))
    clock.passes(days=1)
    then = clock()
    clock.passes(days=1)
    await keeping.supersede(old.id, agent_id="agent", content="She lives in Lima")
    assert await contents(memory, "Where does she live?") == ["She lives in Lima"]
    assert await contents(memory, "Where does she live?", as_of=then) == ["She lives in Oslo"]
    assert await contents(memory, "Where does she live?", as_of=before) == []


async def paged(memory, **asked):
    pages, cursor = [], None
    while not pages or cursor is not None:
        page = await memory.recall_page(cursor, **WHO, **asked)
        cursor = page.cursor
        pages.append([(r.memory.id, r.score.total) for r in page.recollections])
    return pages


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 150), st.integers(1, 50), st.sampled_from([None, None, 0.0, 0.7]))
@example(3, 150, 5, None)  # where deeper searches rank higher what the first did not find
@example(22, 150, 5, None)
@example(29, 150, 5, None)
def test_scores_never_rise_from_page_to_page_and_all_come_once(seed, size, top_k, alpha):
    async def pages():
        dice, clock = random.Random(seed), Clock()
        memory = SemanticMemory(InMemoryMemoryStore(), HashingEmbedder(), clock=clock)
        for _ in range(size):
            content = " ".join(dice.choices(WORDS, weights=COMMONNESS, k=dice.randint(2, 9)))
            await memory.remember(**WHO, content=content, importance=dice.uniform(0, 2))
            clock.passes(minutes=dice.choice([1, 1, 1, 2, 600, 5000]))
        asked = {"query": " ".join(dice.sample(WORDS, 4)), "alpha": alpha}
        whole = await memory.recall(**WHO, **asked, top_k=50)
        return await paged(memory, **asked, top_k=top_k), {r.memory.id for r in whole}

    found, whole = asyncio.run(pages())
    told = [each for page in found for each in page]
    assert [score for _, score in told] == sorted((score for _, score in told), reverse=True)
    assert len({id_ for id_, _ in told}) == len(told) == size
    assert all(len(page) == top_k for page in found[:-1])
    assert size > 50 or {id_ for id_, _ in told} == whole


async def test_pages_of_the_newest_go_on_with_the_next_newest(memory, clock):
    told = []
    for number in range(450):
        told.insert(0, (await memory.remember(**WHO, content=f"fact {number}")).id)
        clock.passes(hours=1)
    pages = await paged(memory, query="fact 7", top_k=45, alpha=0)
    assert [id_ for page in pages for id_, _ in page] == told


async def test_the_pages_of_a_question_end_at_a_thousand(memory):
    for number in range(1060):
        await memory.remember(**WHO, content=f"fact {number}")
    assert sum(map(len, await paged(memory, query="fact", top_k=50))) == 1000


async def test_pages_go_on_while_others_write(memory, clock):
    told = {str((await memory.remember(**WHO, content=f"fact {n}")).id) for n in range(70)}
    seen, cursor = [], None
    while True:
        page = await memory.recall_page(cursor, **WHO, query="fact", top_k=30)
        seen += [str(r.memory.id) for r in page.recollections]
        if page.cursor is None:
            break
        cursor = page.cursor
        clock.passes(days=1)
        await memory.remember(**WHO, content="fact told later")
    assert len(seen) == 70
    assert set(seen) == told


async def test_a_later_page_gives_what_holds_when_it_is_asked_for(memory, clock, store):
    keeping = MemoryKeeping(InMemoryMemoryArchive(store), HashingEmbedder(), clock=clock)
    told = [
        await memory.remember(**WHO, content=f"fact {n}", expires_at=clock() + timedelta(days=n)) for n in range(1, 7)
    ]
    page = await memory.recall_page(None, **WHO, query="fact", top_k=2)
    left = [each for each in told if each.id not in {r.memory.id for r in page.recollections}]
    clock.passes(minutes=1)
    await keeping.supersede(left[-1].id, agent_id=WHO["agent_id"], content="another fact")
    clock.passes(days=3, hours=1)
    page = await memory.recall_page(page.cursor, **WHO, query="fact", top_k=6)
    assert {r.memory.id for r in page.recollections} == {m.id for m in left[:-1] if m.expires_at > clock()}


async def test_what_another_clock_has_dated_ahead_is_on_a_page_too(memory, clock, store):
    ahead = SemanticMemory(store, HashingEmbedder(), clock=lambda: clock() + timedelta(minutes=5))
    for number in range(6):
        await ahead.remember(**WHO, content=f"fact {number}")
    assert [len(page) for page in await paged(memory, query="fact", top_k=2)] == [2, 2, 2]


async def test_a_budget_is_not_promised_what_has_no_room_in_it(memory):
    for content in ("short", "long " * 100):
        await memory.remember(**WHO, content=content)
    page = await memory.recall_page(None, **WHO, query="short", max_tokens=20)
    assert [r.memory.content for r in page.recollections] == ["short"]
    assert page.cursor is None


async def test_a_budget_has_as_many_as_asked_for_at_most(memory):
    for number in range(30):
        await memory.remember(**WHO, content=f"fact {number}")
    for limits, found in (({}, 10), ({"max_tokens": 500}, 30), ({"max_tokens": 500, "top_k": 7}, 7)):
        assert len(await contents(memory, "fact", **limits)) == found


async def test_tells_a_question_from_what_is_kept(store):
    class Telling(HashingEmbedder):
        async def embed(self, texts, *, tenant="default", asked=False):
            heard.extend((text, asked) for text in texts)
            return await super().embed(texts, tenant=tenant)

    heard: list[tuple[str, bool]] = []
    memory = SemanticMemory(store, Telling())
    await memory.remember(agent_id="agent", user_id="user", content="She lives in Oslo")
    await memory.recall(agent_id="agent", user_id="user", query="Where does she live?")
    assert heard == [("She lives in Oslo", False), ("Where does she live?", True)]
