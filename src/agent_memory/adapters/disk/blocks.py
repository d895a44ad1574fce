"""Blocks as files in a folder that one process owns, under a byte budget.

Knows which files there are and which of them go first; what the tensors mean is the runtime's.
"""

import fcntl
import logging
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from agent_memory.adapters import unshared
from agent_memory.adapters.disk.envelope import Envelope, Plain
from agent_memory.adapters.disk.format import Header, TooNew, decode, encode
from agent_memory.adapters.disk.meter import Meter
from agent_memory.adapters.disk.shelf import Found, LeftAlone, Shelf
from agent_memory.domain.errors import CorruptBlock, Misconfigured
from agent_memory.domain.kv.block import BlockHash, CacheBlock, Part, PartKey
from agent_memory.domain.kv.pool import BlockPool, PoolExhausted
from agent_memory.ports.agents import Origin
from agent_memory.ports.kv import BlockPayload, Buffer, BytesPayload, BytesWritten

log = logging.getLogger(__name__)

QUARANTINE_KEEPS = 32


@contextmanager
def owned(folder: Path) -> Iterator[Path]:
    """Make the folder, private to this user, and hold it against other processes until the context ends.

    Raises Misconfigured when it cannot be written or another process holds it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = unshared.opened(folder / "lock")
    except OSError as error:
        raise Misconfigured(f"cannot write the cache folder {folder}: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Misconfigured(f"another process uses the cache folder {folder}; give this one --data-dir") from error
        yield folder


class DiskBlockStore:
    """Blocks of every model live side by side and share the budget; only those of `model` and `spec` are known. Without
    these all are, and nothing can be put.

    New blocks are written in `envelope`; those that were written plain are read all the same. Files that are not ours
    to read (sealed with another key, of a later version) count against the budget, and are never deleted.
    """

    def __init__(
        self,
        folder: Path,
        budget: int,
        model: str | None,
        spec: str | None,
        *,
        envelope: Envelope | None = None,
        meter: Meter | None = None,
        pinned: Iterable[BlockHash] = (),
    ) -> None:
        self._folder = folder
        self._model, self._spec = model, spec
        self._meter = meter or Meter(folder / "written")
        plain = Plain()
        envelopes = [envelope, plain] if envelope else [plain]
        self._shelves = [Shelf(folder, each, self._meter, self._put_aside) for each in envelopes]
        self._lock = threading.Lock()  # the books are read by the engine and written by the writer
        self._known: list[tuple[CacheBlock, Part]] = []
        self.corrupt = 0
        self.left_alone = LeftAlone()
        self._origins: dict[BlockHash, Origin] = {}
        self._open(budget, pinned)

    @property
    def written(self) -> BytesWritten:
        return BytesWritten(self._meter.today, self._meter.total)

    @property
    def budget(self) -> int:
        return self._pool.capacity

    @property
    def used(self) -> int:
        return self._pool.used

    def known(self) -> Iterable[tuple[CacheBlock, Part]]:
        return self._known

    def get(self, key: PartKey) -> BlockPayload | None:
        for shelf in self._shelves:
            content = self._content(shelf, key)
            if content is not None:
                self.touch(key)
                return BytesPayload(content)
        if not any(shelf.path(key).exists() for shelf in self._shelves):
            self._forget(key)
        return None

    def _content(self, shelf: Shelf, key: PartKey) -> dict[str, Buffer] | None:
        path = shelf.path(key)
        try:
            return self._decode(key, shelf.read(key))
        except (FileNotFoundError, TooNew):
            return None
        except OSError as error:
            log.warning("block file %s cannot be read: %s", path.name, error)
            return None
        except CorruptBlock as error:
            self._put_aside(path, error)
            return None

    def _decode(self, key: PartKey, data: bytes) -> dict[str, Buffer]:
        header, content = decode(data)
        if header.key != key or not self._is_ours(header):
            raise CorruptBlock("it is another block under this name")
        return content

    def size(self, key: PartKey) -> int | None:
        with self._lock:
            return self._pool.size(key)

    def pin(self, blocks: Iterable[BlockHash]) -> None:
        with self._lock:
            self._pool.pin(blocks)

    def touch(self, key: PartKey) -> None:
        with self._lock:
            if key not in self._pool:
                return
            self._pool.touch(key)
        for shelf in self._shelves:
            with suppress(OSError):
                os.utime(shelf.path(key))  # recency survives a restart

    def demote(self, key: PartKey) -> None:
        with self._lock:
            self._pool.demote(key)
        for shelf in self._shelves:
            with suppress(OSError):
                os.utime(shelf.path(key), (0, 0))

    def put(self, block: CacheBlock, part: Part, payload: BlockPayload, root: BlockHash) -> list[PartKey]:
        assert self._model is not None, "it was opened to look after what is there"
        assert self._spec is not None, "as above"
        header = Header(block, part, self._model, self._spec, digest="")
        shelf, *others = self._shelves
        wrapped = shelf.wrap(header.key, root, encode(block, part, self._model, self._spec, payload.buffers()))
        if len(wrapped) > self._pool.capacity:
            raise PoolExhausted(len(wrapped), self._pool.free, self._pool.used)
        shelf.write(header, wrapped)
        for other in others:
            with suppress(OSError):
                other.path(header.key).unlink(missing_ok=True)
        evicted = self._enter(header.key, len(wrapped))
        shelf.index.compact(self._pool)
        return evicted

    def _enter(self, key: PartKey, size: int) -> list[PartKey]:
        with self._lock:
            self._pool.discard(key)  # it may be there with another size
            evicted = self._pool.admit(key, size)
        for gone in evicted:
            with suppress(OSError):  # what cannot be deleted is deleted when it is next found
                self._remove(gone)
        return evicted

    def _is_ours(self, header: Header) -> bool:
        return self._model is None or (header.model, header.spec) == (self._model, self._spec)

    def origin_of(self, block: BlockHash) -> Origin | None:
        """What computed it, or None when it is not here. Known to a store that knows all."""
        return self._origins.get(block)

    def delete(self, key: PartKey) -> None:
        self._forget(key)
        self._remove(key)

    def _remove(self, key: PartKey) -> None:
        for shelf in self._shelves:
            shelf.path(key).unlink(missing_ok=True)

    def _forget(self, key: PartKey) -> None:
        with self._lock:
            self._pool.discard(key)

    def _put_aside(self, path: Path, error: CorruptBlock) -> None:
        with self._lock:
            self.corrupt += 1
        log.warning("block file %s is damaged and put aside: %s", path.name, error)
        place = self._folder / "quarantine"
        with suppress(OSError):
            place.mkdir(exist_ok=True, mode=0o700)
            path.replace(place / path.name)
            kept = sorted(place.iterdir(), key=lambda file: file.stat().st_mtime)
            for old in kept[:-QUARANTINE_KEEPS]:
                old.unlink()

    # --- start ---

    def _open(self, budget: int, pinned: Iterable[BlockHash]) -> None:
        """Enter what an earlier process left, the least recently used first."""
        self._leave_alone()
        found: list[Found] = []
        for shelf in self._shelves:
            shelf.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            found += shelf.scan(self.left_alone)
        if self.left_alone.files:
            told = (
                "%d block files (%d MB) in %s are of another key or a later version: left alone, counted as used until "
                "somebody deletes them"
            )
            log.warning(told, self.left_alone.files, self.left_alone.nbytes >> 20, self._folder)
        self._pool = BlockPool(max(0, budget - self.left_alone.nbytes))
        self._pool.pin(pinned)
        found.sort(key=lambda each: each.used)
        for each in found:
            with suppress(PoolExhausted):  # it is larger than the budget, or what is pinned leaves no room for it
                self._enter(each.header.key, each.size)
        if self._model is None:
            self._origins = {each.header.block.hash: Origin(each.header.model, each.header.spec) for each in found}
        ours = ((each.header.block, each.header.part) for each in found if self._is_ours(each.header))
        self._known = [(block, part) for block, part in ours if PartKey(block.hash, part) in self._pool]
        for shelf in self._shelves:
            shelf.index.compact(self._pool)

    def _leave_alone(self) -> None:
        """Count what is sealed with another key."""
        ours = {shelf.folder for shelf in self._shelves}
        for folder in self._folder.glob("sealed-*/"):
            if folder not in ours:
                for file in folder.glob("??/*"):
                    self.left_alone.add(file.stat().st_size)
