"""Attention of what is spoken over keys and values as they are packed.

mlx-lm's layers call one function, which they import by name; `attend` stands in its place and passes on whatever is
not packed. Keys and values may be packed differently, and the model may have sinks. A model that does anything else
with its cached keys, as those do that cache a latent, is found out by trying, and gets them unpacked.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
from mlx_lm.models.base import scaled_dot_product_attention

from agent_memory.adapters.mlx.codec import Codec, Packed

# In a head at once. A CPU writes them all down, and is the faster the less of them there is; kernels of a GPU do not,
# and want enough to do.
_MOST_SCORES = {mx.DeviceType.cpu: 1 << 19, mx.DeviceType.gpu: 1 << 23}
_LEAST_QUERIES = 64


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
        return mx.quantized_matmul(x, codes, scales, biases, transpose=transpose, **codec.groups)


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
        if not isinstance(cache, Witness) or queries.shape[2] == 1:
            return scaled_dot_product_attention(queries, keys, values, cache=cache, scale=scale, mask=mask, sinks=sinks)
        cache.attended = [
            scaled_dot_product_attention(*slice_, cache=cache, scale=scale, mask=part, sinks=sinks)
            for *slice_, part in _slices(queries, keys, values, mask)
        ]
        return mx.concatenate(cache.attended, axis=2)
    rows, heads, count, dim = queries.shape
    assert count == 1, f"{count} tokens spoken at once"
    kv_heads = keys.shape[1]
    scores = keys.times((queries * scale).reshape(rows, kv_heads, heads // kv_heads, dim), transpose=True)
    scores = _softmax(_masked(scores, mask), sinks)
    return values.times(scores, transpose=False).reshape(rows, heads, count, values.codec.dim)


def _slices(queries: mx.array, keys: mx.array, values: mx.array, mask: mx.array | str | None) -> Iterator[Any]:
    """Some queries at a time with what they may see, so that no slice takes long, however much was read. Where it is
    cut depends on the shapes alone: the same piece is always computed alike.
    """
    count, seen = queries.shape[2], keys.shape[2]
    step = max(_LEAST_QUERIES, _MOST_SCORES[mx.default_device().type] // seen)
    for start in range(0, count, step):
        stop = min(start + step, count)
        part, end = mask, seen
        if isinstance(mask, mx.array) and mask.ndim > 1 and mask.shape[-2] == count:
            part = mask[..., start:stop, :]
        elif mask == "causal":
            end = seen - count + stop
        yield queries[:, :, start:stop], keys[:, :, :end], values[:, :, :end], part


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
    if sinks is None:
        return mx.softmax(scores, axis=-1, precise=True)
    sink = mx.broadcast_to(sinks.astype(scores.dtype).reshape(1, *scores.shape[1:3], 1), (*scores.shape[:3], 1))
    return mx.softmax(mx.concatenate([scores, sink], axis=-1), axis=-1, precise=True)[..., :-1]


def install(model: Any) -> None:
    """Let the model's layers call `attend`. May be repeated."""
    for layer in model.modules():
        for kind in type(layer).__mro__:
            home = vars(sys.modules[kind.__module__])
            if home.get("scaled_dot_product_attention") is scaled_dot_product_attention:
                home["scaled_dot_product_attention"] = attend
