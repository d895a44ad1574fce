import asyncio
import json
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from agent_memory.adapters.in_memory.archive import InMemoryMemoryArchive
from agent_memory.adapters.in_memory.embedder import HashingEmbedder
from agent_memory.adapters.in_memory.memories import InMemoryMemoryStore
from agent_memory.domain.errors import InvalidInput, NotFound, Unavailable
from agent_memory.entrypoints import other_loop
from agent_memory.entrypoints.blocking import BlockingMemory

WHO = {"agent_id": "agent", "user_id": "user"}


class Waiting(HashingEmbedder):
    """Waits in `pause` before each text, and tells of what was cancelled meanwhile."""

    def __init__(self, pause) -> None:
        super().__init__()
        self.pause = pause
        self.cancelled = 0

    async def embed(self, texts, *, tenant="default"):
        try:
            await self.pause()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return await super().embed(texts, tenant=tenant)


async def for_ever():
    await asyncio.Event().wait()


async def for_ever_whoever_cancels():
    while True:
        try:
            await for_ever()
        except asyncio.CancelledError:
            continue


async def so_that_nothing_else_goes_on():
    time.sleep(0.2)  # noqa: ASYNC251


async def until_interrupted():
    await asyncio.sleep(0.1)
    os.kill(os.getpid(), signal.SIGINT)
    await for_ever()


def blocking(embedder=None):
    return BlockingMemory(memory_store=InMemoryMemoryStore(), embedder=embedder or HashingEmbedder())


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


@pytest.mark.parametrize("pause", [for_ever, so_that_nothing_else_goes_on, for_ever_whoever_cancels])
def test_calls_that_run_when_it_is_left_are_told(pause, monkeypatch):
    monkeypatch.setattr(other_loop, "_PATIENCE", 0.2)
    ends = []

    def call(number):
        try:
            while True:
                memory.remember(**WHO, content=f"fact {number}")
        except (RuntimeError, Unavailable) as error:
            ends.append(str(error))

    threads = [threading.Thread(target=call, args=[number], daemon=True) for number in range(8)]
    with blocking(Waiting(pause)) as memory:
        memory.loop.set_exception_handler(lambda *_: None)  # what nobody can end is told when it is thrown away
        for thread in threads:
            thread.start()
        time.sleep(0.1)
    for thread in threads:
        thread.join(10)
    assert len(ends) == 8
    assert all("the memory is closed" in end or "between entering" in end for end in ends)


def test_what_else_runs_on_its_loop_is_ended():
    with blocking() as memory:
        call = asyncio.run_coroutine_threadsafe(for_ever(), memory.loop)
    assert call.cancelled()


@pytest.fixture
def interrupts():
    """A process that was begun in the background of a shell hears of none."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interrupts")
def test_an_interrupt_ends_the_call(caplog):
    embedder = Waiting(until_interrupted)
    with blocking(embedder) as memory:
        with pytest.raises(KeyboardInterrupt):
            memory.remember(**WHO, content="a fact")
        assert memory.count(**WHO) == 0
        assert embedder.cancelled == 1
    with pytest.raises(KeyboardInterrupt), blocking(embedder) as memory:
        memory.remember(**WHO, content="a fact")
    assert embedder.cancelled == 2
    assert not caplog.records


def test_what_it_runs_itself_may_not_wait_for_it():
    async def ask_again():
        memory.count(**WHO)

    with blocking(Waiting(ask_again)) as memory, pytest.raises(RuntimeError, match="would wait for itself"):
        memory.remember(**WHO, content="a fact")


def test_it_may_be_entered_again_once_it_was_left():
    memory = blocking()
    for known in range(3):
        with memory as entered:
            assert entered.count(**WHO) == known
            entered.remember(**WHO, content=f"fact {known}")
            with pytest.raises(RuntimeError, match="is open already"), memory:
                pass
        assert not memory_threads()
    with pytest.raises(RuntimeError, match="between entering"):
        _ = memory.loop


def memory_threads():
    return [thread for thread in threading.enumerate() if thread.name == "agent-memory"]


def test_files_come_in():
    store = InMemoryMemoryStore()
    with BlockingMemory(
        memory_store=store, memory_archive=InMemoryMemoryArchive(store), embedder=HashingEmbedder()
    ) as memory:
        assert memory.load_mem0(['[{"memory": "She lives in Oslo"}, {}]'], **WHO).refused == [(2, "memory: is missing")]
        relation = '{"type": "relation", "from": "Ada", "relationType": "knows", "to": "Bob"}'
        assert memory.load_mcp([relation], **WHO).kept == 1
        line = {"id": str(uuid4()), "content": "She sings", "created_at": "2026-01-01T00:00:00Z"} | WHO
        assert memory.load([json.dumps(line)]).kept == 1
        assert memory.count(**WHO) == 3
        assert memory.load_mem0(f'[{{"memory": "one of {memory.count(**WHO)}"}}]' for _ in range(1)).kept == 1


def test_files_come_in_only_where_there_is_an_archive():
    with blocking() as memory, pytest.raises(Unavailable, match="memory archive"):
        memory.load_mem0([])
