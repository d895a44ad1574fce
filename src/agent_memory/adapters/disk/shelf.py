"""One folder of block files in one envelope, with its index. A file is written whole or not at all.

Knows names, bytes and headers; budgets are the store's.
"""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from agent_memory.adapters.disk.envelope import Envelope
from agent_memory.adapters.disk.format import Header, TooNew, read_header
from agent_memory.adapters.disk.index import Entry, Index
from agent_memory.adapters.disk.meter import Meter
from agent_memory.domain.errors import CorruptBlock
from agent_memory.domain.kv.block import BlockHash, PartKey

log = logging.getLogger(__name__)


class Found(NamedTuple):
    used: int
    """When it was used last: nanoseconds since 1970."""
    size: int
    header: Header


@dataclass(slots=True)
class LeftAlone:
    """Files that are not ours to read or to destroy: of a later version, or sealed with another key."""

    files: int = 0
    nbytes: int = 0

    def add(self, nbytes: int) -> None:
        self.files += 1
        self.nbytes += nbytes


class Shelf:
    """`put_aside` is called with a damaged file and what is wrong with it."""

    def __init__(
        self, folder: Path, envelope: Envelope, meter: Meter, put_aside: Callable[[Path, CorruptBlock], None]
    ) -> None:
        self.folder = folder / envelope.folder
        self._envelope = envelope
        self._meter = meter
        self._put_aside = put_aside
        self.index = Index(self.folder / "index", envelope, meter)

    def path(self, key: PartKey) -> Path:
        name = self._envelope.name(key)
        return self.folder / name[:2] / name

    def read(self, key: PartKey) -> bytes:
        """Raises OSError, or CorruptBlock when it does not open."""
        path = self.path(key)
        return self._envelope.unwrap(path.name, path.read_bytes())

    def wrap(self, key: PartKey, root: BlockHash, data: bytes) -> bytes:
        return self._envelope.wrap(self._envelope.name(key), root, data)

    def write(self, header: Header, wrapped: bytes) -> None:
        """Raises OSError, and then nothing is there that was not; WritesSpent when no more may be written today."""
        self._meter.check(len(wrapped))
        write_durably(self.path(header.key), wrapped)
        self._meter.add(len(wrapped))
        self.index.add([Entry.of(header, len(wrapped))])

    # --- start ---

    def scan(self, left_alone: LeftAlone) -> list[Found]:
        """Everything that is there, in no order; what was not finished writing is swept away."""
        remembered = {self._envelope.name(key): entry for key, entry in self.index.load().items()}
        found, unknown = [], []
        for file in self._files():
            stat = file.stat()
            if not file.name.endswith(self._envelope.suffix):
                left_alone.add(stat.st_size)
                continue
            entry = remembered.get(file.name)
            if entry is not None and entry.size == stat.st_size:
                header = entry.header()
            elif (read := self._header(Path(file.path), stat.st_size, left_alone)) is not None:
                header = read
                unknown.append(Entry.of(header, stat.st_size))
            else:
                continue
            found.append(Found(stat.st_mtime_ns, stat.st_size, header))
        if unknown:
            self.index.add(unknown)
        return found

    def _files(self) -> Iterator[os.DirEntry[str]]:
        for folder in self.folder.glob("??/"):
            with suppress(OSError), os.scandir(folder) as files:
                for file in files:
                    if file.name.endswith(".tmp"):
                        Path(file.path).unlink(missing_ok=True)
                    else:
                        yield file

    def _header(self, path: Path, size: int, left_alone: LeftAlone) -> Header | None:
        try:
            with path.open("rb") as file:
                header = read_header(self._envelope.beginning(path.name, file))
        except OSError as error:
            log.warning("block file %s cannot be read: %s", path.name, error)
        except TooNew as error:
            log.info("block file %s is left alone: %s", path.name, error)
            left_alone.add(size)
        except CorruptBlock as error:
            self._put_aside(path, error)
        else:
            if path == self.path(header.key):
                return header
            self._put_aside(path, CorruptBlock("it does not bear its own name"))
        return None


def write_durably(path: Path, data: bytes) -> None:
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
