"""What the engine needs of a model and of a place for blocks.

All synchronous. A ModelRuntime belongs to one thread. Of a BlockStore, `get` may run beside everything, itself too.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from agent_memory.domain.kv.block import BlockHash, CacheBlock, Part, PartKey
from agent_memory.domain.kv.spec import CacheSpec
from agent_memory.domain.kv.steps import Logprobs
from agent_memory.domain.kv.turn import Sampling, TurnId


@dataclass(frozen=True, slots=True)
class Buffer:
    """One tensor as bytes. `dtype` is a safetensors name ("U32", "F16", "BF16"); `data` is row-major, little-endian."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes | memoryview


class BlockPayload(Protocol):
    """The bytes of one part of one block, wherever they live. Immutable; may be shared."""

    @property
    def nbytes(self) -> int: ...

    def buffers(self) -> Mapping[str, Buffer]:
        """Named byte buffers. Copies at most once; the caller may keep them."""
        ...


@dataclass(frozen=True, slots=True)
class BytesPayload:
    """A payload that is bytes already."""

    content: Mapping[str, Buffer]

    @property
    def nbytes(self) -> int:
        return sum(len(buffer.data) for buffer in self.content.values())

    def buffers(self) -> Mapping[str, Buffer]:
        return self.content


@dataclass(frozen=True, slots=True)
class Piece:
    """What a restore brings of one block: its first `length` tokens; `local` where the end is within reach.

    Of a spec that is `exact`, the last piece has its block's whole length.
    """

    block: CacheBlock
    length: int
    lasting: BlockPayload
    local: BlockPayload | None


class ModelRuntime(Protocol):
    """A loaded model and the caches of the turns that run on it.

    Attention always sees keys and values as the store will give them back (rounded to the spec's precision), so
    that a prefix computed, found in memory or read from disk gives the same logits.
    """

    @property
    def fingerprint(self) -> str:
        """Names weights, config and tokenizer by their content. Another model never has the same."""
        ...

    @property
    def spec(self) -> CacheSpec: ...

    def open(self, turn: TurnId, sampling: Sampling, pieces: Sequence[Piece]) -> None:
        """Begin a turn whose cache holds the pieces, in order and without gaps. Raises CorruptBlock, and opens
        nothing, when a payload does not fit the spec. A turn that is open is begun anew.
        """
        ...

    def resume(self, parked: TurnId, turn: TurnId, sampling: Sampling, length: int) -> None:
        """Begin a turn in the cache of one that is open and speaks no more, cut to `length` tokens. How far it can be
        cut back, `domain.kv.parking` says.
        """
        ...

    def prefill(self, turn: TurnId, tokens: Sequence[int]) -> None:
        """Append tokens to the turn's cache."""
        ...

    def advance(self, turn: TurnId, seconds: float | None = None) -> bool:
        """Compute what `open` and `prefill` have begun, which they need not; `decode` and `read` would do it too. With
        a limit it is put down about in time, and the answer is whether it is done.
        """
        ...

    def decode(self, feeds: Sequence[tuple[TurnId, int]]) -> list[int]:
        """Append one token to each turn's cache and say the ones that follow, in the same order. Each turn's first
        decode since it was opened or prefilled is where it begins to speak.
        """
        ...

    def logprobs(self, turn: TurnId) -> Logprobs:
        """Of the token that the turn said last, if its sampling asks for them."""
        ...

    def rewind(self, turn: TurnId) -> None:
        """Go back to where the turn last began to speak."""
        ...

    def read(self, turn: TurnId, block: CacheBlock, parts: Iterable[Part]) -> dict[Part, BlockPayload]:
        """The turn's cache over the block's tokens. Only what was restored or prefilled can be read, since the last
        block that was read or restored whole; what lies before the block is let go. A state can be read only of the
        block that ends where the turn stands.
        """
        ...

    def close(self, turn: TurnId) -> None:
        """Free the turn's cache. May be repeated."""
        ...


@dataclass(frozen=True, slots=True)
class Scores:
    """For each token that followed: its natural log-probability, and the token that the model held for likeliest."""

    log_probs: list[float]
    likeliest: list[int]


class ScoringRuntime(ModelRuntime, Protocol):
    """A runtime that can be examined."""

    def score(self, turn: TurnId, tokens: Sequence[int], following: Sequence[int]) -> Scores:
        """As `prefill`, and says of each token of `following` how likely it was after the token of `tokens` at its
        place, and all before it.
        """
        ...


class BytesWritten(NamedTuple):
    today: int
    total: int


class BlockStore(Protocol):
    """A place for block parts. What it holds survives as long as the place does."""

    @property
    def budget(self) -> int:
        """How many bytes it may hold."""
        ...

    @property
    def used(self) -> int:
        """How many bytes it holds."""
        ...

    def known(self) -> Iterable[tuple[CacheBlock, Part]]:
        """What is held now, least recently used first."""
        ...

    def get(self, key: PartKey) -> BlockPayload | None:
        """None when absent, or found damaged: such a part is put out of the way, counted, and absent from then on."""
        ...

    def put(self, block: CacheBlock, part: Part, payload: BlockPayload, root: BlockHash) -> list[PartKey]:
        """Hold a part of the namespace `root`; returns what had to be evicted for it. May be repeated. Raises OSError
        when the place fails, PoolExhausted when it is too small, WritesSpent when no more may be written today, and
        then holds what it held before.
        """
        ...

    def size(self, key: PartKey) -> int | None:
        """How many bytes it takes up here; None when absent."""
        ...

    def pin(self, blocks: Iterable[BlockHash]) -> None:
        """From now on no part of these blocks is evicted, and of no others. May name what is not there. At most half
        of the budget is ever pinned: that is the caller's part.
        """
        ...

    def touch(self, key: PartKey) -> None:
        """It was used: make it the most recent. May name what is not there."""
        ...

    def demote(self, key: PartKey) -> None:
        """Make it the least recent, until it is used again. May name what is not there."""
        ...

    def delete(self, key: PartKey) -> None:
        """May be repeated, and may name what is not there."""
        ...

    @property
    def written(self) -> BytesWritten:
        """What was written to a place that wears out, today and ever. May be read from any thread."""
        ...
