"""The vectors and words of a scope as arrays, to measure all its memories at once; it knows them by their places."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent_memory.domain.semantic.words import LENGTH_WEIGHT, LONGEST_COUNTED, SATURATION

_ROWS = 8

Places = NDArray[np.intp]
Reals = NDArray[np.float32]
Hashes = NDArray[np.int32]
Lengths = NDArray[np.int64]
Counts = NDArray[np.float64]
"""How often each of some words occurs in each memory: (words, memories). Not as integers, as all sums of it are."""


class Vectors:
    """Unit vectors of one model, and which memories have one; the others are near nothing."""

    def __init__(self, matrix: Reals, compared: NDArray[np.bool_]) -> None:
        self.matrix = matrix
        self.compared = compared
        self.dimension = matrix.shape[1]
        self.bytes = _room_for(len(matrix)) * self.dimension * matrix.itemsize + compared.nbytes

    @classmethod
    def of(cls, vectors: Sequence[Reals | None], dimension: int) -> "Vectors":
        matrix = _matrix(len(vectors), dimension)
        matrix[:] = 0
        for row, vector in zip(matrix, vectors, strict=True):
            if vector is not None:
                row[:] = unit(vector)
        return cls(matrix, np.array([vector is not None for vector in vectors], dtype=np.bool_))

    def and_also(self, others: "Vectors") -> "Vectors":
        matrix = _matrix(len(self.matrix) + len(others.matrix), self.dimension)
        np.concatenate([self.matrix, others.matrix], out=matrix)
        return Vectors(matrix, np.concatenate([self.compared, others.compared]))

    def at(self, places: Places) -> "Vectors":
        matrix = _matrix(len(places), self.dimension)
        matrix[:] = self.matrix[places]
        return Vectors(matrix, self.compared[places])

    def similarity(self, query: Reals) -> Reals:
        """The cosine of each with a unit vector."""
        # Row by row: a product of a matrix would wake a pool of threads, which then spin beside the database.
        cosines: Reals = np.vecdot(self.matrix, query)
        return cosines


class Words:
    """The words of each memory, as hashes."""

    def __init__(self, said: Hashes, lengths: Lengths) -> None:
        self.said = said
        self.lengths = lengths
        self.bytes = 4 * said.nbytes + lengths.nbytes  # with what is sorted of them

    @classmethod
    def of(cls, said: Sequence[Sequence[int]]) -> "Words":
        words = np.array([word for each in said for word in each], dtype=np.int32)
        return cls(words, np.array([len(each) for each in said], dtype=np.int64))

    def and_also(self, others: "Words") -> "Words":
        return Words(np.concatenate([self.said, others.said]), np.concatenate([self.lengths, others.lengths]))

    def at(self, places: Places) -> "Words":
        bounds = list(pairwise([0, *np.cumsum(self.lengths).tolist()]))
        parts = [self.said[slice(*bounds[place])] for place in places.tolist()]
        return Words(np.concatenate([*parts, np.empty(0, np.int32)]), self.lengths[places])

    def counts(self, words: Mapping[int, str]) -> tuple[list[str], Counts]:
        """Which of some words occur, by their hashes, and how often each does in each memory."""
        sorted_words, whose = self._sorted
        wanted = np.array(list(words), dtype=np.int32)
        starts, ends = (sorted_words.searchsorted(wanted, side).tolist() for side in ("left", "right"))
        found = [place for place in zip(words.values(), starts, ends, strict=True) if place[1] < place[2]]
        counts = np.empty((len(found), len(self.lengths)))
        for number, (_, start, end) in enumerate(found):
            counts[number] = np.bincount(whose[start:end], minlength=len(self.lengths))
        return [word for word, *_ in found], counts

    @cached_property
    def _sorted(self) -> tuple[Hashes, Places]:
        """All words in order, and which memory says each."""
        order = np.argsort(self.said, kind="stable")
        return self.said[order], np.repeat(np.arange(len(self.lengths)), self.lengths)[order]


class Held:
    """Those memories of a scope that a search is among, and how long they are; all of them, if no places are given."""

    def __init__(self, lengths: Lengths, places: Places | None = None) -> None:
        self._whole = places is None
        self.places = np.arange(len(lengths)) if places is None else places
        self.lengths: Lengths = self.of(lengths)
        self.mean_length = int(self.lengths.sum()) / len(self.lengths) if len(self.lengths) else 0.0

    def of(self, measured: NDArray[Any]) -> NDArray[Any]:
        """Theirs, of what was measured of the whole scope, its memories last."""
        return measured if self._whole else measured[..., self.places]

    @cached_property
    def _damping(self) -> NDArray[np.float64]:
        relative_lengths = np.minimum(self.lengths, LONGEST_COUNTED) / (self.mean_length or 1.0)
        return SATURATION * (1 - LENGTH_WEIGHT + LENGTH_WEIGHT * relative_lengths)

    def bm25(self, counts: Counts, rarities: Sequence[float]) -> NDArray[np.float64]:
        """As `domain.semantic.words.bm25`, of all of them at once, to the last bit."""
        scores = np.zeros(len(self.lengths))
        for of_word in np.array(rarities)[:, None] * counts / (counts + self._damping):
            scores += of_word  # one word after the other: a sum may take them in another order
        return scores


def _matrix(rows: int, dimension: int) -> Reals:
    """Of so many rows, in memory of one of few sizes: a scope grows by a memory at a time, and the room that a smaller
    one leaves behind is of no use to a larger.
    """
    return np.empty((_room_for(rows), dimension), dtype=np.float32)[:rows]


def _room_for(rows: int) -> int:
    return -(-rows // _ROWS) * _ROWS


def unit(vector: Reals) -> Reals:
    norm = float(np.sqrt(np.vecdot(vector, vector)))
    return vector / np.float32(norm) if norm else vector


def best(scores: NDArray[np.generic], number: int) -> Places:
    """Where the greatest are; among equals the last."""
    return scores.argsort(kind="stable")[::-1][:number]
