"""Attention of many queries on a CPU.

Knows keys, values and masks as mlx-lm gives them to its scaled_dot_product_attention. MLX computes exponentials on an
x86 CPU one number at a time, ten nanoseconds each, which is most of what attention takes; made of its plain
arithmetic, which is vectorised, they take two. So what can be seen is taken tile by tile, as much as a core's cache
holds.
"""

import math
import sys
from collections.abc import Iterator

import mlx.core as mx

Mask = mx.array | str | None

_LEAST = 1 << 15  # scores; below, MLX's own is as fast
_TILE = 1 << 19  # scores
_QUERIES = 64  # of a slice
_NEVER = -1e30

# 2^f for -1/2 <= f <= 1/2, least squares of the relative error at Chebyshev points: within 8e-8.
_POWERS = (
    1.0000000710296983, 0.6931469491610631, 0.24022121753561665, 0.05550742616002544, 0.009675459745517631,
    0.0013266970386325919,
)  # fmt: skip
_ROUNDING = 1.5 * 2.0**23  # added to a float32 it leaves the nearest whole number in the lowest bits
_LOG2E = math.log2(math.e)


def gains(scores: int) -> bool:
    """Whether attention with so many scores is computed faster here. On other systems MLX's exponentials are fast."""
    return sys.platform == "linux" and scores >= _LEAST and mx.default_device() == mx.Device(mx.cpu)


def softmax(scores: mx.array) -> mx.array:
    """Along the last axis, in float32 and returned as it came."""
    precise = scores.astype(mx.float32) * _LOG2E
    weights = exp2(precise - mx.max(precise, axis=-1, keepdims=True))
    return (weights / mx.sum(weights, axis=-1, keepdims=True)).astype(scores.dtype)


def attention(
    queries: mx.array, keys: mx.array, values: mx.array, scale: float, *, mask: Mask, sinks: mx.array | None
) -> list[mx.array]:
    """mlx-lm's scaled_dot_product_attention, some queries at a time: to be concatenated along axis 2.

    `queries`: [rows, heads, tokens, dim], `keys` and `values`: [rows, kv heads, tokens seen, dim], `mask`: none,
    "causal", or an array that can be broadcast to [rows, heads, tokens, tokens seen].
    """
    queries = queries * (scale * _LOG2E)
    tokens, seen = queries.shape[2], keys.shape[2]
    attended = []
    for start, stop in _slices(tokens):
        part: Mask = mask
        end = seen
        if isinstance(mask, mx.array) and mask.ndim > 1 and mask.shape[-2] == tokens:
            part = mask[..., start:stop, :]
        elif mask == "causal":
            end = seen - tokens + stop
        some = queries[:, :, start:stop]
        attended.append(_attended(some, keys[:, :, :end], values[:, :, :end], part, sinks))
    return attended


def _slices(tokens: int) -> Iterator[tuple[int, int]]:
    """As even as can be: a matrix of few rows is multiplied no faster than one of many."""
    count = -(-tokens // _QUERIES)
    for number in range(count):
        yield tokens * number // count, tokens * (number + 1) // count


def _attended(queries: mx.array, keys: mx.array, values: mx.array, mask: Mask, sinks: mx.array | None) -> mx.array:
    rows, heads, tokens, dim = queries.shape
    kv_heads, seen = keys.shape[1:3]
    shared = heads // kv_heads
    # The queries of all heads that share keys are the rows of one matrix.
    queries = queries.reshape(rows, kv_heads, shared * tokens, dim)
    if sinks is not None:
        sinks = mx.repeat(sinks.astype(mx.float32) * _LOG2E, tokens).reshape(1, kv_heads, shared * tokens, 1)
    if isinstance(mask, mx.array):
        mask = _by_head(mask, kv_heads)
    some = max(1, _TILE // (rows * shared * tokens * seen))
    tiles = []
    for first in range(0, kv_heads, some):
        these = slice(first, first + some)
        seen_by = mask[:, these] if isinstance(mask, mx.array) and mask.shape[1] > 1 else mask
        sunk = None if sinks is None else sinks[:, these]
        tiles.append(_tile(queries[:, these], keys[:, these], values[:, these], tokens, mask=seen_by, sinks=sunk))
    return mx.concatenate(tiles, axis=1).reshape(rows, heads, tokens, values.shape[-1])


def _by_head(mask: mx.array, kv_heads: int) -> mx.array:
    """[rows or 1, kv heads or 1, heads that share keys or 1, tokens or 1, tokens seen]."""
    mask = mask.reshape(*(1,) * (4 - mask.ndim), *mask.shape)
    if mask.shape[1] == 1:
        return mask[:, :, None]
    return mask.reshape(mask.shape[0], kv_heads, -1, *mask.shape[2:])


def _tile(
    queries: mx.array, keys: mx.array, values: mx.array, tokens: int, *, mask: Mask, sinks: mx.array | None
) -> mx.array:
    scores = (queries @ keys.swapaxes(-1, -2)).astype(mx.float32)
    scores = _masked(scores, mask, tokens)
    greatest = mx.max(scores, axis=-1, keepdims=True)
    if sinks is not None:
        greatest = mx.maximum(greatest, sinks)
    weights = exp2(scores - greatest)
    total = mx.sum(weights, axis=-1, keepdims=True)
    if sinks is not None:  # they take a share of a head's attention, and give nothing for it
        total = total + exp2(sinks - greatest)
    return ((weights.astype(values.dtype) @ values) / total).astype(values.dtype)


def _masked(scores: mx.array, mask: Mask, tokens: int) -> mx.array:
    """`scores`: [rows, kv heads, heads that share keys x tokens, tokens seen], as powers of two."""
    if mask is None or (isinstance(mask, str) and tokens == 1):
        return scores
    seen = scores.shape[-1]
    apart = scores.reshape(*scores.shape[:2], -1, tokens, seen)
    if isinstance(mask, str):  # all see what came before them
        now = mx.arange(tokens)
        last = apart[..., seen - tokens :]
        apart[..., seen - tokens :] = mx.where(now[:, None] >= now, last, _NEVER)
    elif mask.dtype == mx.bool_:
        apart = mx.where(mask, apart, _NEVER)
    else:
        apart = mx.maximum(apart + mask.astype(mx.float32) * _LOG2E, _NEVER)
    return apart.reshape(scores.shape)


def exp2(x: mx.array) -> mx.array:
    """Two to the power of `x`, float32 and at most 0, within 2e-7 of it; what is less than 2^-100 is that."""
    x = mx.maximum(x, -100.0)
    rounded = x + _ROUNDING
    rest = x - (rounded - _ROUNDING)
    power = rest * _POWERS[-1]
    for coefficient in reversed(_POWERS[1:-1]):
        power = (power + coefficient) * rest
    power = power + _POWERS[0]
    # The whole number is added to the exponent.
    return (power.view(mx.int32) + (rounded.view(mx.int32) << 23)).view(mx.float32)
