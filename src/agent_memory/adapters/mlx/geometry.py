"""Reads a CacheSpec off a loaded model: from the caches it makes and what they hold, never from its name."""

from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from typing import Any

import mlx.core as mx
from mlx_lm.models.cache import ArraysCache, CacheList, KVCache, RotatingKVCache, make_prompt_cache

from agent_memory.adapters.mlx.attention import install
from agent_memory.adapters.mlx.caches import forms
from agent_memory.adapters.mlx.payload import safetensors_type
from agent_memory.domain.errors import Misconfigured
from agent_memory.domain.kv.precision import Precision
from agent_memory.domain.kv.spec import STATE_TYPES, Attention, CacheSpec, Layer, LayerKind, StateArray


def read_layers(model: Any) -> tuple[Layer, ...]:
    """Passes a few tokens through the model for the shapes of what it caches; nothing is computed, so the weights need
    not be there. Where a layer has several caches in a list, each counts as one of ours.

    Raises Misconfigured for a kind of cache that cannot be kept.
    """
    caches = make_prompt_cache(model)
    model(mx.array([[0, 0]]), cache=caches)
    layers = _layers(caches)
    if any(layer.state for layer in layers):
        model(mx.array([[0]]), cache=caches)
        for number, (one, other) in enumerate(zip(layers, _layers(caches), strict=True)):
            if one.state != other.state:
                raise Misconfigured(
                    f"cache {number} of this model is an ArraysCache that changes its shape or type as it reads, which "
                    "is not supported"
                )
    return layers


def grouping(model: Any) -> Callable[[list[Any]], list[Any]]:
    """How the model wants one cache for each of our layers: as they are, but for some that belong in one list."""
    sizes = [len(cache.caches) if type(cache) is CacheList else 0 for cache in make_prompt_cache(model)]

    def grouped(caches: list[Any]) -> list[Any]:
        left = iter(caches)
        return [CacheList(*islice(left, size)) if size else next(left) for size in sizes]

    return grouped


def _layers(caches: list[Any]) -> tuple[Layer, ...]:
    return tuple(
        _layer(number, cache)
        for number, whole in enumerate(caches)
        for cache in (whole.caches if type(whole) is CacheList else [whole])
    )


def _layer(number: int, cache: Any) -> Layer:
    if type(cache) is ArraysCache and all(array is not None for array in cache.cache):
        return Layer(LayerKind.RECURRENT, state=tuple(_state(number, array) for array in cache.cache))
    if type(cache) is KVCache and not cache.empty():
        kind, window = LayerKind.FULL, 0
    elif type(cache) is RotatingKVCache and cache.keep == 0 and not cache.empty():
        kind, window = LayerKind.WINDOW, cache.max_size
    else:
        raise Misconfigured(f"layer {number} of this model keeps a {type(cache).__name__}, which is not supported")
    _, heads, _, key_dim = cache.keys.shape
    return Layer(kind, heads, key_dim, cache.values.shape[-1], window)


def _state(number: int, array: mx.array) -> StateArray:
    name = safetensors_type(array)
    if name not in STATE_TYPES:
        raise Misconfigured(
            f"layer {number} of this model keeps an ArraysCache of {array.dtype}, which is not supported"
        )
    return StateArray(tuple(array.shape[1:]), name)


def read_spec(model: Any, wanted: Precision, compute: mx.Dtype) -> CacheSpec:
    return CacheSpec(read_layers(model), wanted, compute_bytes=compute.size)


def hands_on_untouched(model: Any, spec: CacheSpec, compute: mx.Dtype) -> bool:
    """Whether the model's attention takes keys and values as its caches give them: tried with a token over packed ones.

    A model that multiplies or splits them itself fails at once, since they are no arrays.
    """
    install(model)
    trial = forms(replace(spec, attention=Attention.PACKED), compute, untouched=True)
    try:
        mx.eval(model(mx.array([[0]]), cache=grouping(model)([form.empty(None).seen for form in trial])))
    except (TypeError, AttributeError, ValueError):
        return False
    return True
