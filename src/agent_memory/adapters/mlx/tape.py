"""What a turn's caches hold, in packed form, from the last whole block on.

The ring of a windowed layer may drop keys and values before their block is complete; the tape does not.
"""

import mlx.core as mx

from agent_memory.adapters.mlx.codec import Packed, cut, join, tokens


class Tape:
    """One turn, one layer. `start` is the position of the first token that will be recorded."""

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

    def cut(self, stop: int) -> None:
        """Forget what comes from position `stop` on, without computing it."""
        kept, end = 0, self._start
        while kept < len(self._keys) and end < stop:
            end += tokens(self._keys[kept])
            kept += 1
        self._keys, self._values = self._keys[:kept], self._values[:kept]
        if end > stop:
            last = tokens(self._keys[-1]) - (end - stop)
            self._keys[-1], self._values[-1] = cut(self._keys[-1], 0, last), cut(self._values[-1], 0, last)

    def latest(self) -> list[mx.array]:
        """What must be computed with each step, lest the graph behind it grow."""
        return [array for packed in (*self._keys[-1:], *self._values[-1:]) for array in packed]
