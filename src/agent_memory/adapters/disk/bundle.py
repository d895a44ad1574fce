"""One agent as one file: a tar of its block files, what they are of, and last a digest of every byte before it.

Any tar lists it. The end is determined by the digest to the last byte, so no bit of the whole can change unnoticed.
"""

import hashlib
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from io import SEEK_END
from typing import BinaryIO

from agent_memory.adapters.disk.format import TooNew, decode, encode
from agent_memory.domain.errors import CorruptBlock, InvalidInput
from agent_memory.domain.kv.agents import Agent
from agent_memory.domain.kv.block import BlockHash, CacheBlock, Part
from agent_memory.ports.agents import Manifest, Origin
from agent_memory.ports.kv import BlockPayload, BytesPayload

FORMAT = "agent-memory-agent"
VERSION = 1
_MANIFEST = "manifest.json"
_RECORD = 512
_END = bytes(2 * _RECORD)
_CHUNK = 1 << 20


class TarBundleFormat:
    def write(self, origin: Origin) -> "TarBundleWriter":
        return TarBundleWriter(origin)

    def read(self, file: BinaryIO) -> "TarBundle":
        _prove_whole(file)
        file.seek(0)
        try:
            with tarfile.open(fileobj=file, mode="r:") as tar:
                *parts, manifest, _ = tar.getmembers()
                described = _manifest(_content(file, manifest))
        except (tarfile.TarError, ValueError, KeyError, TypeError) as error:
            raise InvalidInput("file", f"is no bundle of an agent: {error}") from None
        if len(parts) != described.parts:
            raise InvalidInput("file", f"holds {len(parts)} parts of {described.parts}")
        return TarBundle(file, parts, described)


class TarBundleWriter:
    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._digest = hashlib.sha256()
        self._parts = self._bytes = 0

    def part(self, block: CacheBlock, part: Part, payload: BlockPayload) -> bytes:
        data = encode(block, part, *self._origin, payload.buffers())
        self._parts += 1
        self._bytes += payload.nbytes
        return self._next(f"blocks/{block.hash}.{part.value}.safetensors", data)

    def finish(self, agent: Agent, root: BlockHash) -> bytes:
        manifest = {
            "format": FORMAT,
            "version": VERSION,
            "agent_id": agent.name.id,
            **self._origin._asdict(),
            "root": root,
            "tokens": agent.tokens,
            "parts": self._parts,
            "bytes": self._bytes,
        }
        return self._next(_MANIFEST, json.dumps(manifest, indent=1).encode()) + _seal(self._digest.hexdigest())

    def _next(self, name: str, data: bytes) -> bytes:
        member = _member(name, data)
        self._digest.update(member)
        return member


@dataclass(frozen=True, slots=True)
class TarBundle:
    file: BinaryIO
    members: list[tarfile.TarInfo]
    manifest: Manifest

    def parts(self) -> Iterator[tuple[CacheBlock, Part, BlockPayload]]:
        for member in self.members:
            try:
                header, content = decode(_content(self.file, member))
            except (CorruptBlock, TooNew) as error:
                raise InvalidInput("file", f"{member.name}: {error}") from None
            if (header.model, header.spec) != self.manifest.origin:
                raise InvalidInput("file", f"{member.name} is of another model than the rest")
            yield header.block, header.part, BytesPayload(content)


def _prove_whole(file: BinaryIO) -> None:
    seal = len(_seal("0" * 64))
    rest = file.seek(0, SEEK_END) - seal
    file.seek(0)
    digest = hashlib.sha256()
    while rest > 0 and (chunk := file.read(min(_CHUNK, rest))):
        digest.update(chunk)
        rest -= len(chunk)
    if rest or file.read() != _seal(digest.hexdigest()):
        raise InvalidInput("file", "is damaged, cut off, or no bundle of an agent: its digest does not match")


def _seal(digest: str) -> bytes:
    return _member("sha256", digest.encode()) + _END


def _member(name: str, data: bytes) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    return info.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % _RECORD)


def _content(file: BinaryIO, member: tarfile.TarInfo) -> bytes:
    file.seek(member.offset_data)
    return file.read(member.size)


def _manifest(data: bytes) -> Manifest:
    told = json.loads(data)
    if told["format"] != FORMAT:
        raise ValueError(f"its format is {told['format']!r}")
    if told["version"] > VERSION:
        raise ValueError(f"it has version {told['version']}; this program reads up to {VERSION}")
    return Manifest(
        agent_id=str(told["agent_id"]),
        origin=Origin(str(told["model"]), str(told["spec"])),
        root=BlockHash(told["root"]),
        tokens=int(told["tokens"]),
        parts=int(told["parts"]),
        nbytes=int(told["bytes"]),
    )
