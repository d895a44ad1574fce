"""One block part as one safetensors file: versioned header, tensors, and a digest over both.

A file is valid, corrupt, or newer than we can read; it is never half believed. Any safetensors reader can open it.
"""

import base64
import binascii
import ctypes
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import safetensors

from agent_memory.domain.errors import AgentMemoryError, CorruptBlock
from agent_memory.domain.kv.block import BlockHash, CacheBlock, PackedTokens, Part, PartKey, chain
from agent_memory.ports.kv import Buffer

FORMAT = "agent-memory-block"
VERSION = 1
MAX_HEADER = 1 << 20
_HASH = re.compile(r"[0-9a-f]{64}")
_DTYPES = {"U8": "uint8", "U16": "uint16", "U32": "uint32", "F16": "float16", "BF16": "bfloat16", "F32": "float32"}


class TooNew(AgentMemoryError):
    """Written by a later version: not ours to judge, and not to be destroyed."""


@dataclass(frozen=True, slots=True)
class Header:
    """`model` and `spec` say what computed the block; they are also in its hash, through the root of its chain."""

    block: CacheBlock
    part: Part
    model: str
    spec: str
    digest: str

    @property
    def key(self) -> PartKey:
        return PartKey(self.block.hash, self.part)

    def fields(self) -> dict[str, str]:
        return {
            "format": FORMAT,
            "version": str(VERSION),
            "part": self.part.value,
            "hash": self.block.hash,
            "parent": self.block.parent,
            "start": str(self.block.start),
            "tokens": base64.b64encode(self.block.tokens).decode(),
            "model": self.model,
            "spec": self.spec,
        }


def encode(block: CacheBlock, part: Part, model: str, spec: str, content: Mapping[str, Buffer]) -> bytes:
    fields = Header(block, part, model, spec, digest="").fields()
    whole = {name: bytes(buffer.data) for name, buffer in content.items()}
    described = [(name, buffer.dtype, buffer.shape, whole[name]) for name, buffer in content.items()]
    fields["digest"] = _digest(fields, described)
    specs = {
        name: safetensors.TensorSpec(
            dtype=_DTYPES[buffer.dtype],
            shape=list(buffer.shape),
            # `whole` keeps the bytes alive until serialize has copied them
            data_ptr=ctypes.cast(ctypes.c_char_p(whole[name]), ctypes.c_void_p).value or 0,
            data_len=len(whole[name]),
        )
        for name, buffer in content.items()
    }
    return bytes(safetensors.serialize(specs, metadata=fields))


def decode(data: bytes) -> tuple[Header, dict[str, Buffer]]:
    """Raises CorruptBlock for what is damaged in any way, TooNew for a later version."""
    header = read_header(data)
    try:
        tensors = safetensors.deserialize(data)
    except safetensors.SafetensorError as error:
        raise CorruptBlock(str(error)) from error
    content = {name: Buffer(t["dtype"], tuple(t["shape"]), bytes(t["data"])) for name, t in tensors}
    described = ((name, b.dtype, b.shape, bytes(b.data)) for name, b in content.items())
    if _digest(header.fields(), described) != header.digest:
        raise CorruptBlock("the digest does not match the content")
    return header, content


def read_header(data: bytes) -> Header:
    """From the file's beginning alone, which must hold the whole header. The tensors are not looked at."""
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 or size > MAX_HEADER or len(data) < 8 + size:
        raise CorruptBlock("the header is cut off")
    try:
        fields = json.loads(data[8 : 8 + size])["__metadata__"]
        return _header(fields)
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error) as error:
        raise CorruptBlock(f"the header cannot be read: {error}") from error


def _header(fields: Mapping[str, str]) -> Header:
    if fields["format"] != FORMAT:
        raise CorruptBlock(f"the format is {fields['format']!r}")
    if int(fields["version"]) > VERSION:
        raise TooNew(f"format version {fields['version']}; this program reads up to {VERSION}")
    tokens = PackedTokens(base64.b64decode(fields["tokens"], validate=True))
    if not (_HASH.fullmatch(fields["parent"]) and tokens and len(tokens) % 4 == 0):
        raise CorruptBlock("the header names no block")
    block = CacheBlock(BlockHash(fields["hash"]), BlockHash(fields["parent"]), int(fields["start"]), tokens)
    if chain(block.parent, tokens) != block.hash:
        raise CorruptBlock("the hash does not name these tokens")
    return Header(block, Part(fields["part"]), fields["model"], fields["spec"], fields["digest"])


def _digest(fields: Mapping[str, str], tensors: Iterable[tuple[str, str, tuple[int, ...], bytes]]) -> str:
    named = {key: value for key, value in fields.items() if key != "digest"}
    digest = hashlib.sha256(json.dumps(named, sort_keys=True).encode())
    for name, dtype, shape, data in sorted(tensors):
        digest.update(json.dumps([name, dtype, list(shape), len(data)]).encode())
        digest.update(data)
    return digest.hexdigest()
