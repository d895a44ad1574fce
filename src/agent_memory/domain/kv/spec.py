"""The geometry of one model's cache, layer by layer, and what a token of it costs in bytes.

Knows nothing of tensors: an adapter reads these numbers off a loaded model.
"""

from dataclasses import dataclass
from enum import Enum
from math import prod

from agent_memory.domain.kv.precision import Encoding, Precision

BLOCK_TOKENS = 256
LAYOUT_VERSION = 2
STATE_TYPES = {"F32": 4, "F16": 2, "BF16": 2}
"""safetensors' names of the types that a recurrent state may have, and the bytes of one number."""


class LayerKind(Enum):
    FULL = "full"
    WINDOW = "window"
    RECURRENT = "recurrent"


@dataclass(frozen=True, slots=True)
class StateArray:
    """One array of a recurrent state; `dtype` is a name of STATE_TYPES, the type in which the model itself keeps it."""

    shape: tuple[int, ...]
    dtype: str

    @property
    def nbytes(self) -> int:
        return prod(self.shape) * STATE_TYPES[self.dtype]


class Attention(Enum):
    """What a running turn's attention reads: copies as wide as the model computes, or what is stored, as it is."""

    EXPANDED = "expanded"
    PACKED = "packed"


@dataclass(frozen=True, slots=True)
class Layer:
    """An attention layer caches a key and a value of so many numbers for each of its heads; where the latent is cached,
    that is one head. `window` is the number of tokens that a windowed layer looks back on, itself included.
    A recurrent layer keeps a state of fixed size instead, which every token changes whole.
    """

    kind: LayerKind
    kv_heads: int = 0
    key_dim: int = 0
    value_dim: int = 0
    window: int = 0
    state: tuple[StateArray, ...] = ()


@dataclass(frozen=True, slots=True)
class CacheSpec:
    layers: tuple[Layer, ...]
    precision: Precision
    block_tokens: int = BLOCK_TOKENS
    compute_bytes: int = 2
    """Bytes of one number while a turn runs; no part of what is stored, so no part of the identity."""
    attention: Attention = Attention.EXPANDED
    """No part of what is stored either: both read the same blocks."""

    @property
    def reach(self) -> int:
        """How many tokens before its end a restored prefix needs local parts for; 0 when every layer is full. A state
        alone needs that of the last block.
        """
        return max(*(layer.window for layer in self.layers), int(self.exact), 0)

    @property
    def windowed(self) -> bool:
        return any(layer.kind is LayerKind.WINDOW for layer in self.layers)

    @property
    def exact(self) -> bool:
        """Whether a prefix can be restored only where a block ends that has a local part: a state cannot be cut."""
        return any(layer.kind is LayerKind.RECURRENT for layer in self.layers)

    @property
    def state_bytes(self) -> int:
        """What all recurrent layers keep at one position, however long the prefix."""
        return sum(array.nbytes for layer in self.layers for array in layer.state)

    def lasting_bytes(self, tokens: int) -> int:
        return sum(self._stored(layer, tokens) for layer in self.layers if layer.kind is LayerKind.FULL)

    def local_bytes(self, tokens: int) -> int:
        """The local part of one block of `tokens`."""
        return self.window_bytes(tokens) + self.state_bytes

    def window_bytes(self, tokens: int) -> int:
        return sum(self._stored(layer, tokens) for layer in self.layers if layer.kind is LayerKind.WINDOW)

    def working_bytes(self, tokens: int, chunk: int) -> int:
        """What a running turn takes beside its blocks: its own copy of keys and values, and of the packed ones, while
        a prompt is read, one layer expanded. Windowed layers drop what they have passed, but hold a whole prefill
        chunk while they read it. A state is there twice while it changes.
        """
        states = 2 * self.state_bytes
        held = [min(tokens, layer.window + chunk) if layer.window else tokens for layer in self.layers]
        expanded = [self._expanded(layer, count) for layer, count in zip(self.layers, held, strict=True)]
        if self.attention is Attention.EXPANDED:
            return states + sum(expanded)
        packed = sum(self._stored(layer, count) for layer, count in zip(self.layers, held, strict=True))
        return states + packed + max(expanded, default=0)

    def _expanded(self, layer: Layer, tokens: int) -> int:
        return self.compute_bytes * tokens * layer.kv_heads * (layer.key_dim + layer.value_dim)

    def _stored(self, layer: Layer, tokens: int) -> int:
        keys, values = self.encodings(layer)
        vectors = tokens * layer.kv_heads
        return vectors * (keys.nbytes(layer.key_dim) + values.nbytes(layer.value_dim))

    def encodings(self, layer: Layer) -> tuple[Encoding, Encoding]:
        """How the layer's keys and values are kept."""
        return self.precision.of_keys(layer.key_dim), self.precision.of_values(layer.value_dim)

    @property
    def unpackable(self) -> tuple[int, ...]:
        """Dimensions that no group divides, and whose numbers are therefore kept in 16 bits against what is wanted."""
        wanted = self.precision
        keys = {layer.key_dim for layer in self.layers if self.encodings(layer)[0].bits != wanted.bits}
        values = {layer.value_dim for layer in self.layers if self.encodings(layer)[1].bits != wanted.value_bits}
        return tuple(sorted(keys | values))

    def __str__(self) -> str:
        precision, whole = self.precision, " and ".join(map(str, self.unpackable))
        bits = f"{precision}-bit" if precision.bits == precision.value_bits else str(precision).upper()
        but = f" (16-bit where a head has {whole} numbers, which no group divides)" if whole else ""
        return f"{bits} KV cache{but}, {self.attention.value} attention"

    @property
    def quantized(self) -> bool:
        """Whether anything is."""
        layers = (layer for layer in self.layers if layer.kv_heads)
        return any(encoding.quantized for layer in layers for encoding in self.encodings(layer))

    @property
    def identity(self) -> str:
        """Equal exactly when stored bytes of one spec can be read under the other."""
        layers = ",".join(_described(layer) for layer in self.layers)
        kept = {self.encodings(layer) for layer in self.layers if layer.kv_heads}
        # Where not all layers are kept alike, the rule that decides is named, and the dimensions do the rest.
        named = f"{self.precision}g{self.precision.group_size}"
        stored = named if len(kept) > 1 else "".join(f"{keys}/{values}" for keys, values in kept)
        return f"v{LAYOUT_VERSION};{stored};b{self.block_tokens};{layers}"


def _described(layer: Layer) -> str:
    if layer.kind is LayerKind.RECURRENT:
        arrays = "+".join(f"{'x'.join(map(str, array.shape))}{array.dtype}" for array in layer.state)
        return f"{layer.kind.value}:{arrays}"
    return f"{layer.kind.value}:{layer.kv_heads}x{layer.key_dim}/{layer.value_dim}w{layer.window}"
