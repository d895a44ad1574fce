"""Cache blocks as ledger entries: which tokens, after which prefix, in which namespace. No bytes of a cache.

A block's hash covers its parent's hash, so it names a whole prefix; the first parent is the namespace's root,
so a block of another tenant, model or precision has another hash and is never found.
"""

import hashlib
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, NewType

BlockHash = NewType("BlockHash", str)
PackedTokens = NewType("PackedTokens", bytes)
"""Token ids as unsigned 32-bit integers, side by side: a quarter of what a tuple of ints takes, and hashable."""

TOKEN_BYTES = 4


class Part(Enum):
    """Lasting: full-attention layers, valid for the block's tokens for ever.
    Local: windowed and recurrent layers, needed only where a restored prefix ends.
    """

    LASTING = "lasting"
    LOCAL = "local"


class PartKey(NamedTuple):
    hash: BlockHash
    part: Part


@dataclass(frozen=True, slots=True)
class Namespace:
    """Whose cache it is and what computed it. `model` is the fingerprint of weights, config and tokenizer."""

    tenant: str
    model: str
    spec: str

    @property
    def root(self) -> BlockHash:
        parts = (self.tenant, self.model, self.spec)
        framed = b"".join(len(p.encode()).to_bytes(4, "big") + p.encode() for p in parts)
        return BlockHash(hashlib.sha256(b"agent-memory root" + framed).hexdigest())


@dataclass(frozen=True, slots=True)
class CacheBlock:
    """`start` is the position of its first token in the conversation."""

    hash: BlockHash
    parent: BlockHash
    start: int
    tokens: PackedTokens

    def __len__(self) -> int:
        return len(self.tokens) // TOKEN_BYTES

    @property
    def end(self) -> int:
        return self.start + len(self)

    @classmethod
    def after(cls, parent: BlockHash, start: int, tokens: PackedTokens) -> "CacheBlock":
        return cls(chain(parent, tokens), parent, start, tokens)


def chain(parent: BlockHash, tokens: PackedTokens) -> BlockHash:
    return BlockHash(hashlib.sha256(bytes.fromhex(parent) + tokens).hexdigest())


def pack(tokens: Sequence[int]) -> PackedTokens:
    return PackedTokens(array("I", tokens).tobytes())


def unpack(tokens: PackedTokens) -> list[int]:
    return array("I", tokens).tolist()


def cut(tokens: PackedTokens, start: int, stop: int) -> PackedTokens:
    return PackedTokens(tokens[start * TOKEN_BYTES : stop * TOKEN_BYTES])


def common_prefix(a: PackedTokens, b: PackedTokens) -> int:
    """How many leading tokens are equal, by bisection: each probe compares bytes at memory speed."""
    low, high = 0, min(len(a), len(b)) // TOKEN_BYTES
    while low < high:
        middle = (low + high + 1) // 2
        if a[low * TOKEN_BYTES : middle * TOKEN_BYTES] == b[low * TOKEN_BYTES : middle * TOKEN_BYTES]:
            low = middle
        else:
            high = middle - 1
    return low
