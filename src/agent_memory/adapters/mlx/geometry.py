"""Reads a CacheSpec off a loaded model: from the caches it makes and what they hold, never from its name."""

from typing import Any

import mlx.core as mx
from mlx_lm.models.cache import KVCache, RotatingKVCache, make_prompt_cache

from agent_memory.domain.errors import Misconfigured
from agent_memory.domain.kv.spec import FULL_BITS, GROUP_SIZES, CacheSpec, Layer, LayerKind, Precision


def read_layers(model: Any) -> tuple[Layer, ...]:
    """Runs one token through the model. Raises Misconfigured for a kind of cache that cannot be kept yet."""
    caches = make_prompt_cache(model)
    mx.eval(model(mx.array([[0]]), cache=caches))
    return tuple(_layer(number, cache) for number, cache in enumerate(caches))


def _layer(number: int, cache: Any) -> Layer:
    if type(cache) is KVCache:
        kind, window = LayerKind.FULL, 0
    elif type(cache) is RotatingKVCache and cache.keep == 0:
        kind, window = LayerKind.WINDOW, cache.max_size
    else:
        raise Misconfigured(f"layer {number} of this model keeps a {type(cache).__name__}, which is not supported yet")
    _, heads, _, key_dim = cache.keys.shape
    return Layer(kind, heads, key_dim, cache.values.shape[-1], window)


def fitting_precision(layers: tuple[Layer, ...], wanted: Precision) -> Precision:
    """The wanted bits with the largest group, no larger than wanted, that divides every head; else 16 bits."""
    dims = {dim for layer in layers for dim in (layer.key_dim, layer.value_dim)}
    for group in GROUP_SIZES:
        if group <= wanted.group_size and all(dim % group == 0 for dim in dims):
            return Precision(wanted.bits, group)
    return Precision(FULL_BITS, wanted.group_size)


def read_spec(model: Any, wanted: Precision, compute: mx.Dtype) -> CacheSpec:
    layers = read_layers(model)
    return CacheSpec(layers, fitting_precision(layers, wanted), compute_bytes=compute.size)
