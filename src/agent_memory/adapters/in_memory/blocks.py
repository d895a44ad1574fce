"""Blocks in a dictionary, under a byte budget. They end with the process."""

import threading
from collections.abc import Iterable

from agent_memory.domain.kv.block import BlockHash, CacheBlock, Part, PartKey
from agent_memory.domain.kv.pool import BlockPool
from agent_memory.ports.kv import BlockPayload, BytesWritten


class InMemoryBlockStore:
    def __init__(self, budget: int = 1 << 30) -> None:
        self._pool = BlockPool(budget)
        self._held: dict[PartKey, tuple[CacheBlock, BlockPayload]] = {}
        self._lock = threading.Lock()

    @property
    def budget(self) -> int:
        return self._pool.capacity

    @property
    def used(self) -> int:
        return self._pool.used

    def known(self) -> Iterable[tuple[CacheBlock, Part]]:
        with self._lock:
            return [(self._held[key][0], key.part) for key in self._pool]

    def get(self, key: PartKey) -> BlockPayload | None:
        with self._lock:
            held = self._held.get(key)
            if held is None:
                return None
            self._pool.touch(key)
            return held[1]

    def put(self, block: CacheBlock, part: Part, payload: BlockPayload, root: BlockHash) -> list[PartKey]:
        del root
        key = PartKey(block.hash, part)
        with self._lock:
            evicted = self._pool.admit(key, payload.nbytes)
            for gone in evicted:
                del self._held[gone]
            self._held[key] = (block, payload)
        return evicted

    def size(self, key: PartKey) -> int | None:
        return self._pool.size(key)

    def pin(self, blocks: Iterable[BlockHash]) -> None:
        self._pool.pin(blocks)

    def touch(self, key: PartKey) -> None:
        with self._lock:
            if key in self._pool:
                self._pool.touch(key)

    def demote(self, key: PartKey) -> None:
        self._pool.demote(key)

    def delete(self, key: PartKey) -> None:
        with self._lock:
            if self._pool.discard(key):
                del self._held[key]

    @property
    def written(self) -> BytesWritten:
        return BytesWritten(0, 0)
