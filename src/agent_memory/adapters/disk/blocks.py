"""Blocks as files in a folder that one process owns: written whole or not at all, under a byte budget.

Knows files and bytes; what the tensors mean is the runtime's.
"""

import fcntl
import logging
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from agent_memory.adapters.disk.format import MAX_HEADER, VERSION, Header, TooNew, decode, encode, read_header
from agent_memory.domain.errors import CorruptBlock, Misconfigured
from agent_memory.domain.kv.block import BlockHash, CacheBlock, Part, PartKey
from agent_memory.domain.kv.pool import BlockPool, PoolExhausted
from agent_memory.ports.kv import BlockPayload, Buffer, BytesPayload

log = logging.getLogger(__name__)

QUARANTINE_KEEPS = 32


@contextmanager
def owned(folder: Path) -> Iterator[Path]:
    """Make the folder, private to this user, and hold it against other processes until the context ends.

    Raises Misconfigured when it cannot be written or another process holds it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (folder / "lock").open("w")
    except OSError as error:
        raise Misconfigured(f"cannot write the cache folder {folder}: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Misconfigured(f"another process uses the cache folder {folder}; give this one --data-dir") from error
        yield folder


class DiskBlockStore:
    """Blocks of every model live side by side and share the budget; only those of `model` and `spec` are known."""

    def __init__(self, folder: Path, budget: int, model: str, spec: str) -> None:
        self._folder = folder
        self._model, self._spec = model, spec
        self._pool = BlockPool(budget)
        self._lock = threading.Lock()  # the books are read by the engine and written by the writer
        self._known: list[tuple[CacheBlock, Part]] = []
        self.corrupt = 0
        self._scan()

    def known(self) -> Iterable[tuple[CacheBlock, Part]]:
        return self._known

    def get(self, key: PartKey) -> BlockPayload | None:
        path = self._path(key)
        try:
            content = self._decode(key, path.read_bytes())
        except FileNotFoundError:
            self._forget(key)
            return None
        except OSError as error:
            log.warning("block file %s cannot be read: %s", path.name, error)
            return None
        except TooNew:
            self._forget(key)
            return None
        except CorruptBlock as error:
            self._quarantine(path, error)
            self._forget(key)
            return None
        self.touch(key)
        return BytesPayload(content)

    def touch(self, key: PartKey) -> None:
        with self._lock:
            if key not in self._pool:
                return
            self._pool.touch(key)
        with suppress(OSError):
            os.utime(self._path(key))  # recency survives a restart

    def _decode(self, key: PartKey, data: bytes) -> dict[str, Buffer]:
        header, content = decode(data)
        if (header.block.hash, header.part) != key or (header.model, header.spec) != (self._model, self._spec):
            raise CorruptBlock("it is another block under this name")
        return content

    def put(self, block: CacheBlock, part: Part, payload: BlockPayload) -> list[PartKey]:
        key = PartKey(block.hash, part)
        data = encode(block, part, self._model, self._spec, payload.buffers())
        if len(data) > self._pool.capacity:
            raise PoolExhausted(len(data), self._pool.free, self._pool.used)
        _write_durably(self._path(key), data)
        with self._lock:
            evicted = self._pool.admit(key, len(data))
        for gone in evicted:
            with suppress(OSError):  # what cannot be deleted is deleted when it is next found
                self._path(gone).unlink(missing_ok=True)
        return evicted

    def delete(self, key: PartKey) -> None:
        self._forget(key)
        self._path(key).unlink(missing_ok=True)

    def _forget(self, key: PartKey) -> None:
        with self._lock:
            self._pool.discard(key)

    def _path(self, key: PartKey) -> Path:
        # The version is in the name, so that a later program's blocks and ours lie side by side.
        return self._folder / key.hash[:2] / f"{key.hash}.{key.part.value}.v{VERSION}.safetensors"

    def _quarantine(self, path: Path, error: CorruptBlock) -> None:
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

    def _scan(self) -> None:
        """Enter what an earlier process left, oldest first; sweep away what it did not finish writing."""
        found = []
        for path in self._folder.glob("??/*"):
            if path.suffix == ".tmp":
                path.unlink(missing_ok=True)
            elif (header := self._header(path)) is not None:
                stat = path.stat()
                found.append((stat.st_mtime_ns, stat.st_size, header))
        for _, size, header in sorted(found, key=lambda entry: entry[0]):
            self._enter(header, size)
        self._known = [(block, part) for block, part in self._known if PartKey(block.hash, part) in self._pool]

    def _header(self, path: Path) -> Header | None:
        try:
            with path.open("rb") as file:
                head = file.read(8)
                header = read_header(head + file.read(min(int.from_bytes(head, "little"), MAX_HEADER)))
        except OSError as error:
            log.warning("block file %s cannot be read: %s", path.name, error)
        except TooNew as error:
            log.info("block file %s is left alone: %s", path.name, error)
        except CorruptBlock as error:
            self._quarantine(path, error)
        else:
            if path == self._path(PartKey(header.block.hash, header.part)):
                return header
            self._quarantine(path, CorruptBlock("it does not bear its own name"))
        return None

    def _enter(self, header: Header, size: int) -> None:
        if size > self._pool.capacity:
            return
        for gone in self._pool.admit(PartKey(BlockHash(header.block.hash), header.part), size):
            self._path(gone).unlink(missing_ok=True)
        if (header.model, header.spec) == (self._model, self._spec):
            self._known.append((header.block, header.part))


def _write_durably(path: Path, data: bytes) -> None:
    """The file is there whole, and survives a power cut, or it is not there."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_suffix(".tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
