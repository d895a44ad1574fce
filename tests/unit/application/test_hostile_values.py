"""Whatever a program hands to the library, it is kept and found, or refused by the name of what is wrong."""

from datetime import datetime

import pytest

from agent_memory.adapters.in_memory.archive import InMemoryMemoryArchive
from agent_memory.adapters.in_memory.embedder import HashingEmbedder
from agent_memory.adapters.in_memory.memories import InMemoryMemoryStore
from agent_memory.application.memory_keeping import MemoryKeeping
from agent_memory.application.remembering import Remembering
from agent_memory.application.semantic_memory import SemanticMemory
from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.semantic.selection import Selection

NAIVE = datetime(2020, 1, 1)
SOME_ID = "6f1f1d9e-0000-4000-8000-000000000000"


def deep(levels: int) -> dict:
    document: dict = {}
    at = document
    for _ in range(levels):
        at["a"] = {}
        at = at["a"]
    return document


TOLD = [
    *(("content", value) for value in (None, 5, b"x", "", "\0", "\ud800", "x" * 8001)),
    *((name, value) for name in ("agent_id", "user_id") for value in (None, 7, "", "\0", "\udfff", "x" * 129)),
    *(("importance", value) for value in (float("nan"), float("inf"), -1, 3, None, "1", True, 10**400)),
    *(("metadata", value) for value in ([1], {"a": {1}}, {1: 2}, {"a": 10**5000}, {"a": float("nan")}, deep(10_000))),
    *(("metadata", value) for value in ({"\0": 1}, {"a": "\ud800"}, {"a": "x" * 20_000})),
    *(("tags", value) for value in ("home", 5, [5], [None], [[]], [""], ["x" * 65], ["\0"], list(map(str, range(51))))),
    *((name, value) for name in ("expires_at", "event_time") for value in (NAIVE, "2020-01-01", 5)),
    *(("memory_type", value) for value in (5, None, "odd")),
    *(("id", value) for value in (5, "", "x")),
    ("contents", "misspelt"),
]
ASKED = [
    *(("query", value) for value in (None, 5, "", "\0", "\ud800", "x" * 2001)),
    *(("top_k", value) for value in ("5", 0, 51, 1.5, True, None)),
    *(("alpha", value) for value in (float("nan"), "x", True, -0.1, 1.1)),
    *(("as_of", value) for value in ("2020-01-01", NAIVE)),
    *(("min_score", value) for value in (float("nan"), "x")),
    *(("max_tokens", value) for value in ("x", 0, 2.5, 10**9)),
    ("memory_type", 5),
    ("selection", None),
]


class World:
    def __init__(self) -> None:
        store, embedder = InMemoryMemoryStore(), HashingEmbedder()
        archive = InMemoryMemoryArchive(store)
        self.memory = SemanticMemory(store, embedder)
        self.keeping = MemoryKeeping(archive, embedder)
        self.remembering = Remembering(store, archive, embedder)


@pytest.fixture
def world():
    return World()


def case(value) -> str:
    return repr(value)[:24] if not isinstance(value, dict) else "document"


@pytest.mark.parametrize(("field", "value"), TOLD, ids=case)
async def test_what_cannot_be_kept_is_named(world, field, value):
    told = {"agent_id": "a", "user_id": "u", "content": "c", field: value}
    with pytest.raises(InvalidInput) as refusal:
        await world.memory.remember(**told)
    assert refusal.value.field == field
    whose = {name: told.pop(name) for name in ("agent_id", "user_id")}
    with pytest.raises(InvalidInput) as refusal:
        await world.remembering.remember(told, **whose)
    assert refusal.value.field == field


@pytest.mark.parametrize(("field", "value"), ASKED, ids=case)
async def test_what_cannot_be_asked_is_named(world, field, value):
    with pytest.raises(InvalidInput) as refusal:
        await world.memory.recall(**{"agent_id": "a", "user_id": "u", "query": "q", field: value})
    assert refusal.value.field == field


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda w: w.memory.forget(5, agent_id="a"), "memory_id"),
        (lambda w: w.memory.forget(SOME_ID, agent_id="\0"), "agent_id"),
        (lambda w: w.memory.forget(SOME_ID, agent_id="a", version="x"), "version"),
        (lambda w: w.memory.forget(SOME_ID, agent_id="a", version=[1, None]), "version"),
        (lambda w: w.keeping.revise(SOME_ID, agent_id="a", version=True, content="x"), "version"),
        (lambda w: w.keeping.supersede(SOME_ID, agent_id="a", version=1.5, content="x"), "version"),
        (lambda w: w.keeping.get(None, agent_id="a"), "memory_id"),
        (lambda w: w.keeping.get(SOME_ID, agent_id="\0"), "agent_id"),
        (lambda w: w.keeping.get(SOME_ID, agent_id="a", user_id="\ud800"), "user_id"),
        (lambda w: w.keeping.revise(SOME_ID, agent_id="\0", content="x"), "agent_id"),
        (lambda w: w.keeping.supersede(SOME_ID, agent_id="\0", content="x"), "agent_id"),
        (lambda w: w.keeping.history(SOME_ID, agent_id="\ud800"), "agent_id"),
        (lambda w: w.keeping.erase_user(5), "user_id"),
        (lambda w: w.keeping.list(agent_id="a", user_id="u", limit="x"), "limit"),
        (lambda w: w.keeping.list(agent_id="a", user_id="u", selection=None), "selection"),
        (lambda w: w.keeping.values(("a",), agent_id="a", user_id="u", selection={}), "selection"),
        (lambda w: w.keeping.forget_selected(agent_id="a", user_id="u", selection=None), "selection"),
        (lambda w: w.keeping.list(agent_id="a", user_id="u", cursor=5), "cursor"),
        (lambda w: w.memory.recall_page(5, agent_id="a", user_id="u", query="q"), "cursor"),
    ],
)
async def test_what_cannot_be_meant_is_named(world, call, field):
    with pytest.raises(InvalidInput) as refusal:
        await call(world)
    assert refusal.value.field == field


@pytest.mark.parametrize(
    ("field", "value"),
    [("tags", "abc"), ("tags", frozenset([5])), ("since", "x"), ("until", NAIVE), ("memory_type", "odd")],
)
def test_what_cannot_be_selected_is_named(field, value):
    with pytest.raises(InvalidInput) as refusal:
        Selection(**{field: value})
    assert refusal.value.field == field
