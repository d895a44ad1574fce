"""WriteBehind: off the token path, in order, and alive whatever a store does."""

import threading

from agent_memory.adapters.in_memory.blocks import InMemoryBlockStore
from agent_memory.application.write_behind import NotWritten, Withheld, WriteBehind, Written
from agent_memory.domain.kv.block import CacheBlock, Namespace, Part, PartKey, pack
from agent_memory.domain.kv.wear import WritesSpent
from agent_memory.ports.kv import Buffer, BytesPayload

ROOT = Namespace("t", "m", "s").root
PAYLOAD = BytesPayload({"x": Buffer("U8", (3,), b"abc")})


class MoodyStore(InMemoryBlockStore):
    """Fails as it is told to, once."""

    fails_with: Exception | None = None

    def put(self, block, part, payload, root):
        if self.fails_with is not None:
            error, self.fails_with = self.fails_with, None
            raise error
        return super().put(block, part, payload, root)


def block(n):
    return CacheBlock.after(ROOT, 0, pack([n]))


def key(n):
    return PartKey(block(n).hash, Part.LASTING)


def test_what_is_queued_can_be_read_until_it_is_written():
    store = MoodyStore()
    writer = WriteBehind(store, lambda: None)
    writer.put(block(1), Part.LASTING, PAYLOAD, ROOT)
    assert writer.get(key(1)) is PAYLOAD
    writer.drain()
    assert writer.reports() == [Written(key(1), ())]
    assert writer.get(key(1)) is None
    assert store.get(key(1)) is PAYLOAD


def test_whatever_a_store_raises_the_next_block_is_written():
    for error in (OSError("disk full"), ValueError("a bug")):
        store = MoodyStore()
        store.fails_with = error
        writer = WriteBehind(store, lambda: None)
        writer.start()
        for n in (1, 2):
            writer.put(block(n), Part.LASTING, PAYLOAD, ROOT)
        writer.close()
        assert writer.reports() == [NotWritten(key(1)), Written(key(2), ())]


def test_what_may_not_be_written_today_is_withheld_and_is_no_error(caplog):
    store = MoodyStore()
    store.fails_with = WritesSpent("100 of 100 bytes")
    writer = WriteBehind(store, lambda: None)
    writer.put(block(1), Part.LASTING, PAYLOAD, ROOT)
    writer.drain()
    assert writer.reports() == [Withheld(key(1))]
    assert caplog.text == ""


def test_a_disk_that_stays_full_is_logged_once_until_it_takes_a_block(caplog):
    store = MoodyStore()
    writer = WriteBehind(store, lambda: None)
    for full in (True, True, False, True, True):
        store.fails_with = OSError("disk full") if full else None
        writer.put(block(1), Part.LASTING, PAYLOAD, ROOT)
        writer.drain()
    assert caplog.text.count("was not saved: disk full") == 2


def test_a_store_that_can_neither_touch_nor_delete_does_not_end_the_writer(monkeypatch):
    def fail(key):
        raise ValueError("a bug")

    store = MoodyStore()
    monkeypatch.setattr(store, "touch", fail)
    monkeypatch.setattr(store, "delete", fail)
    writer = WriteBehind(store, lambda: None)
    writer.start()
    writer.touch(key(1))
    writer.delete(key(1))
    writer.put(block(2), Part.LASTING, PAYLOAD, ROOT)
    writer.close()
    assert writer.reports() == [Written(key(2), ())]


def test_a_store_that_hangs_is_waited_for_only_so_long(monkeypatch):
    free = threading.Event()
    store = MoodyStore()
    put = store.put
    monkeypatch.setattr(store, "put", lambda *args: free.wait(20) and put(*args))
    writer = WriteBehind(store, lambda: None)
    writer.start()
    for n in (1, 2):
        writer.put(block(n), Part.LASTING, PAYLOAD, ROOT)
    writer.close(timeout=0.05)
    assert (writer.pending, writer.reports()) == (2, [])
    free.set()


def test_a_delete_comes_after_what_was_put_before_it():
    store = MoodyStore()
    writer = WriteBehind(store, lambda: None)
    writer.put(block(1), Part.LASTING, PAYLOAD, ROOT)
    writer.delete(key(1))
    writer.drain()
    assert store.get(key(1)) is None


def test_every_write_wakes_the_engine():
    woken = []
    writer = WriteBehind(MoodyStore(), lambda: woken.append(1))
    for n in range(3):
        writer.put(block(n), Part.LASTING, PAYLOAD, ROOT)
    writer.drain()
    assert len(woken) == 3
