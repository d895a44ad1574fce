"""Blocks in a dictionary, under a byte budget. They end with the process."""

from collections.abc import Iterable

from agent_memory.domain.kv.block import CacheBlock, Part, PartKey
from agent_memory.domain.kv.pool import BlockPool
from agent_memory.ports.kv import BlockPayload


class InMemoryBlockStore:
    def __init__(self, budget: int = 1 << 30) -> None:
        self._pool = BlockPool(budget)
        self._held: dict[PartKey, tuple[CacheBlock, BlockPayload]] = {}

    def known(self) -> Iterable[tuple[CacheBlock, Part]]:
        return [(self._held[key][0], key.part) for key in self._pool]

    def get(self, key: PartKey) -> BlockPayload | None:
        held = self._held.get(key)
        if held is None:
            return None
        self._pool.touch(key)
        return held[1]

    def put(self, block: CacheBlock, part: Part, payload: BlockPayload) -> list[PartKey]:
        key = PartKey(block.hash, part)
        evicted = self._pool.admit(key, payload.nbytes)
        for gone in evicted:
            del self._held[gone]
        self._held[key] = (block, payload)
        return evicted

    def touch(self, key: PartKey) -> None:
        if key in self._pool:
            self._pool.touch(key)

    def delete(self, key: PartKey) -> None:
        if self._pool.discard(key):
            del self._held[key]
