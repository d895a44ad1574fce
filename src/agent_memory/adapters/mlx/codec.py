"""Keys and values between the form attention computes with and the packed form that is kept.

Packed is the truth: what attention sees is always what unpacking gives back, in the turn that computed it too.
Scales and biases are fp16 whatever the model computes in: half of fp32, and finer than bf16.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import mlx.core as mx

from agent_memory.domain.kv.precision import Encoding
from agent_memory.domain.kv.spec import CacheSpec, Layer

Packed = tuple[mx.array, ...]
"""One tensor [..., heads, tokens, width] as quantized codes, scales and biases, or as itself in 16 bits."""

FP16_MAX = 65504.0


@dataclass(frozen=True, slots=True)
class Codec:
    """Of vectors of `dim` numbers. `compute` is the type that attention computes in, `stored` the 16-bit type of what
    is not quantized.
    """

    encoding: Encoding
    dim: int
    compute: mx.Dtype
    stored: mx.Dtype

    def pack(self, x: mx.array) -> Packed:
        if not self.encoding.quantized:
            return (_within(x, self.stored).astype(self.stored),)
        exact = self.turn(_within(x, mx.float16).astype(self._exact))
        codes, scales, biases = mx.quantize(exact, **self.groups)
        return codes, scales.astype(mx.float16), biases.astype(mx.float16)

    def unpack(self, packed: Packed) -> mx.array:
        if not self.encoding.quantized:
            return packed[0].astype(self.compute)
        codes, scales, biases = packed
        exact = mx.dequantize(codes, scales.astype(self._exact), biases.astype(self._exact), **self.groups)
        return self.turn(exact).astype(self.compute)

    def turn(self, x: mx.array) -> mx.array:
        """There, and by the same way back: the matrix is its own inverse. Each vector is turned by itself, so that it
        does not matter how many are at a time.
        """
        if not self.encoding.rotated:
            return x
        return hadamard(x.reshape(*x.shape[:-1], -1, self.encoding.group_size)).reshape(x.shape)

    @property
    def groups(self) -> dict[str, Any]:
        """As MLX's functions take them."""
        return {"group_size": self.encoding.group_size, "bits": self.encoding.bits}

    @property
    def _exact(self) -> mx.Dtype:
        """What rounding is computed in: bf16 has too few digits for it, and a CPU unpacks fp16 a twentieth as fast."""
        return mx.float32 if self.compute == mx.float32 else mx.float16

    @property
    def layout(self) -> list[tuple[mx.Dtype, int]]:
        """Type and last dimension of each packed array."""
        if not self.encoding.quantized:
            return [(self.stored, self.dim)]
        groups = self.dim // self.encoding.group_size
        return [(mx.uint32, self.dim * self.encoding.bits // 32), (mx.float16, groups), (mx.float16, groups)]


@dataclass(frozen=True, slots=True)
class LayerCodec:
    """What packs and unpacks the keys of a layer, and what its values."""

    keys: Codec
    values: Codec

    @classmethod
    def of(cls, spec: CacheSpec, layer: Layer, compute: mx.Dtype) -> "LayerCodec":
        stored = mx.bfloat16 if compute == mx.bfloat16 else mx.float16
        keys, values = spec.encodings(layer)
        return cls(Codec(keys, layer.key_dim, compute, stored), Codec(values, layer.value_dim, compute, stored))


def hadamard(x: mx.array) -> mx.array:
    """The last axis times the orthonormal Hadamard matrix; its length is a power of two."""
    if _has_kernel():
        return mx.hadamard_transform(x)
    size, width = int(x.shape[-1]), 1
    while width < size:
        pairs = x.reshape(*x.shape[:-1], size // (2 * width), 2, width)
        one, other = pairs[..., 0, :], pairs[..., 1, :]
        x = mx.stack([one + other, one - other], axis=-2).reshape(x.shape)
        width *= 2
    return x * (1 / math.sqrt(size))


@cache
def _has_kernel() -> bool:
    """Not every backend of MLX has one."""
    try:
        mx.eval(mx.hadamard_transform(mx.zeros((1, 32))))
    except RuntimeError:
        return False
    return True


def _within(x: mx.array, dtype: mx.Dtype) -> mx.array:
    """Of what fp16 cannot hold, the nearest that it can."""
    return mx.clip(x, -FP16_MAX, FP16_MAX) if dtype == mx.float16 and x.dtype != mx.float16 else x


def join(parts: Sequence[Packed], room: int = 0) -> Packed:
    """End to end along the tokens, and so many tokens of zeros behind."""
    if room:
        parts = [*parts, tuple(mx.zeros((*a.shape[:-2], room, a.shape[-1]), a.dtype) for a in parts[-1])]
    if len(parts) == 1:
        return parts[0]
    return tuple(mx.concatenate(list(arrays), axis=-2) for arrays in zip(*parts, strict=True))


def cut(packed: Packed, start: int, stop: int) -> Packed:
    """Tokens start to stop."""
    return tuple(array[..., start:stop, :] for array in packed)


def tokens(packed: Packed) -> int:
    return int(packed[0].shape[-2])
