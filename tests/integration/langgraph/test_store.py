"""LangGraph's store interface, held against LangGraph's own in-memory store."""

import asyncio
import json
import random
from datetime import UTC, datetime, timedelta

import pytest

pytest.importorskip("langgraph.store.base", reason="an optional extra")

from langgraph.store.base import GetOp, InvalidNamespaceError, PutOp, SearchOp
from langgraph.store.memory import InMemoryStore
from spools import entries_of

from agent_memory.adapters.in_memory.archive import InMemoryMemoryArchive
from agent_memory.adapters.in_memory.embedder import HashingEmbedder
from agent_memory.adapters.in_memory.memories import InMemoryMemoryStore
from agent_memory.bootstrap import bootstrap
from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.semantic.memory import Scope
from agent_memory.entrypoints.langgraph import items
from agent_memory.entrypoints.langgraph.store import AgentMemoryStore
from agent_memory.settings import Settings

ADA, BOB = ("users", "ada"), ("users", "bob")


def parts():
    store = InMemoryMemoryStore()
    return {
        "memory_store": store,
        "memory_archive": InMemoryMemoryArchive(store),
        "embedder": HashingEmbedder(),
        "conversation": None,
    }


@pytest.fixture(params=["in_memory", pytest.param("postgres", marks=pytest.mark.integration)])
async def store(request, tmp_path):
    given = parts() if request.param == "in_memory" else {"embedder": HashingEmbedder(), "conversation": None}
    async with bootstrap(Settings(data_dir=str(tmp_path)), **given) as application:
        store = AgentMemoryStore(application)
        store.application = application
        yield store


async def test_an_item_comes_back_as_it_was_put(store):
    before = datetime.now(UTC)
    await store.aput(ADA, "home", {"text": "Ada lives in Lisbon", "deep": {"list": [1, None, True]}})
    item = await store.aget(ADA, "home")
    assert (item.namespace, item.key) == (ADA, "home")
    assert item.value == {"text": "Ada lives in Lisbon", "deep": {"list": [1, None, True]}}
    assert before <= item.created_at <= item.updated_at <= datetime.now(UTC) + timedelta(seconds=1)
    assert await store.aget(BOB, "home") is None
    assert await store.aget(ADA, "other") is None


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"text": "x" * 16_300}, "must have at most 16384 characters, its namespace and key included"),
        ({"text": "x" * 16_385}, "must have at most 16384 characters"),
        ({"text": "a\0"}, "has a NUL character at position 1"),
        ({"n": float("nan")}, "has a number that is none: nan"),
    ],
)
async def test_a_value_that_cannot_be_kept_says_why_and_nothing_is_put(store, value, says):
    await store.aput(ADA, "fits", {"text": "x" * 16_000})
    assert await store.aget(ADA, "fits") is not None
    with pytest.raises(InvalidInput, match=f"^value: of item 'long' {says}$"):
        await store.abatch([PutOp(ADA, "other", {"text": "y"}), PutOp(ADA, "long", value)])
    assert await store.aget(ADA, "other") is None


@pytest.mark.parametrize(("namespace", "key"), [(ADA, "a\ud800"), (("users", "a\ud800"), "home")])
async def test_a_name_that_cannot_be_kept_says_so(store, namespace, key):
    with pytest.raises(InvalidInput, match=r"^namespace and key: has a lone surrogate at position 1$"):
        await store.aput(namespace, key, {"text": "x"})


async def test_of_a_long_text_the_first_8000_characters_are_searched(store):
    text = "boat " * 1_600 + "cello"
    await store.aput(ADA, "long", {"text": text})
    memory = await store._keeping.get(items.memory_id(store_scope(store), ADA, "long"), agent_id="langgraph")
    assert memory.content == str({"text": text})[:8000].replace("'", '"')
    assert (await store.aget(ADA, "long")).value == {"text": text}


async def test_an_item_put_again_is_replaced(store):
    await store.aput(ADA, "home", {"text": "Lisbon"})
    first = await store.aget(ADA, "home")
    await store.aput(ADA, "home", {"text": "Lima"})
    again = await store.aget(ADA, "home")
    assert again.value == {"text": "Lima"}
    assert again.created_at == first.created_at < again.updated_at
    assert len(await store.asearch(ADA)) == 1


async def test_an_item_is_deleted_once_or_twice(store):
    await store.aput(ADA, "home", {"text": "Lisbon"})
    await store.adelete(ADA, "home")
    await store.adelete(ADA, "home")
    assert await store.aget(ADA, "home") is None


async def test_search_finds_by_meaning_under_a_prefix(store):
    await store.aput(ADA, "home", {"text": "Ada lives in Lisbon"})
    await store.aput(ADA, "food", {"text": "Ada likes green tea"})
    await store.aput(BOB, "food", {"text": "Bob likes black tea"})
    found = await store.asearch(ADA, query="Which tea does she like?")
    assert [item.key for item in found] == ["food", "home"]
    assert found[0].score > found[1].score
    assert {item.namespace for item in await store.asearch(("users",), query="tea", limit=2)} == {ADA, BOB}


@pytest.mark.parametrize(
    "query",
    [
        "Which tea does she like? " * 400,
        "tea" + "\0\ud800" * 3000,
        "tea " + "x" * 9000,
        "tea" * 3000,
        "te\0a",
        "tea\ud800",
    ],
)
async def test_any_text_may_be_asked(store, query):
    await store.aput(ADA, "food", {"text": "Ada likes green tea"})
    await store.aput(ADA, "home", {"text": "Ada lives in Lisbon"})
    assert {item.key for item in await store.asearch(ADA, query=query)} == {"food", "home"}
    assert len(await store.asearch(ADA, query="\0\ud800")) == 2


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        (None, None), ("", ""), ("tea\0\ud800", "tea"), ("x" * 2000, "x" * 2000), ("x" * 2001, "x" * 2000),
        ("word " * 400 + "more", ("word " * 400)[:-1]), ("words " * 400, ("words " * 333)[:-1]),
        ("short " + "x" * 3000, "short " + "x" * 1994), ("x" * 1950 + "\n" + "y" * 99, "x" * 1950),
    ],
)  # fmt: skip
def test_a_query_is_cut_at_the_end_of_a_word(query, asked):
    assert items.askable(query) == asked


async def test_what_is_no_operation_is_refused_and_nothing_is_put(store):
    for each in (store, InMemoryStore()):
        with pytest.raises(ValueError, match="Unknown operation type"):
            await each.abatch([PutOp(ADA, "home", {"text": "x"}), "nonsense"])
    assert await store.asearch(ADA) == []


async def test_without_a_query_what_was_put_last_comes_first(store):
    for key in ("old", "home", "food"):
        await store.aput(ADA, key, {"text": key})
    await store.aput(ADA, "old", {"text": "new"})
    assert [item.key for item in await store.asearch(ADA)] == ["old", "food", "home"]
    assert [item.key for item in await store.asearch(ADA, limit=1)] == ["old"]
    await store.abatch(
        [PutOp(ADA, "home", {"text": "again"}), PutOp(ADA, "one", {"n": 1}), PutOp(ADA, "two", {"n": 2})]
    )
    assert [item.key for item in await store.asearch(ADA)] == ["home", "two", "one", "old", "food"]
    await store.abatch([PutOp(ADA, "one", None), PutOp(ADA, "two", None)])
    assert [item.key for item in await store.asearch(ADA, limit=2, offset=1)] == ["old", "food"]


async def test_an_item_put_where_one_has_expired_begins_anew(store):
    await store.aput(ADA, "home", {"text": "Lisbon"}, ttl=1)
    before, later = await store.aget(ADA, "home"), datetime.now(UTC) + timedelta(minutes=5)
    name = items.memory_id(store_scope(store), ADA, "home")
    kept = await store._keeping.get(name, agent_id="langgraph")
    ended = kept.created_at - timedelta(days=1)
    await store._keeping.revise(name, agent_id="langgraph", expires_at=ended)
    assert await store.aget(ADA, "home") is None
    await store.aput(ADA, "home", {"text": "Lima"})
    item = await store.aget(ADA, "home")
    assert (item.value, item.created_at > before.created_at) == ({"text": "Lima"}, True)
    assert later > item.updated_at >= item.created_at - timedelta(seconds=1)
    assert (await store._keeping.get(name, agent_id="langgraph")).version == 1


async def test_what_is_not_to_be_searched_is_not(store):
    await store.aput(ADA, "secret", {"text": "tea"}, index=False)
    await store.aput(ADA, "part", {"text": "tea", "title": "cake"}, index=["title"])
    assert [item.key for item in await store.asearch(ADA, query="tea cake")] == ["part"]
    assert len(await store.asearch(ADA)) == 2


@pytest.mark.parametrize(
    ("condition", "keys"),
    [
        ({"kind": "a"}, {"0", "2"}),
        ({"n": {"$gt": 0, "$lte": 2}}, {"1", "2"}),
        ({"n": {"$ne": 1}}, {"0", "2"}),
        ({"kind": {"$eq": "b"}}, {"1"}),
        ({"deep": {"n": 1}}, {"1"}),
        ({"deep": {"n": {"$gte": 1}}}, {"1", "2"}),
        ({"kind": "a", "n": 2}, {"2"}),
        ({"nothing": 1}, set()),
    ],
)
async def test_filters_mean_what_langgraph_means(store, condition, keys):
    own = InMemoryStore()
    for number in range(3):
        value = {"kind": "ab"[number % 2], "n": number, "deep": {"n": number}}
        await store.aput(ADA, str(number), value)
        await own.aput(ADA, str(number), value)
    assert {item.key for item in await store.asearch(ADA, filter=condition)} == keys
    assert {item.key for item in await own.asearch(ADA, filter=condition)} == keys


ABSENT = object()
HELD = [
    *(ABSENT, None, True, False, 0, 2, 2.5, -1, "", "a", "b", {}, [], [1], [1, 2], [None], [[1]], [{}], [{"y": 1}]),
    *({"y": None}, {"y": 1}, {"y": 1, "z": 2}, {"y": {}}, {"y": {"z": None}}, {"y": {"z": 2}}, {"y": [1, 2]}),
    *([{"y": 1, "z": 2}], [{"y": 1}, 2], {"0": 1}, {"0": {"y": 1}}, {"1": 2, "0": 1}, {"": 1}, {"a.b": 1}),
]
ASKED = [
    *(None, True, 2, 2.5, "", "a", {}, [], [1], [1, 2], (1, 2), [None], [[1]], [{}], [{"y": 1}], [{"y": None}]),
    *({"y": None}, {"y": 1}, {"y": {}}, {"y": {"z": None}}, {"y": {"z": {"$ne": 2}}}, {"y": {"$ne": None}}),
    *({"y": {"$eq": None}}, {"y": {"$gt": 0}}, {"y": {"z": {"$lt": 3, "$gte": 2}}}, {"y": [1, 2]}, {"0": 1}),
    *({"0": {"y": 1}}, {"": 1}, {"a.b": 1}, [{"y": {"$gte": 1}}, 2], [{"$lt": 2}], [{"$ne": None}, {}], {"-1": 2}),
    *({f"${name}": each} for name in ("eq", "ne") for each in (None, True, 2, "a", {}, {"y": 1}, [], [1], [{"y": 1}])),
    *({f"${name}": each} for name in ("lt", "lte", "gt", "gte") for each in (-0.5, 2, 2.5)),
    *({"$ne": None, "$gt": 2}, {"$eq": None, "$ne": 1}, {"$ne": None, "$eq": {"y": None}}),
]


async def test_any_filter_finds_what_langgraphs_own_store_finds(store):
    own, values = InMemoryStore(), [{} if value is ABSENT else {"x": value} for value in HELD]
    for each in (store, own):
        await each.abatch([PutOp(("all", str(number)), "k", value) for number, value in enumerate(values)])
    for asked in ASKED:
        found = await store.asearch(("all",), filter={"x": asked}, limit=100)
        expected = [value for number, value in enumerate(values) if await finds(own, number, asked)]
        assert written(item.value for item in found) == written(expected), asked


async def finds(own, number, asked):
    """Where its own store compares what cannot be compared it breaks, and so it does for a number and true."""
    ordering = isinstance(asked, dict) and {"$lt", "$lte", "$gt", "$gte"} & asked.keys()
    if ordering and isinstance(HELD[number], bool):
        return False
    try:
        return bool(await own.asearch(("all", str(number)), filter={"x": asked}))
    except (TypeError, ValueError):
        return False


def written(values):
    return sorted(json.dumps(value, sort_keys=True) for value in values)


async def test_texts_are_in_the_order_of_texts_and_true_is_not_one(store):
    """Its own store reads texts as numbers here and breaks over the others; 1 and true are the same to Python only."""
    for key, value in {"early": "2024-01-31", "late": "2025-01-01", "one": 1, "true": True}.items():
        await store.aput(ADA, key, {"x": value})
    for asked, keys in [({"$gt": "2024-12"}, {"late"}), (1, {"one"}), ({"$gte": 1}, {"one"}), (True, {"true"})]:
        assert {item.key for item in await store.asearch(ADA, filter={"x": asked})} == keys


@pytest.mark.parametrize(
    "condition",
    [
        {"x": {"$in": [1]}},
        {"x": {"$gt": 1, "y": 2}},
        {"x": {"$gt": None}},
        {"x": float("nan")},
        {"x": "a\0"},
        {"x": {1}},
    ],
)
async def test_what_is_no_filter_is_refused(store, condition):
    with pytest.raises(InvalidInput, match="filter: "):
        await store.asearch(ADA, filter=condition)


async def test_pages_of_a_search(store):
    for number in range(70):
        await store.aput(ADA, f"{number:02}", {"text": f"fact {number}"})
    for query in (None, "fact"):
        pages = [await store.asearch(ADA, query=query, limit=30, offset=offset) for offset in (0, 30, 60)]
        assert [len(page) for page in pages] == [30, 30, 10]
        assert {item.key for page in pages for item in page} == {f"{number:02}" for number in range(70)}


async def test_an_item_ends_and_reading_it_puts_that_off(store, monkeypatch):
    await store.aput(ADA, "short", {"text": "x"}, ttl=10)
    await store.aput(ADA, "long", {"text": "y"})
    moment = datetime.now(UTC)
    memory = await store._keeping.get(items.memory_id(store_scope(store), ADA, "short"), agent_id="langgraph")
    assert memory.expires_at - moment == pytest.approx(timedelta(minutes=10), abs=timedelta(seconds=5))
    assert items.renewed_end(memory, moment) is None
    assert items.renewed_end(memory, moment + timedelta(minutes=5)) == moment + timedelta(minutes=15)
    monkeypatch.setattr("agent_memory.entrypoints.langgraph.store._now", lambda: moment + timedelta(minutes=5))
    assert await store.aget(ADA, "short", refresh_ttl=False) is not None
    assert await store.aget(ADA, "short", refresh_ttl=True) is not None
    memory = await store._keeping.get(memory.id, agent_id="langgraph")
    assert memory.expires_at == moment + timedelta(minutes=15)
    monkeypatch.setattr("agent_memory.entrypoints.langgraph.store._now", lambda: moment + timedelta(minutes=16))
    assert await store.aget(ADA, "short") is None
    assert await store.aget(ADA, "long") is not None


async def test_reading_an_item_does_not_update_it_and_changing_it_through_another_door_does(store, monkeypatch):
    await store.aput(ADA, "home", {"text": "Lisbon"}, ttl=10)
    put = (await store.aget(ADA, "home", refresh_ttl=False)).updated_at
    for minutes in (5, 10):
        moment = datetime.now(UTC) + timedelta(minutes=minutes)
        monkeypatch.setattr("agent_memory.entrypoints.langgraph.store._now", lambda moment=moment: moment)
        await store.aget(ADA, "home", refresh_ttl=True)
    name = items.memory_id(store_scope(store), ADA, "home")
    memory = await store._keeping.get(name, agent_id="langgraph")
    assert len(await store._keeping.history(name, agent_id="langgraph")) == memory.version == 1
    assert (await store.aget(ADA, "home", refresh_ttl=False)).updated_at == put
    of_before = {**memory.metadata, "renewed": 2}  # when a later end was a version
    memory = await store._keeping.revise(name, agent_id="langgraph", metadata=of_before)
    assert (await store.aget(ADA, "home", refresh_ttl=False)).updated_at == put
    value = {**memory.metadata, "value": {"text": "Lima"}}
    changed = await store._keeping.revise(name, agent_id="langgraph", metadata=value)
    item = await store.aget(ADA, "home", refresh_ttl=False)
    assert (item.value, item.updated_at) == ({"text": "Lima"}, changed.updated_at)
    assert put < item.updated_at


async def test_the_end_of_an_item_that_has_no_room_for_more_is_put_off_too(store, monkeypatch):
    value = {"text": "x" * 16_180}
    await store.aput(ADA, "home", value, ttl=10)
    name = items.memory_id(store_scope(store), ADA, "home")
    memory = await store._keeping.get(name, agent_id="langgraph")
    room = 16_384 - len(json.dumps(memory.metadata, separators=(",", ":")))
    full = {**memory.metadata, "value": {"text": "x" * (16_180 + room)}}
    await store._keeping.revise(name, agent_id="langgraph", metadata=full)
    moment = datetime.now(UTC) + timedelta(minutes=5)
    monkeypatch.setattr("agent_memory.entrypoints.langgraph.store._now", lambda: moment)
    assert await store.aget(ADA, "home", refresh_ttl=True) is not None
    assert (await store._keeping.get(name, agent_id="langgraph")).expires_at == moment + timedelta(minutes=10)


def store_scope(store):
    return Scope(**store._whose)


async def test_many_who_put_one_item_leave_one(store):
    await asyncio.gather(*(store.aput(ADA, "home", {"text": str(number)}) for number in range(8)))
    assert len(await store.asearch(ADA)) == 1


async def test_many_who_put_one_item_again_and_again_all_succeed(store):
    """Of one store the last that was put stays; of two, which may be in two processes, one of theirs."""
    await asyncio.gather(*(store.aput(ADA, "home", {"n": number}) for number in range(160)))
    assert (await store.aget(ADA, "home")).value == {"n": 159}
    other = AgentMemoryStore(store.application)
    values = [{"n": number} for number in range(80)]
    await asyncio.gather(*(each.aput(ADA, "home", value) for each in (store, other) for value in values))
    assert (await store.aget(ADA, "home")).value == {"n": 79}


async def test_an_item_may_be_deleted_while_it_is_put(store):
    for _ in range(20):
        await asyncio.gather(store.aput(ADA, "home", {"n": 1}), store.adelete(ADA, "home"))
    await store.aput(ADA, "home", {"n": 2})
    assert (await store.aget(ADA, "home")).value == {"n": 2}


async def test_a_batch_puts_new_and_known_items_and_reads_their_texts_together(store, monkeypatch):
    await store.aput(ADA, "1", {"text": "known"})
    await store.aput(ADA, "gone", {"text": "gone"})
    calls, embed = [], HashingEmbedder.embed

    async def counted(self, texts, **options):
        calls.append(len(texts))
        return await embed(self, texts, **options)

    monkeypatch.setattr(HashingEmbedder, "embed", counted)
    puts = [PutOp(ADA, str(number), {"text": f"fact {number}"}) for number in range(300)]
    await store.abatch([*puts, PutOp(ADA, "gone", None)])
    assert calls[0] == 300
    assert len(calls) <= 2
    found = await store.asearch(ADA, limit=400)
    assert {item.key: item.value["text"] for item in found} == {str(n): f"fact {n}" for n in range(300)}


async def test_a_search_for_nothing_finds_nothing(store):
    await store.aput(ADA, "home", {"text": "tea"})
    own = InMemoryStore()
    await own.aput(ADA, "home", {"text": "tea"})
    for each in (store, own):
        assert await each.asearch(ADA, limit=0) == []
        assert await each.asearch(ADA, query="tea", limit=0) == []
        assert await each.alist_namespaces(limit=0) == []


@pytest.mark.parametrize("ttl", [1e12, 1e300, float("inf"), float("nan"), "long"])
async def test_an_end_that_no_calendar_has_is_refused_and_nothing_is_put(store, ttl):
    with pytest.raises(InvalidInput, match="ttl: must"):
        await store.abatch([PutOp(ADA, "other", {"text": "y"}), PutOp(ADA, "home", {"text": "x"}, ttl=ttl)])
    assert await store.asearch(ADA) == []


async def test_an_end_that_cannot_be_put_off_stays(store, monkeypatch):
    await store.aput(ADA, "home", {"text": "x"}, ttl=(datetime(9999, 1, 1) - datetime.now()).days * 1440)
    monkeypatch.setattr("agent_memory.entrypoints.langgraph.store._now", lambda: datetime(9000, 1, 1, tzinfo=UTC))
    assert await store.aget(ADA, "home") is not None


async def test_a_batch_reads_before_it_writes(store):
    await store.aput(ADA, "a", {"n": 1})
    results = await store.abatch([PutOp(ADA, "a", {"n": 2}), GetOp(ADA, "a"), PutOp(ADA, "a", {"n": 3}), SearchOp(ADA)])
    assert (results[0], results[1].value, results[2]) == (None, {"n": 1}, None)
    assert (await store.aget(ADA, "a")).value == {"n": 3}


async def test_refuses_what_langgraph_refuses(store):
    for namespace in ((), ("a.b",), ("langgraph", "x")):
        with pytest.raises(InvalidNamespaceError):
            await store.aput(namespace, "k", {"a": 1})
    with pytest.raises(InvalidNamespaceError):
        await store.abatch([GetOp(("",), "k")])


@pytest.mark.parametrize("seed", range(6))
async def test_lives_as_langgraphs_own_store(store, seed):
    """The same random puts and deletes: gets, namespaces and what lies under each prefix agree."""
    dice, own = random.Random(seed), InMemoryStore()
    namespaces = [tuple(dice.choices("abc", k=dice.randint(1, 3))) for _ in range(5)]
    for _ in range(60):
        namespace, key = dice.choice(namespaces), dice.choice(["k1", "k2"])
        value = None if dice.random() < 0.2 else {"n": dice.randint(0, 3), "text": dice.choice(["tea", "boat"])}
        for each in (store, own):
            await each.abatch([PutOp(namespace, key, value)])
    for namespace in namespaces:
        for key in ("k1", "k2"):
            one, other = await store.aget(namespace, key), await own.aget(namespace, key)
            assert (one and one.value) == (other and other.value)
        for prefix in (namespace, namespace[:1]):
            found = [{(i.namespace, i.key) for i in await each.asearch(prefix, limit=100)} for each in (store, own)]
            assert found[0] == found[1]
    held = {item.namespace for item in await own.asearch((), limit=1000)}
    for options in ({}, {"max_depth": 1}, {"prefix": ("a",)}, {"suffix": ("*", "b")}, {"limit": 2, "offset": 1}):
        told = await store.alist_namespaces(**options)
        # LangGraph's own goes on to name a namespace whose items are all deleted.
        expected = await own.alist_namespaces(**options | {"limit": 100, "offset": 0})
        expected = [n for n in expected if any(h[: len(n)] == n for h in held if "max_depth" in options or h == n)]
        offset = options.get("offset", 0)
        assert told == expected[offset : offset + options.get("limit", 100)]


async def test_namespaces_are_found_without_their_items(store, monkeypatch):
    puts = [PutOp((f"u{number % 20}", "mem"), str(number), {"n": number}) for number in range(400)]
    await store.abatch([*puts, PutOp(("u1", "other"), "x", {"n": 1})])
    monkeypatch.setattr(type(store._keeping), "list", None)
    assert len(await store.alist_namespaces()) == 21
    assert await store.alist_namespaces(prefix=("u1",)) == [("u1", "mem"), ("u1", "other")]
    assert await store.alist_namespaces(prefix=("*", "other")) == [("u1", "other")]
    assert await store.alist_namespaces(suffix=("other",)) == [("u1", "other")]


def test_without_an_event_loop_the_verbs_block(tmp_path):
    with AgentMemoryStore.blocking(Settings(data_dir=str(tmp_path)), **parts()) as store:
        store.put(ADA, "home", {"text": "Ada lives in Lisbon"})
        assert store.get(ADA, "home").value == {"text": "Ada lives in Lisbon"}
        assert [item.key for item in store.search(("users",), query="Lisbon")] == ["home"]
        assert store.list_namespaces() == [ADA]
        store.delete(ADA, "home")
        assert store.search(ADA) == []
        asyncio.run(store.aput(BOB, "home", {"text": "from another loop"}))
        assert asyncio.run(store.aget(BOB, "home")).key == "home"


def test_the_blocking_store_takes_what_the_other_takes(tmp_path):
    settings, shared = Settings(data_dir=str(tmp_path)), parts()
    given = {"agent_id": "other", "user_id": "who", "fields": ["title"], "ttl": {"default_ttl": 5}}
    with AgentMemoryStore.blocking(settings, **given, **shared) as store:
        store.put(ADA, "home", {"title": "tea", "text": "boat"})
    [(memory, _)] = asyncio.run(entries_of(shared["memory_archive"], Scope("other", "who")))
    assert (memory.content, memory.expires_at - memory.created_at) == (
        "tea",
        pytest.approx(timedelta(minutes=5), abs=timedelta(seconds=5)),
    )


def test_the_blocking_store_refuses_what_nobody_takes(tmp_path):
    with (
        pytest.raises(TypeError, match="no part is called index"),
        AgentMemoryStore.blocking(Settings(data_dir=str(tmp_path)), index={"fields": ["text"]}, **parts()),
    ):
        pass


async def test_blocking_its_own_loop_is_refused(store):
    with pytest.raises(RuntimeError, match="await"):
        store.get(ADA, "home")
