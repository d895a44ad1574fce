"""One layer's cache: mlx-lm's own, given keys and values as the store will give them back, and a tape of them.

Attention computes over the expanded copy in the inner cache; the packed form on the tape is what is kept. What is being
spoken is neither rounded nor taped: it is read again, both rounded and taped, when the answer is complete.
"""

from typing import Any

import mlx.core as mx
from mlx_lm.models.cache import KVCache, RotatingKVCache

from agent_memory.adapters.mlx.codec import Codec, Packed, cut, tokens
from agent_memory.adapters.mlx.tape import Tape
from agent_memory.domain.kv.spec import Layer, LayerKind


class LayerCache:
    """Speaks the part of mlx-lm's cache protocol that models use. `inner` serves one turn or a batch of them."""

    def __init__(self, inner: Any, codec: Codec, tape: Tape | None = None) -> None:
        self.inner = inner
        self.tape = tape
        self._codec = codec
        self._mark: tuple[Any, ...] = ()

    @property
    def offset(self) -> Any:
        return self.inner.offset

    def make_mask(self, *args: Any, **kwargs: Any) -> Any:
        return self.inner.make_mask(*args, **kwargs)

    def update_and_fetch(self, keys: mx.array, values: mx.array) -> Any:
        if self.tape is None:
            return self.inner.update_and_fetch(keys, values)
        packed_keys, packed_values = self._codec.pack(keys), self._codec.pack(values)
        self.tape.record(packed_keys, packed_values)
        return self.inner.update_and_fetch(self._codec.unpack(packed_keys), self._codec.unpack(packed_values))

    def arrays(self) -> list[mx.array]:
        """Everything that a step has to compute."""
        return [self.inner.keys, self.inner.values, *(self.tape.latest() if self.tape else ())]

    def mark(self) -> None:
        """Remember this place. What a layer keeps for ever is only cut back; a ring has to be kept as it is."""
        inner = self.inner
        if isinstance(inner, RotatingKVCache):
            keys, values, *place = inner.state
            # A slice is an array of its own: writing to the ring copies it. A ring may be empty yet.
            self._mark = (keys if keys is None else keys[:], values if values is None else values[:], *place)
        else:
            self._mark = (inner.offset,)

    def cut(self, length: int) -> None:
        """Hold the first `length` tokens. What cannot be cut back, a ring, is asked for all that it holds."""
        if isinstance(self.inner, RotatingKVCache):
            assert length == self.inner.offset, f"a ring of {self.inner.offset} tokens cannot be cut to {length}"
        else:
            self.inner.offset = length

    def rewind(self) -> None:
        """Back to the mark."""
        if isinstance(self.inner, RotatingKVCache):
            self.inner.state = self._mark
        else:
            self.inner.offset = self._mark[0]


def empty(layer: Layer, codec: Codec, tape: Tape) -> LayerCache:
    return LayerCache(_inner(layer), codec, tape)


def restored(layer: Layer, codec: Codec, tape: Tape, *, keys: Packed, values: Packed, length: int) -> LayerCache:
    """A cache that holds a prefix of `length` tokens; of a windowed layer, the last window of it or all there is.

    `keys` and `values` end where the prefix ends; `tape` has what comes after the last whole block.
    """
    inner = _inner(layer)
    have, held = tokens(keys), min(length, layer.window or length)
    assert have >= held, f"{held} tokens from {have}"
    held_keys = codec.unpack(cut(keys, have - held, have))
    held_values = codec.unpack(cut(values, have - held, have))
    # offset; of a ring also: keep nothing for ever, its size, and where it is written next
    inner.state = (held_keys, held_values, length, *((0, layer.window, held) if layer.window else ()))
    return LayerCache(inner, codec, tape)


def _inner(layer: Layer) -> Any:
    return KVCache() if layer.kind is LayerKind.FULL else RotatingKVCache(max_size=layer.window, keep=0)
