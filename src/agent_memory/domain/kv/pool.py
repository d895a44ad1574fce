"""The books of one tier: which block parts it holds, who uses them, what may be evicted, and whether it all adds up.

Holds no bytes and does no I/O: it answers with the keys that have to go.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from agent_memory.domain.errors import AgentMemoryError
from agent_memory.domain.kv.block import BlockHash, Part, PartKey


class PoolExhausted(AgentMemoryError):
    def __init__(self, needs: int, free: int, evictable: int) -> None:
        super().__init__(f"needs {needs} bytes; {free} free and {evictable} evictable")


@dataclass(slots=True)
class _Entry:
    nbytes: int
    users: int = 0
    promised: bool = False


class BlockPool:
    """Entries in use, pinned, or promised to a slower tier and not yet saved there, are never evicted. A block may be
    pinned before it is there.

    Memory that is not blocks (a running turn's own) is reserved under its owner's name.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._entries: OrderedDict[PartKey, _Entry] = OrderedDict()  # least recently used first
        self._reserved: dict[str, int] = {}
        self._pins: frozenset[BlockHash] = frozenset()
        self._used = 0
        self.evictions = 0

    def __contains__(self, key: PartKey) -> bool:
        return key in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[PartKey]:
        """Least recently used first."""
        return iter(self._entries)

    @property
    def used(self) -> int:
        return self._used

    @property
    def free(self) -> int:
        return self.capacity - self._used

    @property
    def pending(self) -> int:
        """Parts that are promised to a slower tier and not yet saved."""
        return sum(entry.promised for entry in self._entries.values())

    def size(self, key: PartKey) -> int | None:
        """In bytes; None when it is not there."""
        entry = self._entries.get(key)
        return None if entry is None else entry.nbytes

    @property
    def pinned(self) -> int:
        """Bytes that nothing will evict until they are unpinned."""
        return sum(self.size(PartKey(block, part)) or 0 for block in self._pins for part in Part)

    @property
    def evictable(self) -> int:
        """How many bytes could be had: what is free, and what may be evicted."""
        entries = ((key, entry) for key, entry in self._entries.items() if key.hash not in self._pins)
        return self.free + sum(entry.nbytes for _, entry in entries if not entry.users and not entry.promised)

    def is_pinned(self, block: BlockHash) -> bool:
        return block in self._pins

    def pin(self, blocks: Iterable[BlockHash]) -> None:
        """From now on these blocks stay, and no others have to."""
        self._pins = frozenset(blocks)

    def admit(self, key: PartKey, nbytes: int, *, promised: bool = False) -> list[PartKey]:
        """Enter a part as the most recently used; returns what had to be evicted for it.

        A part that is there already only becomes the most recent. Raises PoolExhausted, and changes nothing,
        when what is evictable does not make enough room.
        """
        if key in self._entries:
            self.touch(key)
            return []
        evicted = self._make_room(nbytes)
        self._entries[key] = _Entry(nbytes, promised=promised)
        self._used += nbytes
        return evicted

    def reserve(self, owner: str, nbytes: int) -> list[PartKey]:
        """Set bytes aside until `unreserve`; returns what had to be evicted. Raises PoolExhausted like `admit`."""
        assert owner not in self._reserved, f"{owner} has a reservation"
        evicted = self._make_room(nbytes)
        self._reserved[owner] = nbytes
        self._used += nbytes
        return evicted

    def reserved(self, owner: str) -> int:
        return self._reserved.get(owner, 0)

    def unreserve(self, owner: str, nbytes: int | None = None) -> int:
        """Give back a part of the reservation, as the blocks it was meant for are admitted, or all of it. How much."""
        held = self._reserved.pop(owner, 0)
        given = held if nbytes is None else min(nbytes, held)
        self._used -= given
        if given < held:
            self._reserved[owner] = held - given
        return given

    def share(self, key: PartKey) -> None:
        self._entries[key].users += 1
        self.touch(key)

    def release(self, key: PartKey) -> None:
        entry = self._entries[key]
        assert entry.users > 0, f"{key} is not in use"
        entry.users -= 1

    def touch(self, key: PartKey) -> None:
        self._entries.move_to_end(key)

    def demote(self, key: PartKey) -> None:
        """Make it the first to be evicted, once nobody uses it."""
        if key in self._entries:
            self._entries.move_to_end(key, last=False)

    def saved(self, key: PartKey) -> None:
        """The promise is kept, or can not be kept: the part may be evicted from now on."""
        if key in self._entries:
            self._entries[key].promised = False

    def discard(self, key: PartKey) -> bool:
        """Strike a part off the books; returns whether it was there. Parts in use stay."""
        entry = self._entries.get(key)
        if entry is None or entry.users:
            return False
        self._used -= self._entries.pop(key).nbytes
        return True

    def _make_room(self, nbytes: int) -> list[PartKey]:
        shortage = nbytes - self.free
        victims: list[PartKey] = []
        spared: list[PartKey] = []
        for key, entry in self._entries.items():
            if shortage <= 0:
                break
            if key.hash in self._pins:
                spared.append(key)
            elif not entry.users and not entry.promised:
                victims.append(key)
                shortage -= entry.nbytes
        for key in spared:  # so that the next search does not meet them first
            self._entries.move_to_end(key)
        if shortage > 0:
            evictable = sum(self._entries[key].nbytes for key in victims)
            raise PoolExhausted(nbytes, self.free, evictable)
        for key in victims:
            self._used -= self._entries.pop(key).nbytes
        self.evictions += len(victims)
        return victims

    def check(self) -> None:
        """Prove that the books balance."""
        held = sum(entry.nbytes for entry in self._entries.values())
        reserved = sum(self._reserved.values())
        assert held + reserved == self._used, f"{held} held + {reserved} reserved is not {self._used} used"
        assert self._used <= self.capacity, f"{self._used} used of {self.capacity}"
        assert all(entry.users >= 0 for entry in self._entries.values()), "a part has fewer than no users"
