"""The geometry of one model's cache, layer by layer, and what a token of it costs in bytes.

Knows nothing of tensors: an adapter reads these numbers off a loaded model.
"""

from dataclasses import dataclass
from enum import Enum

from agent_memory.domain.errors import Misconfigured

BLOCK_TOKENS = 256
LAYOUT_VERSION = 1
FULL_BITS = 16
QUANTIZED_BITS = (4, 8)
GROUP_SIZES = (128, 64, 32)


class LayerKind(Enum):
    FULL = "full"
    WINDOW = "window"


@dataclass(frozen=True, slots=True)
class Layer:
    """One attention layer. `window` is the number of tokens that a windowed layer looks back on, itself included."""

    kind: LayerKind
    kv_heads: int
    key_dim: int
    value_dim: int
    window: int = 0


@dataclass(frozen=True, slots=True)
class Precision:
    """How keys and values are stored: affine 4 or 8 bits with an fp16 scale and bias per group, or 16 bits."""

    bits: int = 4
    group_size: int = 64

    def __post_init__(self) -> None:
        if self.bits not in (*QUANTIZED_BITS, FULL_BITS):
            raise Misconfigured(f"kv_bits must be 4, 8 or 16, not {self.bits}")
        if self.group_size not in GROUP_SIZES:
            raise Misconfigured(f"kv_group_size must be one of {GROUP_SIZES}, not {self.group_size}")

    @property
    def quantized(self) -> bool:
        return self.bits != FULL_BITS

    def nbytes(self, elements: int) -> int:
        if not self.quantized:
            return elements * 2
        scales_and_biases = 2 * 2 * (elements // self.group_size)
        return elements * self.bits // 8 + scales_and_biases


@dataclass(frozen=True, slots=True)
class CacheSpec:
    layers: tuple[Layer, ...]
    precision: Precision
    block_tokens: int = BLOCK_TOKENS
    compute_bytes: int = 2
    """Bytes of one number while a turn runs; no part of what is stored, so no part of the identity."""

    @property
    def reach(self) -> int:
        """How many tokens before its end a restored prefix needs local parts for; 0 when every layer is full."""
        return max((layer.window for layer in self.layers if layer.kind is LayerKind.WINDOW), default=0)

    def lasting_bytes(self, tokens: int) -> int:
        return self._bytes(LayerKind.FULL, tokens)

    def local_bytes(self, tokens: int) -> int:
        return self._bytes(LayerKind.WINDOW, tokens)

    def working_bytes(self, tokens: int, chunk: int) -> int:
        """What a running turn takes beside its blocks: expanded keys and values; windowed layers drop what they
        have passed, but hold a whole prefill chunk while they read it.
        """
        return self.compute_bytes * sum(
            layer.kv_heads
            * (layer.key_dim + layer.value_dim)
            * (min(tokens, layer.window + chunk) if layer.kind is LayerKind.WINDOW else tokens)
            for layer in self.layers
        )

    def _bytes(self, kind: LayerKind, tokens: int) -> int:
        return sum(
            self.precision.nbytes(tokens * layer.kv_heads * dim)
            for layer in self.layers
            if layer.kind is kind
            for dim in (layer.key_dim, layer.value_dim)
        )

    @property
    def identity(self) -> str:
        """Equal exactly when stored bytes of one spec can be read under the other."""
        layers = ",".join(
            f"{layer.kind.value}:{layer.kv_heads}x{layer.key_dim}/{layer.value_dim}w{layer.window}"
            for layer in self.layers
        )
        p = self.precision
        stored = f"q{p.bits}g{p.group_size}" if p.quantized else "16"
        return f"v{LAYOUT_VERSION};{stored};b{self.block_tokens};{layers}"
