"""The memories of one scope as they were read, and the shortlist of a search among them: exact, without the database.

It does not know whether it is still true: that is `scope_cache`'s matter.
"""

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import cached_property, partial
from itertools import repeat
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from agent_memory.adapters.postgres.connection import document
from agent_memory.adapters.postgres.rows import IN_SCOPE_WIDTH, fields_in, hashed, moment_in
from agent_memory.adapters.postgres.scope_index import Counts, Held, Places, Reals, Vectors, Words, best, unit
from agent_memory.domain.semantic.cues import Said
from agent_memory.domain.semantic.duplicates import NEAR, NEARLY, Likeness, most_alike
from agent_memory.domain.semantic.memory import Embedding, Memory, Scope
from agent_memory.domain.semantic.recall import Candidate, Search, Shortlist, WordStatistics
from agent_memory.domain.semantic.selection import EVERYTHING, Selection
from agent_memory.domain.semantic.shortlisting import NEIGHBOURS
from agent_memory.domain.semantic.weighing import Weighing
from agent_memory.domain.semantic.words import rarity

_METADATA = 7  # its place among the fields of a memory
# Bytes of objects, beside what a memory says and carries, and of those of a scope.
_OF_A_MEMORY = 1100
_OF_A_SCOPE = 2000

_AROUND = 2 + np.array(NEIGHBOURS)[:, None]


class Kept(NamedTuple):
    """A memory as a search asks of it; `told` is what its candidate begins with."""

    writer: int
    expires_at: datetime | None
    told: tuple[Any, ...]
    weight: int

    @classmethod
    def of(cls, scope: Scope, writer: int, values: tuple[Any, ...]) -> "Kept":
        """Of a row that is as `COLUMNS` of `scope_check` are."""
        fields = fields_in(scope, values)
        id_, _, content, _, _, importance, tags, metadata, expires_at = fields[:9]
        told = id_, moment_in(values), importance, Said(content), partial(_whole, fields)
        weight = _OF_A_MEMORY + sys.getsizeof(content) + sys.getsizeof(metadata) + sum(map(sys.getsizeof, tags))
        return cls(writer, expires_at, told, weight)

    @property
    def id(self) -> UUID:
        id_: UUID = self.told[0]
        return id_

    @property
    def moment(self) -> datetime:
        moment: datetime = self.told[1]
        return moment

    @property
    def place(self) -> tuple[Any, ...]:
        """In the order of time."""
        return self.told[1], self.told[0]

    @property
    def content(self) -> str:
        said: Said = self.told[3]
        return said.content

    def memory(self, *, bare: bool = False) -> Memory:
        """With metadata of its own, which whoever asked may change; or, to be looked at only, without them."""
        whole: Callable[..., Memory] = self.told[4]
        return whole(bare=bare)


class CachedScope:
    """In the order of time; vectors of one model only. It changes never: what is new makes another one."""

    def __init__(self, scope: Scope, model: str, kept: Sequence[Kept], vectors: Vectors, words: Words) -> None:
        self._model = model
        self._scope = scope
        self._kept = kept
        self._places = {each.id: place for place, each in enumerate(kept)}
        self._vectors = vectors
        self._words = words
        self.weight = _OF_A_SCOPE + sum(each.weight for each in kept) + vectors.bytes + words.bytes

    @classmethod
    def empty(cls, scope: Scope, embedding: Embedding) -> "CachedScope":
        """For searches that are embedded as this one is."""
        return cls(scope, embedding.model, (), Vectors.of((), len(embedding.vector)), Words.of(()))

    def fits(self, embedding: Embedding) -> bool:
        """Whether it is for searches that are embedded as this one is."""
        return (self._model, self._vectors.dimension) == (embedding.model, embedding.dimension)

    def after(self, known: int, fresh: Sequence[tuple[Any, ...]]) -> "CachedScope | None":
        """With these rows as well, some of them in the place of older ones; None if `known`, how many others there
        are still, tells that some are gone. A row is as `scope_check` brings it.
        """
        replaced = [self._places[row[1]] for row in fresh if row[1] in self._places]
        if known != len(self._kept) - len(replaced):
            return None
        if len(replaced) == len(fresh) and all(
            self._kept[place].writer == row[0] for place, row in zip(replaced, fresh, strict=True)
        ):
            return self
        kept = [*self._kept, *(Kept.of(self._scope, row[0], tuple(row[1 : 1 + IN_SCOPE_WIDTH])) for row in fresh)]
        vectors = self._vectors.and_also(self._read(fresh))
        words = self._words.and_also(Words.of([row[-1] for row in fresh]))
        return CachedScope(self._scope, self._model, kept, vectors, words).in_time(set(replaced))

    def only(self, ids: Collection[UUID]) -> "CachedScope | None":
        """Those with these ids; None if it has not all of them."""
        places = [self._places.get(id_, -1) for id_ in ids]
        return None if -1 in places else self._at(sorted(places))

    def in_time(self, gone: Collection[int]) -> "CachedScope":
        """In the order of time, without those at some places. What is new is the newest, as a rule, and stays there."""
        left = [place for place in range(len(self._kept)) if place not in gone]
        order = sorted(left, key=lambda place: self._kept[place].place)
        return self if order == list(range(len(self._kept))) else self._at(order)

    def _at(self, places: Sequence[int]) -> "CachedScope":
        kept, at = [self._kept[place] for place in places], np.array(places, dtype=np.intp)
        return CachedScope(self._scope, self._model, kept, self._vectors.at(at), self._words.at(at))

    def _read(self, fresh: Sequence[tuple[Any, ...]]) -> Vectors:
        size = self._vectors.dimension
        ours = [half if (model, half.dimensions()) == (self._model, size) else None for *_, half, model, _ in fresh]
        return Vectors.of([half and half.to_numpy().astype(np.float32) for half in ours], size)

    def shortlist(self, search: Search) -> Shortlist:
        """What `MemoryStore` promises of a search for what holds now."""
        held = self._held(search.now)
        similarity = held.of(self._vectors.similarity(_query(search.embedding)))
        names, counts_of_all = self._words.counts({hashed(word): word for word in search.words})
        counts = held.of(counts_of_all)
        frequencies = dict(zip(names, map(int, map(np.count_nonzero, counts)), strict=True))
        worth = held.bm25(counts, [rarity(number, len(held.places)) for number in frequencies.values()])
        eligible = self._eligible(search.selection, held.places)
        [places] = eligible.nonzero()
        if len(places) > search.depth:
            scores = worth[places]
            worded = best(scores, search.depth)
            newest = np.arange(max(len(places) - search.newest, 0), len(places))
            merit = similarity if search.weighing is None else self._weighed(search, search.weighing, similarity, held)
            chosen = [best(merit[places], search.depth), worded[scores[worded] > 0], newest]
            places = places[np.concatenate(chosen)]
        wanted = _with_neighbours(places, len(eligible))
        at = held.places[wanted]
        signals = zip(
            wanted.tolist(), similarity[wanted].tolist(), repeat(partial(_counted, counts, names)),
            held.lengths[wanted].tolist(), eligible[wanted].tolist(), self._vectors.compared[at].tolist(),
        )  # fmt: skip
        rows = zip(at.tolist(), signals, strict=True)
        kept, made = self._kept, tuple.__new__  # as `Candidate._make`, in half the time
        candidates = tuple([made(Candidate, kept[one].told + measured) for one, measured in rows])
        words = WordStatistics(len(held.places), held.mean_length, {name: n for name, n in frequencies.items() if n})
        return Shortlist(candidates, words, worth[wanted].tolist())

    def alike(self, memory: Memory, embedding: Embedding, now: datetime) -> list[Likeness]:
        """What `MemoryArchive` promises of others that say nearly the same."""
        similarity = np.minimum(self._vectors.similarity(_query(embedding)), NEARLY).tolist()
        held = [(similarity[at], self._kept[at]) for at in self._held(now).places.tolist()]
        near = [
            Likeness(other.memory(), 1.0 if other.content == memory.content else like)
            for like, other in held
            if (like >= NEAR or other.content == memory.content) and other.id != memory.id
        ]
        return most_alike(near)

    def _weighed(self, search: Search, weighing: Weighing, similarity: Reals, held: Held) -> NDArray[np.float64]:
        """As `Search.merit`, of all memories at once."""
        seconds = search.moment.timestamp() - held.of(self._moments)
        fresh = np.exp2(-np.maximum(seconds / weighing.half_life.total_seconds(), 0.0))
        return weighing.alpha * similarity.astype(np.float64) + (1 - weighing.alpha) * fresh

    @cached_property
    def _moments(self) -> NDArray[np.float64]:
        return np.array([each.moment.timestamp() for each in self._kept])

    @cached_property
    def _all(self) -> Held:
        return Held(self._words.lengths)

    @cached_property
    def _all_last(self) -> bool:
        return not any(each.expires_at for each in self._kept)

    def _held(self, now: datetime) -> Held:
        if self._all_last:
            return self._all
        places = np.flatnonzero([each.expires_at is None or each.expires_at > now for each in self._kept])
        return Held(self._words.lengths, places)

    def _eligible(self, selection: Selection, held: Places) -> NDArray[np.bool_]:
        if selection == EVERYTHING:
            return np.ones(len(held), dtype=np.bool_)
        memories = (self._kept[at].memory(bare=selection.metadata is None) for at in held.tolist())
        return np.fromiter(map(selection.admits, memories), dtype=np.bool_, count=len(held))


def _whole(fields: tuple[Any, ...], *, bare: bool = False) -> Memory:
    metadata = {} if bare else document(fields[_METADATA])
    return Memory.stored(*fields[:_METADATA], metadata, *fields[_METADATA + 1 :])


def _query(embedding: Embedding) -> Reals:
    return unit(np.frombuffer(embedding.vector, dtype=np.float32))


def _with_neighbours(places: Places, size: int) -> Places:
    wanted = np.zeros(size + 4, dtype=np.bool_)
    wanted[places + _AROUND] = True
    [found] = wanted[2 : size + 2].nonzero()
    return found


def _counted(counts: Counts, names: Sequence[str], position: int) -> Mapping[str, int]:
    """Which of the words a memory says and how often."""
    return {name: int(count) for name, count in zip(names, counts[:, position].tolist(), strict=True) if count}
