"""Block payloads in two tiers: memory, in the runtime's own form, and a slower store behind a writer.

The scheduler's books say what belongs where; this holds the bytes.
"""

from collections.abc import Iterable

from agent_memory.application.write_behind import Report, WriteBehind
from agent_memory.domain.kv.block import CacheBlock, Part, PartKey
from agent_memory.ports.kv import BlockPayload, BlockStore, BytesPayload


class TieredBlocks:
    """`writer` writes to `cold`."""

    def __init__(self, cold: BlockStore, writer: WriteBehind) -> None:
        self._hot: dict[PartKey, BlockPayload] = {}
        self._cold = cold
        self._writer = writer

    @property
    def held(self) -> frozenset[PartKey]:
        """What is in memory."""
        return frozenset(self._hot)

    @property
    def pending(self) -> int:
        """Parts on their way to the slower store."""
        return self._writer.pending

    def known(self) -> Iterable[tuple[CacheBlock, Part]]:
        return self._cold.known()

    def get(self, key: PartKey) -> tuple[BlockPayload | None, bool]:
        """The payload, if any tier has it, and whether it came from memory."""
        hot = self._hot.get(key) or self._writer.get(key)
        return (hot, True) if hot is not None else (self._cold.get(key), False)

    def hold(self, key: PartKey, payload: BlockPayload) -> None:
        self._hot[key] = payload

    def write(self, block: CacheBlock, part: Part, payload: BlockPayload) -> None:
        self._writer.put(block, part, BytesPayload(payload.buffers()))

    def evict(self, key: PartKey) -> None:
        """Out of memory; the slower store keeps it."""
        self._hot.pop(key, None)

    def delete(self, key: PartKey) -> None:
        self._hot.pop(key, None)
        self._writer.delete(key)

    def touch(self, keys: Iterable[PartKey]) -> None:
        """They were used, the last of them last: the slower store is to know."""
        for key in keys:
            self._writer.touch(key)

    def reports(self) -> list[Report]:
        return self._writer.reports()

    def close(self) -> None:
        """Everything that was to be written is written."""
        self._writer.close()
