"""Where every part of every block lives: in memory, in the slower tier, in both; and what is to be let go.

Holds no bytes and does no I/O. The engine clears `evicted`, `forgotten`, `used`, `passed` and `towed` once it has done
what they say.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from agent_memory.domain.kv.block import BlockHash, CacheBlock, Part, PartKey
from agent_memory.domain.kv.parking import Parked, Parking
from agent_memory.domain.kv.pool import BlockPool, PoolExhausted
from agent_memory.domain.kv.prefix import PrefixIndex
from agent_memory.domain.kv.spec import CacheSpec
from agent_memory.domain.kv.turn import TurnId


class Ledger:
    """`pool` books what is in memory (`capacity` bytes), `cold` what the slower tier has, `index` what can be found at
    all.
    """

    def __init__(self, spec: CacheSpec, capacity: int) -> None:
        self.pool = BlockPool(capacity)
        self.index = PrefixIndex(spec.block_tokens, spec.reach, exact=spec.exact)
        self.cold: set[PartKey] = set()
        self.evicted: list[PartKey] = []  # no longer in memory
        self.forgotten: list[PartKey] = []  # no longer anywhere
        self.used: list[PartKey] = []  # by a turn that has begun or ended, the most recent last
        self.passed: list[PartKey] = []  # a conversation has left this place behind: the first to be let go
        self.unwritten: set[PartKey] = set()  # in memory alone: the slower tier could not take them
        self.spared: Callable[[BlockHash], bool] = lambda _: False  # whether several agents may come back to a block
        self.parking = Parking(only_whole=spec.reach > 0)
        self.towed: list[TurnId] = []  # no longer parked: their caches are to be closed

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

    @property
    def room(self) -> int:
        """Bytes that could be had: free, evictable, or only parked on."""
        return self.pool.evictable + sum(self.pool.reserved(_parked(turn)) for turn in self.parking)

    def reserve(self, turn: TurnId, nbytes: int, *, instead_of: TurnId | None = None) -> None:
        """Set memory aside for a turn, and take over the cache of one that is parked. Raises PoolExhausted."""
        given = 0 if instead_of is None else self.pool.unreserve(_parked(instead_of))
        self._make_way(nbytes, sparing=instead_of)
        try:
            self._drop(self.pool.reserve(turn, nbytes))
        except PoolExhausted:
            if instead_of is not None:
                self.pool.reserve(_parked(instead_of), given)
            raise
        if instead_of is not None:
            self.parking.leave(instead_of)

    def park(self, parked: Parked, nbytes: int) -> None:
        """Leave the cache of a turn that has ended open, as long as nobody else needs its memory."""
        self._make_way(nbytes)
        if self.pool.free < nbytes:
            self.towed.append(parked.turn)
        else:
            self.pool.reserve(_parked(parked.turn), nbytes)
            self.parking.enter(parked)

    def _make_way(self, nbytes: int, *, sparing: TurnId | None = None) -> None:
        """No block has to go for what is only parked."""
        while self.pool.free < nbytes and (turn := self.parking.longest_parked(sparing=sparing)) is not None:
            self._tow(turn)

    def _tow(self, turn: TurnId) -> None:
        self.parking.leave(turn)
        self.pool.unreserve(_parked(turn))
        self.towed.append(turn)

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
        self._make_way(0 if key in self.pool else nbytes)
        try:
            self._drop(self.pool.admit(key, nbytes, promised=promised))
        except PoolExhausted:
            self.evicted.append(key)

    def _drop(self, evicted: Sequence[PartKey]) -> None:
        self.evicted += evicted
        self.unwritten.difference_update(evicted)
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

    def cool(self, key: PartKey) -> None:
        """Out of memory, if the slower tier has it."""
        if key in self.cold and self.pool.discard(key):
            self.evicted.append(key)

    def come_back(self, chain: Sequence[CacheBlock], local: Sequence[CacheBlock]) -> None:
        """A turn was restored from these; what only its beginning needs is not touched again when it ends."""
        self.touch(chain)
        ends = [*chain[-1:], *local]
        self.used += [key for key in _from_the_end(ends) if key in self.cold and self.index.has(key)]

    def leave_behind(self, keys: Sequence[PartKey]) -> None:
        """These are the first to be let go, in every tier and in this order."""
        for key in reversed(keys):
            self.pool.demote(key)
            if key in self.cold:
                self.passed.append(key)

    def drop_windows(self, blocks: Iterable[CacheBlock]) -> None:
        """These places were passed: no conversation that is known can be taken up within reach behind them, unless it
        is forked there. What is pinned stays, and what another agent may come back to.
        """
        for block in blocks:
            key = PartKey(block.hash, Part.LOCAL)
            free = self.index.has(key) and not self.pool.is_pinned(block.hash) and not self.spared(block.hash)
            if free and self.index.is_passed(block, self.index.reach):
                self.forget(key)

    # --- the slower tier reports ---

    def saved(self, key: PartKey) -> None:
        self.cold.add(key)
        self.unwritten.discard(key)
        self.pool.saved(key)
        block = self.index.get(key.hash)
        if block is None:
            self.forget(key)  # it was struck off while it was being written
        elif self._safe(block):
            for shorter in self.index.superseded_by(block):
                if not self.spared(shorter.hash):
                    self.forget(PartKey(shorter.hash, Part.LOCAL))
                    self.forget(PartKey(shorter.hash, Part.LASTING))

    def _safe(self, block: CacheBlock) -> bool:
        """Whether every part that a prefix ending inside this block may need has reached the slower tier."""
        parts = (Part.LASTING, Part.LOCAL) if self.index.reach and not self.index.exact else (Part.LASTING,)
        return all(PartKey(block.hash, part) in self.cold for part in parts)

    def unsaved(self, key: PartKey) -> None:
        """It could not be written: it lives as long as memory has room for it."""
        self.pool.saved(key)
        if key in self.pool:
            self.unwritten.add(key)
        else:
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
        self.unwritten.discard(key)
        self.pool.discard(key)
        self.index.forget(key)
        self.evicted.append(key)
        for turn in self.parking.over(key.hash) if key.part is Part.LASTING else ():
            self._tow(turn)

    def check(self) -> None:
        self.pool.check()
        self.index.check()


def _parked(turn: TurnId) -> str:
    return f"parked {turn}"


def _from_the_end(chain: Sequence[CacheBlock]) -> list[PartKey]:
    return [PartKey(block.hash, part) for block in reversed(chain) for part in (Part.LOCAL, Part.LASTING)]
