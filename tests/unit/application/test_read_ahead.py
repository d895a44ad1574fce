"""ReadAhead: what is wanted lies ready, within its budget, and what was dropped does not come back."""

import threading

import pytest

from agent_memory.adapters.in_memory.blocks import InMemoryBlockStore
from agent_memory.adapters.in_memory.runtime import ToyRuntime
from agent_memory.application.engine import Engine
from agent_memory.application.read_ahead import ReadAhead
from agent_memory.application.tiered_blocks import TieredBlocks
from agent_memory.application.write_behind import WriteBehind
from agent_memory.domain.kv.block import CacheBlock, Namespace, Part, PartKey, pack
from agent_memory.domain.kv.ledger import Ledger
from agent_memory.domain.kv.scheduler import Scheduler
from agent_memory.domain.kv.steps import Started
from agent_memory.domain.kv.turn import Sampling, Turn, TurnId
from agent_memory.ports.kv import Buffer, BytesPayload

ROOT = Namespace("t", "m", "s").root
BLOCKS = [CacheBlock.after(ROOT, 0, pack([n])) for n in range(6)]
KEYS = [PartKey(block.hash, Part.LASTING) for block in BLOCKS]


class CountingStore(InMemoryBlockStore):
    """It tells what was read, and can be held up in the middle of reading."""

    def __init__(self) -> None:
        super().__init__()
        self.read = []
        self.begun, self.free = threading.Event(), threading.Event()
        self.free.set()

    def get(self, key):
        self.read.append(key)
        self.begun.set()
        assert self.free.wait(10)
        return super().get(key)


@pytest.fixture
def store():
    store = CountingStore()
    for number, block in enumerate(BLOCKS):
        store.put(block, Part.LASTING, BytesPayload({"x": Buffer("U8", (100,), bytes([number]) * 100)}), ROOT)
    return store


def test_what_is_wanted_is_read_once_and_in_order(store):
    ahead = ReadAhead(store, 10_000)
    ahead.want(KEYS[:3])
    ahead.drain()
    assert store.read == KEYS[:3]
    assert [ahead.take(key).content["x"].data[0] for key in KEYS[:3]] == [0, 1, 2]
    assert [ahead.take(key) for key in KEYS] == [None] * 6
    assert ahead.nbytes == 0


def test_reading_stops_at_the_budget_and_goes_on_as_parts_are_taken(store):
    ahead = ReadAhead(store, 200)
    ahead.want(KEYS)
    ahead.drain()
    assert (store.read, ahead.nbytes) == (KEYS[:2], 200)
    ahead.take(KEYS[0])
    ahead.drain()
    assert store.read == KEYS[:3]


def test_what_is_no_longer_wanted_is_let_go(store):
    ahead = ReadAhead(store, 10_000)
    ahead.want(KEYS[:2])
    ahead.drain()
    ahead.want(KEYS[1:3])
    ahead.drain()
    assert store.read == KEYS[:3]
    assert ahead.take(KEYS[0]) is None
    assert ahead.nbytes == 200


def test_what_is_dropped_while_it_is_read_does_not_come_back(store):
    store.free.clear()
    ahead = ReadAhead(store, 10_000)
    ahead.start()
    ahead.want(KEYS[:1])
    assert store.begun.wait(10)
    ahead.drop(KEYS[0])
    store.free.set()
    assert ahead.take(KEYS[0]) is None
    assert ahead.nbytes == 0
    ahead.close()


def test_what_is_being_read_is_waited_for_and_not_read_twice(store):
    store.free.clear()
    ahead = ReadAhead(store, 10_000)
    ahead.start()
    ahead.want(KEYS[:1])
    assert store.begun.wait(10)
    threading.Timer(0.05, store.free.set).start()
    assert ahead.take(KEYS[0]) is not None
    assert store.read == KEYS[:1]
    ahead.close()


def test_whatever_a_store_raises_the_next_part_is_read(store, monkeypatch):
    get = store.get

    def moody(key):
        if key == KEYS[0]:
            raise ValueError("a bug")
        return get(key)

    monkeypatch.setattr(store, "get", moody)
    ahead = ReadAhead(store, 10_000)
    ahead.want(KEYS[:2])
    ahead.drain()
    assert ahead.take(KEYS[0]) is None
    assert ahead.take(KEYS[1]) is not None


def test_what_the_store_deletes_or_evicts_does_not_come_back(store):
    ahead = ReadAhead(store, 10_000)
    writer = WriteBehind(store, lambda: None)
    tiers = TieredBlocks(store, writer, ahead)
    tiers.prefetch(KEYS[:2])
    ahead.drain()
    tiers.delete(KEYS[0])
    writer.drain()
    store.delete(KEYS[1])
    tiers.gone(KEYS[1])
    assert [tiers.get(key)[0] for key in KEYS[:2]] == [None, None]


def test_what_is_in_memory_is_not_read(store):
    ahead = ReadAhead(store, 10_000)
    tiers = TieredBlocks(store, WriteBehind(store, lambda: None), ahead)
    tiers.hold(KEYS[0], store.get(KEYS[0]))
    store.read.clear()
    tiers.prefetch(KEYS[:2])
    ahead.drain()
    assert store.read == [KEYS[1]]
    assert tiers.get(KEYS[1])[1] is False  # it came from the slower tier, if early


def test_a_queued_turns_blocks_are_read_while_another_runs():
    runtime, store = ToyRuntime(vocabulary=3), CountingStore()

    def desk():
        """A process on the store."""
        writer, ahead = WriteBehind(store, lambda: None), ReadAhead(store, 10_000)
        scheduler = Scheduler(runtime.spec, Ledger(runtime.spec, 1 << 20), max_turns=1)
        return Engine(runtime, TieredBlocks(store, writer, ahead), scheduler), writer, ahead

    def ask(engine, name, tokens):
        root = engine.namespace("tenant").root
        engine.submit(Turn(TurnId(name), root, tokens, 4, Sampling(temperature=0)))

    def rest(engine):
        said = engine.step()
        while not engine.idle:
            said += engine.step()
        return said

    engine, writer, _ = desk()
    ask(engine, "before", [1, 2] * 8)
    rest(engine)
    writer.drain()

    engine, _, ahead = desk()
    ask(engine, "running", [0] * 9)
    ask(engine, "queued", [1, 2] * 8)
    engine.step()
    ahead.drain()
    read = list(store.read)
    assert len(read) == 4
    assert ahead.nbytes > 0
    said = rest(engine)
    assert Started(TurnId("queued"), 15, 15, 15) in said
    assert store.read == read  # nothing was read when it began
    assert ahead.nbytes == 0
    engine.check()
