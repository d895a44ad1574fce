"""Where blocks are and how they get elsewhere: sizes in each tier, chains, and parts on their way in, out, up or down.

Over the ledger's books and the tiers' bytes, on their thread. Knows blocks, not whose they are.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from agent_memory.application.tiered_blocks import TieredBlocks
from agent_memory.domain.errors import Conflict
from agent_memory.domain.kv.block import BlockHash, CacheBlock, PackedTokens, Part, PartKey
from agent_memory.domain.kv.ledger import Ledger
from agent_memory.ports.kv import BlockPayload, BytesPayload


@dataclass(frozen=True, slots=True)
class Tier:
    """Parts of blocks, and bytes. In memory, running turns count too."""

    parts: int
    used: int
    budget: int


class Whereabouts:
    def __init__(self, ledger: Ledger, tiers: TieredBlocks) -> None:
        self._ledger, self._tiers = ledger, tiers

    def memory(self, block: BlockHash) -> int:
        """Bytes of all its parts in memory."""
        return sum(self._ledger.pool.size(PartKey(block, part)) or 0 for part in Part)

    def disk(self, block: BlockHash) -> int:
        """Bytes of all its parts on disk."""
        return sum(self._tiers.size(PartKey(block, part)) or 0 for part in Part)

    def size(self, block: BlockHash) -> int:
        return max(self.memory(block), self.disk(block))

    def exists(self, block: BlockHash) -> bool:
        """Also that of another model than the one that is loaded."""
        return self._ledger.index.get(block) is not None or self.disk(block) > 0

    @property
    def budget(self) -> int:
        """Bytes that both tiers can hold."""
        return min(self._ledger.pool.capacity, self._tiers.budget)

    def tiers(self) -> tuple[Tier, Tier]:
        """Memory, and disk; there, the parts are those of the loaded model and the bytes those of every model."""
        pool, tiers = self._ledger.pool, self._tiers
        return Tier(len(pool), pool.used, pool.capacity), Tier(len(self._ledger.cold), tiers.used, tiers.budget)

    @property
    def disk_budget(self) -> int:
        return self._tiers.budget

    def pin(self, blocks: Iterable[BlockHash]) -> None:
        """From now on these blocks stay where they are, in every tier, and no others have to."""
        kept = list(blocks)
        self._ledger.pool.pin(kept)
        self._tiers.pin(kept)

    def spare(self, shared: Callable[[BlockHash], bool]) -> None:
        """Where one agent leaves a place behind, what is `shared` stays for the others."""
        self._ledger.spared = shared

    # --- chains ---

    def restorable(self, blocks: Sequence[BlockHash], root: BlockHash) -> int:
        """How many tokens of the chain that these blocks begin with can be restored."""
        chain = list(self._chain(blocks, root))
        tokens = PackedTokens(b"".join(block.tokens for block in chain))
        return self._ledger.index.match(root, tokens, chain[-1].end).length if chain else 0

    def _chain(self, blocks: Sequence[BlockHash], root: BlockHash) -> Iterator[CacheBlock]:
        """As far as they are known without a gap."""
        parent = root
        for name in blocks:
            block = self._ledger.index.get(name)
            if block is None or block.parent != parent:
                return
            yield block
            parent = block.hash

    def parts(self, blocks: Iterable[BlockHash], root: BlockHash) -> list[tuple[CacheBlock, Part]]:
        """Every part of those that a chain from the root leads to, in their order, which is parents before children."""
        reached, parts = {root}, []
        for each in blocks:
            block = self._ledger.index.get(each)
            if block is not None and block.parent in reached:
                reached.add(block.hash)
                parts += [(block, part) for part in Part if self._ledger.index.has(PartKey(block.hash, part))]
        return parts

    def children_first(self, blocks: Iterable[BlockHash]) -> list[BlockHash]:
        def end(block: BlockHash) -> int:
            known = self._ledger.index.get(block)
            return known.end if known else 0

        return sorted(blocks, key=end, reverse=True)

    def leads_on(self, block: BlockHash) -> bool:
        """Whether a known block follows it."""
        return self._ledger.index.leads_on(block)

    def known(self) -> list[BlockHash]:
        return [block.hash for block in self._ledger.index]

    def unreachable(self) -> list[BlockHash]:
        """Those that no chain leads to, and parts of blocks that are not there."""
        reached: set[BlockHash] = set()
        lost = [key.hash for key in self._ledger.cold if self._ledger.index.get(key.hash) is None]
        for block in sorted(self._ledger.index, key=lambda block: block.start):
            if block.start == 0 or block.parent in reached:
                reached.add(block.hash)
            else:
                lost.append(block.hash)
        return lost

    # --- ways ---

    def read(self, key: PartKey) -> BlockPayload | None:
        """Its bytes, from whichever tier; None when they are gone."""
        payload, _ = self._tiers.get(key)
        if payload is None:
            self._ledger.strike(key)
            return None
        return BytesPayload(payload.buffers())

    def to_warm(self, keys: Iterable[PartKey]) -> list[PartKey]:
        """Which of these are on disk only. Raises Conflict when memory cannot take them all."""
        missing = [key for key in keys if key not in self._ledger.pool]
        needs = sum(self._tiers.size(key) or 0 for key in missing)
        if needs > self._ledger.room:
            raise Conflict(f"{mb(needs)} are to come into memory, where there is no room for them at the moment")
        return missing

    def warm(self, key: PartKey) -> int:
        """Bring it into memory; how many bytes came."""
        if key in self._ledger.pool:
            return 0
        payload, _ = self._tiers.get(key)
        if payload is None:
            self._ledger.strike(key)
            return 0
        self._tiers.hold(key, payload)
        self._ledger.promote([(key, payload.nbytes)])
        return payload.nbytes

    def cool(self, block: BlockHash) -> None:
        """Out of memory, if the disk has it."""
        for part in Part:
            self._ledger.cool(PartKey(block, part))

    def forget(self, block: BlockHash) -> None:
        """Out of every tier."""
        for part in (Part.LOCAL, Part.LASTING):
            self._ledger.forget(PartKey(block, part))

    def take(self, block: CacheBlock, part: Part, payload: BlockPayload, root: BlockHash) -> bool:
        """A part from elsewhere; whether it is new here. It is on its way to the disk as long as `writing` names it."""
        if self._ledger.index.has(PartKey(block.hash, part)):
            return False
        self._ledger.index.add(block, local=part is Part.LOCAL)
        self._tiers.write(block, part, payload, root)
        return True

    def writing(self, keys: Iterable[PartKey]) -> list[PartKey]:
        return [key for key in keys if self._tiers.writing(key)]

    def unwritten(self, keys: Iterable[PartKey]) -> list[PartKey]:
        """Which of these the disk does not have."""
        return [key for key in keys if key not in self._ledger.cold]


def mb(nbytes: int) -> str:
    return f"{nbytes / 2**20:.1f} MB"
