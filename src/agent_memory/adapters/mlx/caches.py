"""One layer's cache: mlx-lm's own, given keys and values as the store will give them back, and a tape of them.

Attention computes over the expanded copy in the inner cache; the packed form on the tape is what is kept.
"""

from typing import Any

import mlx.core as mx
from mlx_lm.models.cache import KVCache, RotatingKVCache

from agent_memory.adapters.mlx.codec import Codec, Packed, cut, tokens
from agent_memory.adapters.mlx.tape import BatchTape, Tape
from agent_memory.domain.kv.spec import Layer, LayerKind


class LayerCache:
    """Speaks the part of mlx-lm's cache protocol that models use. `inner` serves one turn or a batch of them."""

    def __init__(self, inner: Any, codec: Codec, tape: Tape | BatchTape) -> None:
        self.inner = inner
        self.tape = tape
        self._codec = codec

    @property
    def offset(self) -> Any:
        return self.inner.offset

    def make_mask(self, *args: Any, **kwargs: Any) -> Any:
        return self.inner.make_mask(*args, **kwargs)

    def update_and_fetch(self, keys: mx.array, values: mx.array) -> Any:
        packed_keys, packed_values = self._codec.pack(keys), self._codec.pack(values)
        self.tape.record(packed_keys, packed_values)
        return self.inner.update_and_fetch(self._codec.unpack(packed_keys), self._codec.unpack(packed_values))

    def arrays(self) -> list[mx.array]:
        """Everything that a step has to compute."""
        return [self.inner.keys, self.inner.values, *self.tape.latest()]


def empty(layer: Layer, codec: Codec, tape: Tape) -> LayerCache:
    return LayerCache(_inner(layer), codec, tape)


def restored(layer: Layer, codec: Codec, tape: Tape, *, keys: Packed, values: Packed, length: int) -> LayerCache:
    """A cache that holds a prefix of `length` tokens; of a windowed layer, the last window of it or all there is.

    `keys` and `values` end where the prefix ends; `tape` has what comes after the last whole block.
    """
    inner = _inner(layer)
    have, held = tokens(keys), min(length, layer.window or length)
    assert have >= held, f"{held} tokens from {have}"
    inner.keys = codec.unpack(cut(keys, have - held, have))
    inner.values = codec.unpack(cut(values, have - held, have))
    inner.offset = length
    if layer.kind is LayerKind.WINDOW:
        inner._idx = held  # noqa: SLF001  # where the ring is written next: mlx-lm has no other way to fill one
    return LayerCache(inner, codec, tape)


def _inner(layer: Layer) -> Any:
    return KVCache() if layer.kind is LayerKind.FULL else RotatingKVCache(max_size=layer.window, keep=0)
