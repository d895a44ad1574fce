"""A sealed folder tells nothing, believes nothing that was tampered with, and outlives a wrong key."""

import pytest
from disks import KEY, PAYLOAD, ROOT, conversation, files, lasting, opened
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent_memory.domain.kv.block import CacheBlock, Namespace, Part, pack
from agent_memory.domain.kv.pool import PoolExhausted
from agent_memory.ports.kv import Buffer, BytesPayload

OTHER_KEY = bytes(reversed(range(32)))
BLOCK = conversation(1)[0]


@pytest.fixture
def store(tmp_path):
    return opened(tmp_path, KEY)


def test_nothing_of_a_conversation_can_be_read(store, tmp_path):
    tokens = pack(range(70_000, 70_064))
    block = CacheBlock.after(ROOT, 0, tokens)
    secret = BytesPayload({"keys": Buffer("U8", (24,), b"what the model has read.")})
    store.put(block, Part.LASTING, secret, ROOT)
    told = (tokens[:8], b"what the", b"keys", block.hash.encode(), bytes.fromhex(block.hash), ROOT.encode(), b"model")
    everything = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(everything) >= 3
    for path in everything:
        assert not [word for word in told if word in path.read_bytes()], path
        assert block.hash not in str(path)


def test_the_same_block_never_lies_twice_in_the_same_bytes(store, tmp_path):
    store.put(BLOCK, Part.LASTING, PAYLOAD, ROOT)
    first = files(tmp_path)[0].read_bytes()
    store.put(BLOCK, Part.LASTING, PAYLOAD, ROOT)
    assert files(tmp_path)[0].read_bytes() != first


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_flipped_bit_anywhere_is_a_miss(store, tmp_path, data):
    store.put(BLOCK, Part.LASTING, PAYLOAD, ROOT)
    file = files(tmp_path)[0]
    damaged = bytearray(file.read_bytes())
    damaged[data.draw(st.integers(0, len(damaged) - 1), "byte")] ^= 1 << data.draw(st.integers(0, 7), "bit")
    file.write_bytes(damaged)
    assert store.get(lasting(BLOCK)) is None
    assert not file.exists()


def test_every_truncation_is_a_miss(store, tmp_path):
    store.put(BLOCK, Part.LASTING, PAYLOAD, ROOT)
    file = files(tmp_path)[0]
    whole = file.read_bytes()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        assert store.get(lasting(BLOCK)) is None
        file.write_bytes(whole[:length])
        (file.parents[1] / "index").unlink(missing_ok=True)
        assert list(opened(tmp_path, KEY).known()) in ([], [(BLOCK, Part.LASTING)])
    assert len(list((tmp_path / "quarantine").iterdir())) == 1


def test_a_file_of_another_tenant_is_refused(store, tmp_path):
    theirs_root = Namespace("another", "model", "spec").root
    mine, theirs = conversation(1)[0], conversation(1, root=theirs_root)[0]
    store.put(mine, Part.LASTING, PAYLOAD, ROOT)
    mine_at = files(tmp_path)[0]
    store.put(theirs, Part.LASTING, PAYLOAD, theirs_root)
    theirs_at = next(path for path in files(tmp_path) if path != mine_at)
    theirs_at.write_bytes(mine_at.read_bytes())
    assert store.get(lasting(theirs)) is None
    assert store.corrupt == 1
    assert store.get(lasting(mine)) is not None


def test_a_tenants_key_does_not_open_anothers_pieces(store):
    sealed = store._shelves[0]._envelope
    name = sealed.name(lasting(BLOCK))
    data = (2).to_bytes(8, "little") + b"{}" + b"tensors"
    other = Namespace("another", "model", "spec").root
    mine, theirs = sealed.wrap(name, ROOT, data), sealed.wrap(name, other, data)
    assert sealed.unwrap(name, mine) == sealed.unwrap(name, theirs) == data
    prefix = 8 + 4 + 60
    with pytest.raises(Exception, match="does not open"):
        sealed.unwrap(name, theirs[:prefix] + mine[prefix:])


def test_a_wrong_key_destroys_nothing_and_its_files_count(store, tmp_path, caplog):
    blocks = conversation(10)
    for block in blocks:
        store.put(block, Part.LASTING, PAYLOAD, ROOT)
    before = {path: path.read_bytes() for path in files(tmp_path)}
    size = sum(map(len, before.values()))

    wrong = opened(tmp_path, OTHER_KEY, budget=size + 2000)
    assert list(wrong.known()) == []
    assert (wrong.left_alone.files, wrong.left_alone.nbytes) == (10, size)
    assert "10 block files" in caplog.text
    assert all(wrong.get(lasting(block)) is None for block in blocks)
    for block in conversation(10, first=5):
        wrong.put(block, Part.LASTING, PAYLOAD, ROOT)
    assert sum(path.stat().st_size for path in files(tmp_path)) <= size + 2000
    with pytest.raises(PoolExhausted):
        opened(tmp_path, b"x" * 32, budget=size).put(BLOCK, Part.LASTING, PAYLOAD, ROOT)

    right = opened(tmp_path, KEY, budget=2 * size + 2000)
    assert {path: path.read_bytes() for path in before} == before
    assert len(list(right.known())) == 10
    assert all(right.get(lasting(block)).buffers() == PAYLOAD.buffers() for block in blocks)


def test_without_the_key_sealed_files_are_left_alone(store, tmp_path):
    store.put(BLOCK, Part.LASTING, PAYLOAD, ROOT)
    plain = opened(tmp_path)
    assert list(plain.known()) == []
    assert plain.left_alone.files == 1
    assert plain.get(lasting(BLOCK)) is None
    assert list(opened(tmp_path, KEY).known()) == [(BLOCK, Part.LASTING)]


def test_plain_and_sealed_lie_side_by_side(tmp_path):
    old, new = conversation(2)
    opened(tmp_path).put(old, Part.LASTING, PAYLOAD, ROOT)
    store = opened(tmp_path, KEY)
    store.put(new, Part.LASTING, PAYLOAD, ROOT)
    for each in (store, opened(tmp_path, KEY)):
        assert each.get(lasting(old)).buffers() == each.get(lasting(new)).buffers() == PAYLOAD.buffers()
    assert {block for block, _ in opened(tmp_path, KEY).known()} == {old, new}
    store.delete(lasting(old))
    store.delete(lasting(new))
    assert files(tmp_path) == []


def test_what_is_written_again_lies_sealed_only(tmp_path):
    opened(tmp_path).put(BLOCK, Part.LASTING, PAYLOAD, ROOT)
    opened(tmp_path, KEY).put(BLOCK, Part.LASTING, PAYLOAD, ROOT)
    assert [path.suffix for path in files(tmp_path)] == [".sealed"]


def test_the_budget_holds_for_both_together(tmp_path):
    plain = opened(tmp_path)
    for block in conversation(5):
        plain.put(block, Part.LASTING, PAYLOAD, ROOT)
    size = sum(path.stat().st_size for path in files(tmp_path))
    store = opened(tmp_path, KEY, budget=size)
    for block in conversation(5, first=3):
        store.put(block, Part.LASTING, PAYLOAD, ROOT)
    assert sum(path.stat().st_size for path in files(tmp_path)) <= size
