"""Block payloads in two tiers: memory, in the runtime's own form, and a slower store behind a writer.

The scheduler's books say what belongs where; this holds the bytes.
"""

from collections.abc import Iterable

from agent_memory.application.read_ahead import ReadAhead
from agent_memory.application.write_behind import Report, WriteBehind
from agent_memory.domain.kv.block import BlockHash, CacheBlock, Part, PartKey
from agent_memory.ports.kv import BlockPayload, BlockStore, BytesPayload, BytesWritten


class TieredBlocks:
    """`writer` writes to `cold`, `ahead` reads from it; without one, everything is read when it is asked for."""

    def __init__(self, cold: BlockStore, writer: WriteBehind, ahead: ReadAhead | None = None) -> None:
        self._hot: dict[PartKey, BlockPayload] = {}
        self._cold = cold
        self._writer = writer
        self._ahead = ahead or ReadAhead(cold, budget=0)

    @property
    def held(self) -> frozenset[PartKey]:
        """What is in memory."""
        return frozenset(self._hot)

    @property
    def pending(self) -> int:
        """Parts on their way to the slower store."""
        return self._writer.pending

    @property
    def written(self) -> BytesWritten:
        return self._cold.written

    @property
    def budget(self) -> int:
        """How many bytes the slower store may hold."""
        return self._cold.budget

    @property
    def used(self) -> int:
        """How many bytes the slower store holds."""
        return self._cold.used

    def size(self, key: PartKey) -> int | None:
        """How many bytes it takes up in the slower store; None when it is not there."""
        return self._cold.size(key)

    def pin(self, blocks: Iterable[BlockHash]) -> None:
        """From now on the slower store keeps these blocks, and no others have to stay."""
        self._cold.pin(blocks)

    def writing(self, key: PartKey) -> bool:
        """Whether it is on its way to the slower store."""
        return self._writer.get(key) is not None

    def known(self) -> Iterable[tuple[CacheBlock, Part]]:
        return self._cold.known()

    def get(self, key: PartKey) -> tuple[BlockPayload | None, bool]:
        """The payload, if any tier has it, and whether it came from memory."""
        hot = self._hot.get(key) or self._writer.get(key)
        return (hot, True) if hot is not None else (self._ahead.take(key) or self._cold.get(key), False)

    def prefetch(self, keys: Iterable[PartKey]) -> None:
        """These will be asked for soon, the first of them first; nothing else will."""
        self._ahead.want([key for key in keys if key not in self._hot and self._writer.get(key) is None])

    def hold(self, key: PartKey, payload: BlockPayload) -> None:
        self._hot[key] = payload

    def write(self, block: CacheBlock, part: Part, payload: BlockPayload, root: BlockHash) -> None:
        self._writer.put(block, part, BytesPayload(payload.buffers()), root)

    def evict(self, key: PartKey) -> None:
        """Out of memory; the slower store keeps it."""
        self._hot.pop(key, None)

    def delete(self, key: PartKey) -> None:
        self.evict(key)
        self.gone(key)
        self._writer.delete(key)

    def gone(self, key: PartKey) -> None:
        """The slower store has it no more: what was read ahead of it is not to come back."""
        self._ahead.drop(key)

    def touch(self, keys: Iterable[PartKey]) -> None:
        """They were used, the last of them last: the slower store is to know."""
        for key in keys:
            self._writer.touch(key)

    def demote(self, keys: Iterable[PartKey]) -> None:
        """They are the first to go, in the slower store too."""
        for key in keys:
            self._writer.demote(key)

    def reports(self) -> list[Report]:
        return self._writer.reports()

    def close(self, timeout: float | None = None) -> None:
        """Everything that was to be written is written, as far as that takes no longer than `timeout` seconds."""
        self._ahead.close()
        self._writer.close(timeout)
