"""Where every part of every block lives: in memory, in the slower tier, in both; and what is to be let go.

Holds no bytes and does no I/O. The engine clears `evicted`, `forgotten` and `used` once it has done what they say.
"""

from collections.abc import Iterable, Mapping, Sequence

from agent_memory.domain.kv.block import CacheBlock, Part, PartKey
from agent_memory.domain.kv.pool import BlockPool, PoolExhausted
from agent_memory.domain.kv.prefix import PrefixIndex
from agent_memory.domain.kv.spec import CacheSpec


class Ledger:
    """`pool` books what is in memory (`capacity` bytes), `cold` what the slower tier has, `index` what can be found at
    all.
    """

    def __init__(self, spec: CacheSpec, capacity: int) -> None:
        self.pool = BlockPool(capacity)
        self.index = PrefixIndex(spec.block_tokens, spec.reach)
        self.cold: set[PartKey] = set()
        self.evicted: list[PartKey] = []  # no longer in memory
        self.forgotten: list[PartKey] = []  # no longer anywhere
        self.used: list[PartKey] = []  # by a turn that has ended, the most recent last

    def know(self, stored: Iterable[tuple[CacheBlock, Part]]) -> None:
        """Enter what the slower tier holds from earlier."""
        local = []
        for block, part in stored:
            self.cold.add(PartKey(block.hash, part))
            if part is Part.LASTING:
                self.index.add(block, local=False)
            else:
                local.append(block)
        for block in local:
            if self.index.get(block.hash):
                self.index.add(block, local=True)

    # --- memory ---

    def reserve(self, owner: str, nbytes: int) -> None:
        """Raises PoolExhausted."""
        self._drop(self.pool.reserve(owner, nbytes))

    def keep(self, owner: str, blocks: Sequence[CacheBlock], sizes: Mapping[PartKey, int]) -> None:
        """These parts were taken out of the runtime, out of what their owner had reserved for them."""
        for block in blocks:
            lasting, local = PartKey(block.hash, Part.LASTING), PartKey(block.hash, Part.LOCAL)
            for key in (lasting, local):
                if key in sizes:
                    self.pool.unreserve(owner, sizes[key])
                    self._admit(key, sizes[key], promised=key not in self.cold)
            self.index.add(block, local=local in sizes)

    def promote(self, parts: Iterable[tuple[PartKey, int]]) -> None:
        """They were read from the slower tier, and are in memory too."""
        for key, nbytes in parts:
            self._admit(key, nbytes, promised=False)

    def _admit(self, key: PartKey, nbytes: int, *, promised: bool) -> None:
        try:
            self._drop(self.pool.admit(key, nbytes, promised=promised))
        except PoolExhausted:
            self.evicted.append(key)

    def _drop(self, evicted: Sequence[PartKey]) -> None:
        self.evicted += evicted
        for key in evicted:
            if key not in self.cold:
                self.index.forget(key)

    def touch(self, chain: Sequence[CacheBlock]) -> None:
        """In memory they become the most recent. A parent is at least as recent as its children: chains lose their
        ends first.
        """
        for key in _from_the_end(chain):
            if key in self.pool:
                self.pool.touch(key)

    def use(self, chain: Sequence[CacheBlock]) -> None:
        """In every tier they become the most recent."""
        self.touch(chain)
        self.used += [key for key in _from_the_end(chain) if key in self.cold]

    # --- the slower tier reports ---

    def saved(self, key: PartKey) -> None:
        self.cold.add(key)
        self.pool.saved(key)
        block = self.index.get(key.hash)
        if block is None:
            self.forget(key)  # it was struck off while it was being written
        elif self._safe(block):
            for shorter in self.index.superseded_by(block):
                self.forget(PartKey(shorter.hash, Part.LOCAL))
                self.forget(PartKey(shorter.hash, Part.LASTING))

    def _safe(self, block: CacheBlock) -> bool:
        """Whether every part that a prefix ending in this block may need has reached the slower tier."""
        parts = (Part.LASTING, Part.LOCAL) if self.index.reach else (Part.LASTING,)
        return all(PartKey(block.hash, part) in self.cold for part in parts)

    def unsaved(self, key: PartKey) -> None:
        """It could not be written: it lives as long as memory has room for it."""
        self.pool.saved(key)
        if key not in self.pool:
            self.index.forget(key)

    def gone(self, key: PartKey) -> None:
        """The slower tier has evicted it."""
        self.cold.discard(key)
        if key not in self.pool:
            self.index.forget(key)

    # --- the end ---

    def forget(self, key: PartKey) -> None:
        """Strike it off every book; the engine deletes the bytes."""
        self.strike(key)
        self.forgotten.append(key)

    def strike(self, key: PartKey) -> None:
        """It cannot be read, for now at least: what lies on a disk is left to the disk."""
        self.cold.discard(key)
        self.pool.discard(key)
        self.index.forget(key)
        self.evicted.append(key)

    def check(self) -> None:
        self.pool.check()
        self.index.check()


def _from_the_end(chain: Sequence[CacheBlock]) -> list[PartKey]:
    return [PartKey(block.hash, part) for block in reversed(chain) for part in (Part.LOCAL, Part.LASTING)]
