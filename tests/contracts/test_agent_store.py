"""What every AgentStore promises, on each of them."""

from datetime import UTC, datetime, timedelta

import pytest

from agent_memory.adapters.disk.agents import DiskAgentStore
from agent_memory.adapters.disk.sealing import Sealed
from agent_memory.adapters.in_memory.agents import InMemoryAgentStore
from agent_memory.domain.kv.agents import Agent, AgentName
from agent_memory.domain.kv.block import BlockHash

NOW = datetime(2026, 11, 20, 12, 30, 0, 250_000, tzinfo=UTC)


@pytest.fixture(params=["in_memory", "disk", "sealed"])
def store(request, tmp_path):
    envelope = Sealed(bytes(32)) if request.param == "sealed" else None
    store = InMemoryAgentStore() if request.param == "in_memory" else DiskAgentStore(tmp_path, envelope)
    yield store
    store.close()


def agent(agent_id="ada", tenant="t", **more):
    return Agent(AgentName(tenant, agent_id), NOW, NOW + timedelta(hours=1), **more)


def full(**more):
    blocks = (BlockHash("ab" * 32), BlockHash("01" * 32))
    counts = {"tokens": 300, "turns": 3, "hits": 2, "prompt_tokens": 900, "cached_tokens": 500, "generated_tokens": 60}
    return agent(blocks=blocks, pinned=True, ttl=timedelta(seconds=90.5), forked_from="eve", **(counts | more))


def test_what_was_put_is_loaded_whole(store):
    store.put(full())
    store.put(agent("bob"))
    assert {each.name.id: each for each in store.load()} == {"ada": full(), "bob": agent("bob")}


def test_the_last_put_counts(store):
    store.put(agent())
    store.put(full())
    assert list(store.load()) == [full()]


def test_delete_may_be_repeated(store):
    store.put(agent())
    store.delete(agent().name)
    store.delete(agent().name)
    assert list(store.load()) == []


STRANGE = ["a/b/../c", ".", "..", "'; DROP TABLE agents; --", "\x00\n", "é", "e\u0301", "東京 🗼"]
NAMES = [*STRANGE, "ada@example.org", "Ada", "ada", "x" * 256]


def test_every_name_is_itself(store):
    for name in NAMES:
        store.put(agent(name))
        store.put(agent(name, tenant="other"))
    store.delete(AgentName("t", "Ada"))
    left = sorted((each.name.tenant, each.name.id) for each in store.load())
    assert left == sorted([("t", name) for name in NAMES if name != "Ada"] + [("other", name) for name in NAMES])
