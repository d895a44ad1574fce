"""mlx-lm's caches, with what they are given rounded to the stored precision and recorded in packed form.

A tape records one layer's packed keys and values from the last whole block on; the ring of a windowed layer may drop
them from its own memory before their block is complete, the tape does not.
"""

from typing import cast

import mlx.core as mx
from mlx_lm.models.cache import KVCache, RotatingKVCache

from agent_memory.adapters.mlx.codec import Codec, Packed, cut, join, tokens


class Tape:
    def __init__(self, start: int = 0) -> None:
        self._start = start
        self._keys: list[Packed] = []
        self._values: list[Packed] = []

    def record(self, keys: Packed, values: Packed) -> None:
        self._keys.append(keys)
        self._values.append(values)

    def read(self, start: int, stop: int) -> tuple[Packed, Packed]:
        """Tokens at positions start to stop; what lies before them is let go."""
        self._keys, self._values = [join(self._keys)], [join(self._values)]
        held = tokens(self._keys[0])
        assert self._start <= start < stop <= self._start + held, f"{start}:{stop} of {self._start}+{held}"
        self._keys = [cut(self._keys[0], start - self._start, held)]
        self._values = [cut(self._values[0], start - self._start, held)]
        self._start = start
        return cut(self._keys[0], 0, stop - start), cut(self._values[0], 0, stop - start)

    def arrays(self) -> list[mx.array]:
        """What must be computed with each step, lest the graph behind it grow."""
        return [array for packed in (*self._keys[-1:], *self._values[-1:]) for array in packed]


class TapedKVCache(KVCache):  # type: ignore[misc]  # mlx-lm ships no types
    """Full attention."""

    def __init__(self, codec: Codec) -> None:
        super().__init__()
        self.codec = codec
        self.tape = Tape()

    def update_and_fetch(self, keys: mx.array, values: mx.array) -> tuple[mx.array, mx.array]:
        packed_keys, packed_values = self.codec.pack(keys), self.codec.pack(values)
        self.tape.record(packed_keys, packed_values)
        rounded = super().update_and_fetch(self.codec.unpack(packed_keys), self.codec.unpack(packed_values))
        return cast("tuple[mx.array, mx.array]", rounded)

    def restore(self, keys: Packed, values: Packed, tape: Tape) -> None:
        """Hold the first tokens, packed; `tape` has those after the last whole block."""
        self.keys, self.values = self.codec.unpack(keys), self.codec.unpack(values)
        self.offset = tokens(keys)
        self.tape = tape


class TapedRotatingKVCache(RotatingKVCache):  # type: ignore[misc]  # as above
    """Sliding-window attention: a ring of `window` tokens."""

    def __init__(self, window: int, codec: Codec) -> None:
        super().__init__(max_size=window, keep=0)
        self.codec = codec
        self.tape = Tape()

    def update_and_fetch(self, keys: mx.array, values: mx.array) -> tuple[mx.array, mx.array]:
        packed_keys, packed_values = self.codec.pack(keys), self.codec.pack(values)
        self.tape.record(packed_keys, packed_values)
        rounded = super().update_and_fetch(self.codec.unpack(packed_keys), self.codec.unpack(packed_values))
        return cast("tuple[mx.array, mx.array]", rounded)

    def restore(self, keys: Packed, values: Packed, length: int, tape: Tape) -> None:
        """Hold the last tokens of a prefix of `length`, packed: a whole window, or all there are."""
        held = min(length, self.max_size)
        have = tokens(keys)
        assert have >= held, f"a window of {held} tokens from {have}"
        self.keys = self.codec.unpack(cut(keys, have - held, have))
        self.values = self.codec.unpack(cut(values, have - held, have))
        self.offset, self._idx = length, held
        self.tape = tape
