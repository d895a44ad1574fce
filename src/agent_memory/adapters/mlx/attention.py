"""What mlx-lm's layers call for their attention.

They import one function by name; `attend` stands in its place. What is spoken over packed keys and values is computed
here, much on a CPU by `cpu_attention`, and everything else passed on. Keys and values may be packed differently, and
the model may have sinks. A model that does anything else with its cached keys, as those do that cache a latent, is
found out by trying, and gets them unpacked.
"""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import mlx.core as mx
from mlx_lm.models.base import scaled_dot_product_attention

from agent_memory.adapters.mlx import cpu_attention as cpu
from agent_memory.adapters.mlx.codec import Codec, Packed


@dataclass(frozen=True, slots=True)
class PackedTensor:
    """Keys or values [rows, heads, tokens, dim] on their way through a model's layer to `attend`."""

    packed: Packed
    codec: Codec

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self.packed[0].shape[:-1], self.codec.dim)

    @property
    def dtype(self) -> mx.Dtype:
        return self.codec.compute

    def times(self, x: mx.array, *, transpose: bool) -> mx.array:
        """What `x @ this` gives, or `x` times this transposed."""
        codec = self.codec
        if not codec.encoding.quantized:
            plain = codec.unpack(self.packed)
            return x @ (plain.swapaxes(-1, -2) if transpose else plain)
        codes, scales, biases = self.packed
        scales, biases = scales.astype(x.dtype), biases.astype(x.dtype)
        # Turning is its own inverse: what meets turned vectors is turned as they are, what is made of them turned back.
        if transpose:
            return mx.quantized_matmul(codec.turn(x), codes, scales, biases, transpose=True, **codec.groups)
        return codec.turn(mx.quantized_matmul(x, codes, scales, biases, transpose=False, **codec.groups))


class Witness:
    """What `attend` was given as a layer's cache, and what the layer has attended to for several tokens, slice by
    slice: the half of it that grows with what was read. Known before it is computed.
    """

    attended: Sequence[mx.array] = ()


def attend(
    queries: mx.array, keys: Any, values: Any, cache: Any, scale: float, *, mask: Any, sinks: mx.array | None = None
) -> Any:
    """mlx-lm's scaled_dot_product_attention, also for one token's queries over packed keys and values.

    The queries of all heads that share keys are multiplied as the rows of one matrix.
    """
    if not isinstance(keys, PackedTensor) or not isinstance(values, PackedTensor):
        if isinstance(keys, mx.array) and cpu.gains(math.prod(queries.shape[:3]) * keys.shape[2]):
            seen = cpu.attention(queries, keys, values, scale, mask=mask, sinks=sinks)
        else:
            seen = [scaled_dot_product_attention(queries, keys, values, cache, scale=scale, mask=mask, sinks=sinks)]
        if isinstance(cache, Witness) and queries.shape[2] > 1:
            cache.attended = seen
        return seen[0] if len(seen) == 1 else mx.concatenate(seen, axis=2)
    rows, heads, count, dim = queries.shape
    assert count == 1, f"{count} tokens spoken at once"
    kv_heads = keys.shape[1]
    scores = keys.times((queries * scale).reshape(rows, kv_heads, heads // kv_heads, dim), transpose=True)
    scores = _softmax(_masked(scores, mask), sinks)
    return values.times(scores, transpose=False).reshape(rows, heads, count, values.codec.dim)


def _masked(scores: mx.array, mask: mx.array | str | None) -> mx.array:
    """`scores`: [rows, kv heads, heads that share keys, tokens]; `mask`: none, or [..., heads or 1, 1, tokens]."""
    if mask is None or isinstance(mask, str):
        return scores
    if mask.ndim > 3 and mask.shape[-3] > 1:
        mask = mask.reshape(*mask.shape[:-3], *scores.shape[1:3], mask.shape[-1])
    if mask.dtype == mx.bool_:
        return mx.where(mask, scores, mx.finfo(scores.dtype).min)
    return scores + mask


def _softmax(scores: mx.array, sinks: mx.array | None) -> mx.array:
    """A sink takes a share of a head's attention, and gives nothing for it."""
    softmax = cpu.softmax if cpu.gains(scores.size) else partial(mx.softmax, axis=-1, precise=True)
    if sinks is None:
        return softmax(scores)
    sink = mx.broadcast_to(sinks.astype(scores.dtype).reshape(1, *scores.shape[1:3], 1), (*scores.shape[:3], 1))
    return softmax(mx.concatenate([scores, sink], axis=-1))[..., :-1]


def install(model: Any) -> None:
    """Let the model's layers call `attend`. May be repeated."""
    for layer in model.modules():
        for kind in type(layer).__mro__:
            home = vars(sys.modules[kind.__module__])
            if home.get("scaled_dot_product_attention") is scaled_dot_product_attention:
                home["scaled_dot_product_attention"] = attend
