"""What every BlockStore promises, on each of them."""

import pytest

from agent_memory.adapters.disk.blocks import DiskBlockStore
from agent_memory.adapters.disk.sealing import Sealed
from agent_memory.adapters.in_memory.blocks import InMemoryBlockStore
from agent_memory.domain.kv.block import CacheBlock, Namespace, Part, PartKey, pack
from agent_memory.domain.kv.pool import PoolExhausted
from agent_memory.ports.kv import Buffer, BytesPayload

ROOT = Namespace("tenant", "model", "spec").root


def block(*tokens):
    return CacheBlock.after(ROOT, 0, pack(tokens))


def payload(fill, size=1000):
    return BytesPayload(
        {"keys": Buffer("U8", (size,), bytes([fill]) * size), "x": Buffer("F16", (2, 3), b"abcdefghijkl")}
    )


@pytest.fixture(params=["in_memory", "disk", "sealed"])
def make_store(request, tmp_path):
    if request.param == "in_memory":
        return InMemoryBlockStore
    envelope = Sealed(bytes(32)) if request.param == "sealed" else None
    return lambda budget: DiskBlockStore(tmp_path, budget, "model", "spec", envelope=envelope)


def key(a_block, part=Part.LASTING):
    return PartKey(a_block.hash, part)


def test_what_was_put_is_got_back_byte_for_byte(make_store):
    store = make_store(100_000)
    store.put(block(1), Part.LASTING, payload(7), ROOT)
    assert store.get(key(block(1))).buffers() == payload(7).buffers()


def test_the_absent_is_none(make_store):
    assert make_store(100_000).get(key(block(1))) is None


def test_parts_are_kept_apart(make_store):
    store = make_store(100_000)
    store.put(block(1), Part.LOCAL, payload(1), ROOT)
    assert store.get(key(block(1))) is None
    store.put(block(1), Part.LASTING, payload(2), ROOT)
    assert store.get(key(block(1), Part.LOCAL)).buffers()["keys"].data[0] == 1


def test_known_lists_what_is_held(make_store):
    store = make_store(100_000)
    store.put(block(1), Part.LASTING, payload(1), ROOT)
    held = make_store(100_000) if isinstance(store, DiskBlockStore) else store
    assert list(held.known()) == [(block(1), Part.LASTING)]


def test_the_budget_evicts_the_least_recently_used_and_says_so(make_store):
    store = make_store(4_500)
    for n in range(2):
        assert store.put(block(n), Part.LASTING, payload(n), ROOT) == []
    store.get(key(block(0)))
    evicted = []
    for n in range(2, 5):
        evicted += store.put(block(n), Part.LASTING, payload(n), ROOT)
    assert evicted[0] == key(block(1))
    assert store.get(evicted[0]) is None


def test_a_part_larger_than_the_budget_is_refused_and_changes_nothing(make_store):
    store = make_store(3_000)
    store.put(block(1), Part.LASTING, payload(1), ROOT)
    with pytest.raises(PoolExhausted):
        store.put(block(2), Part.LASTING, payload(2, size=9_000), ROOT)
    assert store.get(key(block(1))) is not None


def test_delete_may_be_repeated(make_store):
    store = make_store(100_000)
    store.put(block(1), Part.LASTING, payload(1), ROOT)
    store.delete(key(block(1)))
    store.delete(key(block(1)))
    assert store.get(key(block(1))) is None


def test_put_may_be_repeated(make_store):
    store = make_store(100_000)
    store.put(block(1), Part.LASTING, payload(1), ROOT)
    assert store.put(block(1), Part.LASTING, payload(1), ROOT) == []


def test_what_is_touched_stays_longest(make_store):
    store = make_store(3_500)
    for n in range(2):
        store.put(block(n), Part.LASTING, payload(n), ROOT)
    store.touch(key(block(0)))
    store.touch(key(block(7)))
    evicted = []
    for n in range(2, 4):
        evicted += store.put(block(n), Part.LASTING, payload(n), ROOT)
    assert evicted[0] == key(block(1))


def test_what_it_wrote_is_counted_and_only_grows(make_store):
    store = make_store(100_000)
    before = store.written
    store.put(block(1), Part.LASTING, payload(1), ROOT)
    after = store.written
    store.get(key(block(1)))
    store.delete(key(block(1)))
    assert store.written == after
    grown = after.total - before.total
    assert grown == after.today - before.today
    assert grown == 0 if isinstance(store, InMemoryBlockStore) else grown > 1000


def test_what_is_pinned_is_not_evicted_until_it_is_unpinned(make_store):
    store = make_store(4_500)
    store.pin([block(0).hash])
    evicted = []
    for n in range(20):
        evicted += store.put(block(n), Part.LASTING, payload(n), ROOT)
    assert store.get(key(block(0))) is not None
    assert key(block(0)) not in evicted
    assert len(evicted) >= 16
    store.pin([])
    for n in range(20, 24):
        store.put(block(n), Part.LASTING, payload(n), ROOT)
    assert store.get(key(block(0))) is None


def test_a_size_is_known_of_what_is_there(make_store):
    store = make_store(100_000)
    store.put(block(1), Part.LASTING, payload(1), ROOT)
    assert 1012 <= store.size(key(block(1))) < 2_500
    assert store.size(key(block(2))) is None
    store.delete(key(block(1)))
    assert store.size(key(block(1))) is None


def test_what_is_demoted_goes_first(make_store):
    store = make_store(4_500)
    for n in range(2):
        store.put(block(n), Part.LASTING, payload(n), ROOT)
    store.demote(key(block(1)))
    evicted = []
    for n in range(2, 5):
        evicted += store.put(block(n), Part.LASTING, payload(n), ROOT)
    assert evicted[0] == key(block(1))
    store.demote(key(block(9)))
