"""The index of a folder only remembers: whatever becomes of it, exactly what is there is known."""

import random

import pytest
from disks import KEY, PAYLOAD, ROOT, conversation, files, lasting, opened
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent_memory.adapters.disk.shelf import Shelf
from agent_memory.domain.kv.block import CacheBlock, Part, pack


@pytest.fixture
def blocks():
    return conversation(20)


@pytest.fixture
def folder(tmp_path, key, blocks):
    """A store that has been closed."""
    store = opened(tmp_path, key)
    for block in blocks:
        store.put(block, Part.LASTING, PAYLOAD, ROOT)
    return tmp_path


def index_of(folder):
    return next(path for path in folder.rglob("index") if path.stat().st_size)


def headers_read(monkeypatch):
    read, original = [], Shelf._header
    monkeypatch.setattr(Shelf, "_header", lambda self, path, *rest: read.append(path) or original(self, path, *rest))
    return read


def known(store):
    return {block.hash for block, _ in store.known()}


def test_a_start_opens_no_block_file(folder, key, blocks, monkeypatch):
    read = headers_read(monkeypatch)
    assert known(opened(folder, key)) == {block.hash for block in blocks}
    assert read == []


def test_without_an_index_every_header_is_read_once(folder, key, blocks, monkeypatch):
    index_of(folder).unlink()
    read = headers_read(monkeypatch)
    assert known(opened(folder, key)) == {block.hash for block in blocks}
    assert len(read) == len(blocks)
    assert known(opened(folder, key)) == {block.hash for block in blocks}
    assert len(read) == len(blocks)


def test_a_file_that_is_gone_is_not_known(folder, key, blocks):
    gone = files(folder)[3]
    gone.unlink()
    assert len(known(opened(folder, key))) == len(blocks) - 1


def test_an_older_index_does_not_hide_newer_files(folder, key, blocks):
    old = index_of(folder).read_bytes()
    more = conversation(5, first=9)
    store = opened(folder, key)
    for block in more:
        store.put(block, Part.LASTING, PAYLOAD, ROOT)
    index_of(folder).write_bytes(old)
    assert known(opened(folder, key)) == {block.hash for block in blocks + more}


def test_a_file_of_another_length_is_looked_at(folder, key, blocks, monkeypatch):
    cut = files(folder)[0]
    cut.write_bytes(cut.read_bytes()[:-1])
    read = headers_read(monkeypatch)
    store = opened(folder, key)
    assert read == [cut]
    assert sum(store.get(lasting(block)) is None for block in blocks) == 1


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_becomes_of_the_index_what_is_there_is_known(folder, key, blocks, data):
    index = index_of(folder)
    whole = index.read_bytes()
    damaged = bytearray(whole)
    if data.draw(st.booleans(), "cut"):
        del damaged[data.draw(st.integers(0, len(whole)), "to") :]
    else:
        damaged[data.draw(st.integers(0, len(whole) - 1), "byte")] ^= 1 << data.draw(st.integers(0, 7), "bit")
    index.write_bytes(damaged)
    for _ in range(2):  # damaged, and as it was mended
        assert known(opened(folder, key)) == {block.hash for block in blocks}
    index.write_bytes(whole)


def test_what_is_added_behind_a_damaged_end_is_found_again(folder, key, blocks, monkeypatch):
    index = index_of(folder)
    index.write_bytes(index.read_bytes() + b"half a fra")
    store = opened(folder, key)
    more = conversation(1, first=9)
    store.put(more[0], Part.LASTING, PAYLOAD, ROOT)
    read = headers_read(monkeypatch)
    assert known(opened(folder, key)) == {block.hash for block in blocks + more}
    assert read == []


def test_it_does_not_grow_with_what_is_gone(tmp_path, key):
    store = opened(tmp_path, key, budget=20_000)
    for number in range(1500):
        store.put(CacheBlock.after(ROOT, 0, pack([number])), Part.LASTING, PAYLOAD, ROOT)
    assert index_of(tmp_path).stat().st_size < 1300 * 250
    assert len(known(opened(tmp_path, key, budget=20_000))) == len(files(tmp_path))


def test_a_sealed_index_tells_nothing(tmp_path):
    store = opened(tmp_path, KEY)
    dice = random.Random(1)
    tokens = [dice.randrange(1 << 31) for _ in range(64)]
    block = CacheBlock.after(ROOT, 0, pack(tokens))
    store.put(block, Part.LASTING, PAYLOAD, ROOT)
    written = index_of(tmp_path).read_bytes()
    assert pack(tokens[:2]) not in written
    assert block.hash.encode() not in written
