"""What the headers of a folder's files say, in one file, so that a start need not open fifty thousand.

It only remembers: the files are the truth. An entry without its file means nothing, a file without its entry is
read. So it is written without waiting for the disk, and where it is missing, damaged or from another time the start
is slower and nothing else.

    magic | frame | frame ...        a frame: length, CRC-32, a list of entries (MessagePack, in the folder's envelope)
"""

import logging
import os
import struct
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from zlib import crc32

import msgspec

from agent_memory.adapters.disk.envelope import Envelope
from agent_memory.adapters.disk.format import Header
from agent_memory.adapters.disk.meter import Meter
from agent_memory.domain.errors import CorruptBlock
from agent_memory.domain.kv.block import BlockHash, CacheBlock, PackedTokens, Part, PartKey, chain
from agent_memory.domain.kv.pool import BlockPool

log = logging.getLogger(__name__)

MAGIC = b"agent-memory index 1\n"
_FRAME = struct.Struct("<II")
_BATCH = 256


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A header, and the size of its file."""

    hash: str
    parent: str
    start: int
    tokens: bytes
    part: Part
    model: str
    spec: str
    size: int

    @classmethod
    def of(cls, header: Header, size: int) -> "Entry":
        block = header.block
        return cls(block.hash, block.parent, block.start, block.tokens, header.part, header.model, header.spec, size)

    @property
    def key(self) -> PartKey:
        return PartKey(BlockHash(self.hash), self.part)

    def header(self) -> Header:
        block = CacheBlock(BlockHash(self.hash), BlockHash(self.parent), self.start, PackedTokens(self.tokens))
        return Header(block, self.part, self.model, self.spec, digest="")


_decoder = msgspec.msgpack.Decoder(list[Entry])
_encoder = msgspec.msgpack.Encoder()


class Index:
    """Used from one thread at a time."""

    def __init__(self, path: Path, envelope: Envelope, meter: Meter) -> None:
        self._path = path
        self._envelope = envelope
        self._meter = meter
        self._end = 0  # behind the last whole frame: what lies there is overwritten
        self._entries = 0

    def load(self) -> dict[PartKey, Entry]:
        """Every entry up to the first damaged frame."""
        found: dict[PartKey, Entry] = {}
        self._end = self._entries = 0
        try:
            data = memoryview(self._path.read_bytes())
        except OSError:
            return found
        if data[: len(MAGIC)] != MAGIC:
            return found
        self._end = len(MAGIC)
        while (frame := self._frame(data)) is not None:
            entries, self._end = frame
            self._entries += len(entries)
            found.update((entry.key, entry) for entry in entries)
        if self._end < len(data):
            log.warning("the block index %s is damaged at byte %d and mended", self._path, self._end)
        return found

    def _frame(self, data: memoryview) -> tuple[list[Entry], int] | None:
        start = self._end + _FRAME.size
        if start > len(data):
            return None
        size, checksum = _FRAME.unpack_from(data, self._end)
        body = data[start : start + size]
        if len(body) < size or crc32(body) != checksum:
            return None
        try:
            entries = _decoder.decode(self._envelope.unwrap_note(body))
            if any(chain(BlockHash(entry.parent), PackedTokens(entry.tokens)) != entry.hash for entry in entries):
                return None
        except (CorruptBlock, msgspec.DecodeError, ValueError):
            return None
        return entries, start + size

    def add(self, entries: Sequence[Entry]) -> None:
        data = (b"" if self._end else MAGIC) + self._framed(entries)
        with suppress(OSError):  # it is only slower without
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.ftruncate(file, self._end)
                written = os.pwrite(file, data, self._end)
            finally:
                os.close(file)
            self._meter.add(written)
            if written == len(data):
                self._end += written
                self._entries += len(entries)

    def _framed(self, entries: Sequence[Entry]) -> bytes:
        framed = []
        for start in range(0, len(entries), _BATCH):
            body = self._envelope.wrap_note(_encoder.encode(entries[start : start + _BATCH]))
            framed += [_FRAME.pack(len(body), crc32(body)), body]
        return b"".join(framed)

    def compact(self, live: BlockPool) -> None:
        """Write it anew where most of it is about files that are gone."""
        if self._entries <= 2 * len(live) + 1024:
            return
        entries = [entry for key, entry in self.load().items() if key in live]
        data = MAGIC + self._framed(entries)
        temporary = self._path.with_suffix(".tmp")
        try:
            temporary.write_bytes(data)
            temporary.replace(self._path)
        except OSError as error:
            log.warning("the block index %s cannot be written: %s", self._path, error)
            return
        self._end, self._entries = len(data), len(entries)
        self._meter.add(len(data))
