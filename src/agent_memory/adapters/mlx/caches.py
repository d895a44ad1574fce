"""One layer's cache, given keys and values as the store will give them back, and a tape of them.

The packed form on the tape is what is kept. An expanded cache attends over a copy in mlx-lm's own; a packed one over
the packed form itself. What is being spoken is not taped: it is read again, and then taped, when the answer is
complete. Until then an expanded cache holds it unrounded.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import mlx.core as mx
from mlx_lm.models.cache import KVCache, RotatingKVCache

from agent_memory.adapters.mlx.attention import PackedTensor, Witness
from agent_memory.adapters.mlx.codec import LayerCodec, Packed, cut, join, tokens
from agent_memory.adapters.mlx.packed import PackedCache
from agent_memory.adapters.mlx.states import StateCache, empty_state
from agent_memory.adapters.mlx.tape import Tape
from agent_memory.domain.kv.spec import Attention, CacheSpec, Layer, LayerKind


@dataclass(frozen=True, slots=True)
class Form:
    """What the caches of one layer have in common. `untouched`: the model hands keys and values to attention as its
    cache gave them, so that they may stay packed while it speaks.
    """

    layer: Layer
    codec: LayerCodec
    attention: Attention
    untouched: bool = False

    def empty(self, tape: Tape | None) -> "LayerCache | StateCache":
        if self.layer.kind is LayerKind.RECURRENT:
            return empty_state(self.layer)
        return self._empty(tape)

    def _empty(self, tape: Tape | None) -> "LayerCache":
        window = self.layer.window
        if self.attention is Attention.PACKED:
            return PackedLayerCache(PackedCache(window), self, tape)
        return ExpandedCache(RotatingKVCache(max_size=window, keep=0) if window else KVCache(), self, tape)

    def restored(self, tape: Tape, keys: Sequence[Packed], values: Sequence[Packed], length: int) -> "LayerCache":
        """A cache that holds a prefix of `length` tokens; of a windowed layer, the last window of it or all there is.

        The parts of `keys` and `values` end where the prefix ends; `tape` has what comes after the last whole block.
        """
        have, held = sum(map(tokens, keys)), min(length, self.layer.window or length)
        assert have >= held, f"{held} tokens from {have}"
        cache = self._empty(tape)
        room = cache.room(length)
        last = partial(cut, start=have - held, stop=have + room)
        cache.hold(last(join(keys, room)), last(join(values, room)), length)
        return cache


def forms(spec: CacheSpec, compute: mx.Dtype, *, untouched: bool) -> list[Form]:
    return [Form(layer, LayerCodec.of(spec, layer, compute), spec.attention, untouched) for layer in spec.layers]


class LayerCache(Witness):
    """Speaks the part of mlx-lm's cache protocol that models use. `inner` serves one turn or a batch of them."""

    def __init__(self, inner: Any, form: Form, tape: Tape | None = None) -> None:
        self.inner = inner
        self.form = form
        self.tape = tape
        self._mark: Any = None

    @property
    def offset(self) -> Any:
        return self.inner.offset

    @property
    def keys(self) -> mx.array:
        """For a model that ties its caches into its graph, lest they be left behind. Each step computes them anyway, so
        what it sets is not needed.
        """
        return self._held()[0]

    @keys.setter
    def keys(self, array: mx.array) -> None:
        pass

    @property
    def values(self) -> mx.array:
        """As `keys`."""
        return self._held()[-1]

    @values.setter
    def values(self, array: mx.array) -> None:
        pass

    def make_mask(self, *args: Any, **kwargs: Any) -> Any:
        return self.inner.make_mask(*args, **kwargs)

    def update_and_fetch(self, keys: mx.array, values: mx.array) -> tuple[Any, Any]:
        """Take new keys and values; give what attention is to see."""
        raise NotImplementedError

    def keys_and_values(self) -> tuple[Any, Any]:
        """The same again, for a model whose later layers share what an earlier one has cached."""
        raise NotImplementedError

    def room(self, _length: int) -> int:
        """For how many tokens what it is to hold should have room behind."""
        return 0

    def hold(self, keys: Packed, values: Packed, length: int) -> None:
        """What is empty yet becomes the last of a prefix of `length` tokens, with its room behind."""
        raise NotImplementedError

    @property
    def seen(self) -> "LayerCache":
        """What the model is given."""
        return self

    def listen(self, tape: Tape) -> None:
        """What comes is read: rounded, and taped."""
        self.tape = tape

    def abandon(self) -> None:
        """A piece will not be computed: what was taped of it is cut off."""

    def settle(self) -> None:
        """Batched caches keep their own books of the rows' lengths."""

    def mark(self) -> None:
        """Remember this place."""
        raise NotImplementedError

    def rewind(self) -> None:
        """Back to the mark."""
        raise NotImplementedError

    def cut(self, length: int) -> None:
        """Hold the first `length` tokens. What cannot be cut back, a window, is asked for all that it holds."""
        raise NotImplementedError

    def merged(self, caches: Sequence["LayerCache"]) -> Self:
        """One cache for the turns of all of them, which are as this one is."""
        return type(self)(type(self.inner).merge([cache.inner for cache in caches]), self.form)

    def arrays(self) -> list[mx.array]:
        """Everything that a step has to compute."""
        return [*self._held(), *(self.tape.latest() if self.tape else ())]

    def _held(self) -> list[mx.array]:
        raise NotImplementedError


class ExpandedCache(LayerCache):
    """Over mlx-lm's own: KVCache, or RotatingKVCache for a window."""

    def update_and_fetch(self, keys: mx.array, values: mx.array) -> tuple[Any, Any]:
        if self.tape is not None:
            codec = self.form.codec
            packed_keys, packed_values = codec.keys.pack(keys), codec.values.pack(values)
            self.tape.record(packed_keys, packed_values)
            keys, values = codec.keys.unpack(packed_keys), codec.values.unpack(packed_values)
        seen: tuple[mx.array, mx.array] = self.inner.update_and_fetch(keys, values)
        return seen

    def keys_and_values(self) -> tuple[Any, Any]:
        seen: tuple[mx.array, mx.array] = self.inner.keys_and_values()
        return seen

    def room(self, length: int) -> int:
        """Of a ring none; another would be copied whole for the first token that comes."""
        return 0 if self.form.layer.window else KVCache.step - length % KVCache.step

    def hold(self, keys: Packed, values: Packed, length: int) -> None:
        codec, window = self.form.codec, self.form.layer.window
        # offset; of a ring also: keep nothing for ever, its size, and where it is written next
        place = (length, *((0, window, tokens(keys)) if window else ()))
        self.inner.state = (codec.keys.unpack(keys), codec.values.unpack(values), *place)

    def mark(self) -> None:
        """What a layer keeps for ever is only cut back; a ring has to be kept as it is."""
        inner = self.inner
        if isinstance(inner, RotatingKVCache):
            keys, values, *place = inner.state
            # A slice is an array of its own: writing to the ring copies it. A ring may be empty yet.
            self._mark = (keys if keys is None else keys[:], values if values is None else values[:], *place)
        else:
            self._mark = (inner.offset,)

    def cut(self, length: int) -> None:
        if isinstance(self.inner, RotatingKVCache):
            assert length == self.inner.offset, f"a ring of {self.inner.offset} tokens cannot be cut to {length}"
        else:
            self.inner.offset = length

    def rewind(self) -> None:
        if isinstance(self.inner, RotatingKVCache):
            self.inner.state = self._mark
        else:
            self.inner.offset = self._mark[0]

    def _held(self) -> list[mx.array]:
        return [self.inner.keys, self.inner.values]


class PackedLayerCache(LayerCache):
    """Over a PackedCache. What is read is computed over keys and values that are unpacked for the while, a layer at a
    time, so that blocks do not depend on how they were attended over; what is spoken, over the packed ones.
    """

    def update_and_fetch(self, keys: mx.array, values: mx.array) -> tuple[Any, Any]:
        codec = self.form.codec
        packed_keys, packed_values = codec.keys.pack(keys), codec.values.pack(values)
        if self.tape is not None:
            self.tape.record(packed_keys, packed_values)
        self.inner.append(packed_keys, packed_values)
        return self.keys_and_values()

    def keys_and_values(self) -> tuple[Any, Any]:
        codec = self.form.codec
        keys, values = self.inner.shown()
        if self.tape is None and self.form.untouched and self.inner.new == 1:
            return PackedTensor(keys, codec.keys), PackedTensor(values, codec.values)
        return codec.keys.unpack(keys), codec.values.unpack(values)

    def hold(self, keys: Packed, values: Packed, length: int) -> None:
        self.inner.hold(keys, values, length)

    def cut(self, length: int) -> None:
        self.inner.cut(length)

    def mark(self) -> None:
        self._mark = self.inner.mark()

    def rewind(self) -> None:
        self.inner.rewind(self._mark)

    def _held(self) -> list[mx.array]:
        return [*self.inner.keys, *self.inner.values]
