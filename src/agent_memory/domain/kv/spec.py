"""The geometry of one model's cache, layer by layer, and what a token of it costs in bytes.

Knows nothing of tensors: an adapter reads these numbers off a loaded model.
"""

from dataclasses import dataclass
from enum import Enum

from agent_memory.domain.kv.precision import Encoding, Precision

BLOCK_TOKENS = 256
LAYOUT_VERSION = 1


class LayerKind(Enum):
    FULL = "full"
    WINDOW = "window"


class Attention(Enum):
    """What a running turn's attention reads: copies as wide as the model computes, or what is stored, as it is."""

    EXPANDED = "expanded"
    PACKED = "packed"


@dataclass(frozen=True, slots=True)
class Layer:
    """One attention layer, which caches a key and a value of so many numbers for each of its heads; where the latent
    is cached, that is one head. `window` is the number of tokens that a windowed layer looks back on, itself included.
    """

    kind: LayerKind
    kv_heads: int
    key_dim: int
    value_dim: int
    window: int = 0


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
        """How many tokens before its end a restored prefix needs local parts for; 0 when every layer is full."""
        return max((layer.window for layer in self.layers if layer.kind is LayerKind.WINDOW), default=0)

    def lasting_bytes(self, tokens: int) -> int:
        return sum(self._stored(layer, tokens) for layer in self.layers if layer.kind is LayerKind.FULL)

    def local_bytes(self, tokens: int) -> int:
        return sum(self._stored(layer, tokens) for layer in self.layers if layer.kind is LayerKind.WINDOW)

    def working_bytes(self, tokens: int, chunk: int) -> int:
        """What a running turn takes beside its blocks: its own copy of keys and values, and of the packed ones, while
        a prompt is read, one layer expanded. Windowed layers drop what they have passed, but hold a whole prefill
        chunk while they read it.
        """
        held = [min(tokens, layer.window + chunk) if layer.window else tokens for layer in self.layers]
        expanded = [self._expanded(layer, count) for layer, count in zip(self.layers, held, strict=True)]
        if self.attention is Attention.EXPANDED:
            return sum(expanded)
        packed = sum(self._stored(layer, count) for layer, count in zip(self.layers, held, strict=True))
        return packed + max(expanded, default=0)

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
        return any(encoding.quantized for layer in self.layers for encoding in self.encodings(layer))

    @property
    def identity(self) -> str:
        """Equal exactly when stored bytes of one spec can be read under the other."""
        layers = ",".join(
            f"{layer.kind.value}:{layer.kv_heads}x{layer.key_dim}/{layer.value_dim}w{layer.window}"
            for layer in self.layers
        )
        kept = {encoding for layer in self.layers if layer.kv_heads for encoding in self.encodings(layer)}
        # Where keys and values are not all kept alike, the rule that decides is named, and the dimensions do the rest.
        stored = str(kept.pop()) if len(kept) == 1 else f"{self.precision}g{self.precision.group_size}"
        return f"v{LAYOUT_VERSION};{stored};b{self.block_tokens};{layers}"
