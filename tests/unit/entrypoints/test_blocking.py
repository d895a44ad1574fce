from concurrent.futures import ThreadPoolExecutor

import pytest

from agent_memory.adapters.in_memory.embedder import HashingEmbedder
from agent_memory.adapters.in_memory.memories import InMemoryMemoryStore
from agent_memory.domain.errors import InvalidInput, NotFound
from agent_memory.entrypoints.blocking import BlockingMemory

WHO = {"agent_id": "agent", "user_id": "user"}


def blocking():
    return BlockingMemory(memory_store=InMemoryMemoryStore(), embedder=HashingEmbedder())


def test_the_same_verbs_wait():
    with blocking() as memory:
        kept = memory.remember(**WHO, content="She lives in Oslo", tags=["home"])
        assert [r.memory for r in memory.recall(**WHO, query="Where does she live?")] == [kept]
        assert memory.count(**WHO) == 1
        memory.forget(kept.id, agent_id="agent")
        with pytest.raises(NotFound):
            memory.forget(kept.id, agent_id="agent")
        with pytest.raises(InvalidInput):
            memory.remember(**WHO, content="")


def test_many_threads_may_call():
    with blocking() as memory, ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: memory.remember(**WHO, content=f"fact {n}"), range(50)))
        assert memory.count(**WHO) == 50


def test_it_works_while_it_is_open():
    memory = blocking()
    with pytest.raises(RuntimeError, match="between entering"):
        memory.count(**WHO)
    with memory:
        assert memory.count(**WHO) == 0
    with pytest.raises(RuntimeError):
        memory.count(**WHO)


def test_a_part_that_is_none_is_refused():
    with pytest.raises(TypeError, match="memroy_store"), BlockingMemory(memroy_store=InMemoryMemoryStore()):
        pass
