"""Keys and values between the form attention computes with and the packed form that is kept.

Packed is the truth: what attention sees is always what unpacking gives back, in the turn that computed it too.
Scales and biases are fp16 whatever the model computes in: half of fp32, and finer than bf16.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import mlx.core as mx

from agent_memory.domain.kv.spec import Precision

Packed = tuple[mx.array, ...]
"""One tensor [..., heads, tokens, width] as quantized codes, scales and biases, or as itself in 16 bits."""

FP16_MAX = 65504.0


@dataclass(frozen=True, slots=True)
class Codec:
    """`compute` is the type that attention computes in, `stored` the 16-bit type of what is not quantized."""

    precision: Precision
    compute: mx.Dtype
    stored: mx.Dtype

    def pack(self, x: mx.array) -> Packed:
        if not self.precision.quantized:
            return (self._narrow(x, self.stored),)
        narrow = self._narrow(x, mx.float16)
        return tuple(mx.quantize(narrow, group_size=self.precision.group_size, bits=self.precision.bits))

    def _narrow(self, x: mx.array, dtype: mx.Dtype) -> mx.array:
        if dtype == mx.float16 and x.dtype != mx.float16:
            x = mx.clip(x, -FP16_MAX, FP16_MAX)
        return x.astype(dtype)

    def unpack(self, packed: Packed) -> mx.array:
        if not self.precision.quantized:
            return packed[0].astype(self.compute)
        codes, scales, biases = packed
        p = self.precision
        return mx.dequantize(codes, scales, biases, group_size=p.group_size, bits=p.bits).astype(self.compute)

    def layout(self, dim: int) -> list[tuple[mx.Dtype, int]]:
        """Type and last dimension of each packed array of vectors of `dim` numbers."""
        if not self.precision.quantized:
            return [(self.stored, dim)]
        groups = dim // self.precision.group_size
        return [(mx.uint32, dim * self.precision.bits // 32), (mx.float16, groups), (mx.float16, groups)]


def join(parts: Sequence[Packed]) -> Packed:
    """End to end along the tokens."""
    if len(parts) == 1:
        return parts[0]
    return tuple(mx.concatenate(list(arrays), axis=-2) for arrays in zip(*parts, strict=True))


def cut(packed: Packed, start: int, stop: int) -> Packed:
    """Tokens start to stop."""
    return tuple(array[..., start:stop, :] for array in packed)


def tokens(packed: Packed) -> int:
    return int(packed[0].shape[-2])
