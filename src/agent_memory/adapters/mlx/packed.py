"""Keys and values of one turn, or of a batch of them, kept packed while they run.

Speaks mlx-lm's cache protocol as its own caches do, those for full attention and those for a window, alone and batched:
one buffer of columns for all rows, each row padded on its left, in the order of the tokens. A window is no ring: what
it has passed is dropped when the buffer is full. Knows nothing of precision.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import mlx.core as mx
from mlx_lm.models.base import create_causal_mask

from agent_memory.adapters.mlx.codec import Packed, cut, tokens

_STEP = 256  # columns that a buffer grows by


class Place(NamedTuple):
    """Where a cache stood. A window keeps what it held; what is kept for ever needs only to be cut back."""

    end: int
    padding: list[int]
    offsets: list[int]
    held: tuple[Packed, Packed] | None


class Rows(NamedTuple):
    """What is still needed of some rows, the newest token in the last column."""

    keys: Packed
    values: Packed
    padding: list[int]
    offsets: list[int]
    width: int


class PackedCache:
    """`window` is 0 for full attention. One row, unless it was merged from several."""

    def __init__(self, window: int = 0) -> None:
        self.window = window
        self.keys: Packed = ()
        self.values: Packed = ()
        self.new = 0  # tokens of the latest step
        self._shown = 0  # columns that they look at, themselves included
        self._end = 0  # columns in use
        self._padding = [0]  # for each row, how many of them are empty, on the left
        self._offsets = [0]  # for each row, how many tokens it has seen

    def hold(self, keys: Packed, values: Packed, length: int) -> None:
        """Become one row: a prefix of `length` tokens, of which `keys` and `values` are the last."""
        self.keys, self.values, self._end = keys, values, tokens(keys) if keys else 0
        self._padding, self._offsets = [0], [length]

    @property
    def offset(self) -> int | mx.array:
        return self._offsets[0] if len(self._offsets) == 1 else mx.array(self._offsets)

    # --- one step ---

    def append(self, keys: Packed, values: Packed) -> None:
        """Take the tokens that are new, the same number in every row."""
        self.new = count = tokens(keys)
        self._shown = self._looked_at(count)
        self._make_room(keys, values, count)
        end = self._end + count
        for buffer, new in zip((*self.keys, *self.values), (*keys, *values), strict=True):
            buffer[..., self._end : end, :] = new
        self._end = end
        self._offsets = [offset + count for offset in self._offsets]

    def shown(self) -> tuple[Packed, Packed]:
        """All that the newest tokens look at."""
        start = self._end - self._shown
        return cut(self.keys, start, self._end), cut(self.values, start, self._end)

    def _looked_at(self, count: int) -> int:
        held = min(self._end, self.window - 1) if self.window else self._end
        return held + count

    def _make_room(self, keys: Packed, values: Packed, count: int) -> None:
        if self.keys and self._end + count <= tokens(self.keys):
            return
        first = self._first()
        room = -(-(self._end - first + count) // _STEP) * _STEP - (self._end - first)
        self.keys, self.values = (
            self._grown(held, like, first, room) for held, like in ((self.keys, keys), (self.values, values))
        )
        self._end -= first
        self._padding = [max(0, padding - first) for padding in self._padding]

    def _grown(self, held: Packed, like: Packed, first: int, room: int) -> Packed:
        """Without what comes before `first`, and with room for more."""
        if not held:
            return tuple(mx.zeros((*new.shape[:-2], room, new.shape[-1]), new.dtype) for new in like)
        return tuple(mx.pad(array, [(0, 0), (0, 0), (0, room), (0, 0)]) for array in cut(held, first, self._end))

    def _first(self) -> int:
        """The first column that is still needed."""
        passed = self._end - self.window + 1 if self.window else 0
        return max(passed, min(self._padding))

    def make_mask(self, count: int, *, window_size: int | None = None, return_array: bool = False) -> Any:
        """What each of `count` new tokens sees of the columns that it will be shown, as mlx-lm's caches say it."""
        window, shown = window_size or self.window or None, self._looked_at(count)
        before = self._end + count - shown
        padding = [max(0, columns - before) for columns in self._padding]
        narrow = window is not None and shown > window
        if any(padding):
            return create_causal_mask(count, shown - count, window_size=window, left_padding=mx.array(padding))
        if narrow or (return_array and count > 1):
            return create_causal_mask(count, shown - count, window_size=window)
        return None if count == 1 else "causal"

    # --- marks ---

    def mark(self) -> Place:
        # A slice is an array of its own: writing to the buffer copies it.
        held = (_slices(self.keys), _slices(self.values)) if self.window else None
        return Place(self._end, self._padding, self._offsets, held)

    def rewind(self, place: Place) -> None:
        if place.held is not None:
            self.keys, self.values = place.held
        self._end, self._padding, self._offsets = place.end, place.padding, place.offsets

    def cut(self, length: int) -> None:
        """Hold the first `length` tokens of a row that is alone. A window is asked for all that it holds."""
        (offset,) = self._offsets
        assert length == offset or not self.window, f"a window at token {offset} cannot be cut to {length}"
        self._end, self._offsets = self._end - offset + length, [length]

    # --- rows ---

    def rows(self) -> Rows:
        first = self._first()
        padding = [max(0, columns - first) for columns in self._padding]
        keys, values = cut(self.keys, first, self._end), cut(self.values, first, self._end)
        return Rows(keys, values, padding, self._offsets, self._end - first)

    @classmethod
    def merge(cls, caches: Sequence[Self]) -> Self:
        merged = cls(caches[0].window)
        merged._join([cache.rows() for cache in caches])
        return merged

    def extend(self, other: Self) -> None:
        self._join([self.rows(), other.rows()])

    def _join(self, parts: Sequence[Rows]) -> None:
        """Become all of them, their ends in one column."""
        self._end = max(part.width for part in parts)
        self.keys = _stacked([(part.keys, self._end - part.width, len(part.offsets)) for part in parts])
        self.values = _stacked([(part.values, self._end - part.width, len(part.offsets)) for part in parts])
        self._padding = [self._end - part.width + columns for part in parts for columns in part.padding]
        self._offsets = [offset for part in parts for offset in part.offsets]

    def filter(self, rows: Sequence[int]) -> None:
        chosen = mx.array(list(rows))
        self.keys, self.values = tuple(a[chosen] for a in self.keys), tuple(a[chosen] for a in self.values)
        self._padding = [self._padding[row] for row in rows]
        self._offsets = [self._offsets[row] for row in rows]

    def extract(self, row: int) -> Self:
        """A cache of this row alone."""
        first = max(self._padding[row], self._first())
        keys, values = (
            tuple(mx.contiguous(array[row : row + 1]) for array in cut(packed, first, self._end))
            for packed in (self.keys, self.values)
        )
        alone = type(self)(self.window)
        alone.hold(keys, values, self._offsets[row])
        return alone


def _slices(packed: Packed) -> Packed:
    return tuple(array[:] for array in packed)


def _stacked(parts: Sequence[tuple[Packed, int, int]]) -> Packed:
    """Row under row, each part with so many empty columns on its left, and room for a step on the right; a part that
    holds nothing yet is so many empty rows.
    """
    like = next((packed for packed, _, _ in parts if packed), ())
    stacks = []
    for number, alike in enumerate(like):
        nothing = (*alike.shape[1:-2], 0, alike.shape[-1])
        held = [packed[number] if packed else mx.zeros((rows, *nothing), alike.dtype) for packed, _, rows in parts]
        padded = [
            mx.pad(array, [(0, 0), (0, 0), (left, _STEP), (0, 0)])
            for array, (_, left, _) in zip(held, parts, strict=True)
        ]
        stacks.append(mx.concatenate(padded))
    return tuple(stacks)
