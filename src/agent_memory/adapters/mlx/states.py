"""A recurrent layer's cache: mlx-lm's own, whose few arrays of fixed size every token changes whole.

Nothing is rounded and nothing taped: a state is kept in the type that the model computes it in, as it stands where a
piece of reading ends.
"""

from collections.abc import Sequence

import mlx.core as mx
from mlx_lm.models.cache import ArraysCache

from agent_memory.adapters.mlx.payload import safetensors_type
from agent_memory.adapters.mlx.tape import Tape
from agent_memory.domain.errors import CorruptBlock
from agent_memory.domain.kv.spec import Layer


class StateCache:
    """`inner` serves one turn or a batch of them."""

    def __init__(self, inner: ArraysCache) -> None:
        self.inner = inner
        self.tape: Tape | None = None
        self._place: list[mx.array | None] = []

    @property
    def seen(self) -> ArraysCache:
        """What the model is given: some look at the type."""
        return self.inner

    def listen(self, _tape: Tape) -> None:
        self.mark()

    def mark(self) -> None:
        """Remember this place. Models put new arrays in the place of the old ones and leave those as they are."""
        self._place = list(self.inner.cache)

    def rewind(self) -> None:
        """Back to the mark."""
        self.inner.cache = list(self._place)

    def abandon(self) -> None:
        """Back to where the piece began that will not be computed."""
        self.rewind()

    def cut(self, length: int) -> None:
        """A state cannot be cut, and is only asked for all that it has read."""

    def merged(self, caches: Sequence["StateCache"]) -> "StateCache":
        """One cache for the turns of all of them."""
        return StateCache(ArraysCache.merge([cache.inner for cache in caches]))

    def settle(self) -> None:
        """In a batch every row has the same length, one token, and needs no mask."""
        self.inner.finalize()

    def arrays(self) -> list[mx.array]:
        """Everything that a step has to compute."""
        return [array for array in self.inner.cache if array is not None]


def empty_state(layer: Layer) -> StateCache:
    return StateCache(ArraysCache(len(layer.state)))


def named_state(number: int, cache: StateCache) -> dict[str, mx.array]:
    """A turn's state as layer `number` is stored."""
    return {f"{number}.s{i}": array[0] for i, array in enumerate(cache.arrays())}


def restored_state(number: int, layer: Layer, arrays: dict[str, mx.array]) -> StateCache:
    """Raises CorruptBlock when `arrays` hold no such state."""
    cache = empty_state(layer)
    for i, expected in enumerate(layer.state):
        array = arrays.get(f"{number}.s{i}")
        if array is None or tuple(array.shape) != expected.shape or safetensors_type(array) != expected.dtype:
            raise CorruptBlock(f"tensor {number}.s{i} is not {expected.dtype}{expected.shape}")
        cache.inner[i] = array[None]
    return cache
