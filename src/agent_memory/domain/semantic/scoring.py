"""How relevance, age and importance become one order: pure arithmetic over a `Shortlist`.

`Fusion` is our default: relevance decides, age and importance only nudge, within bounds. `Blend` is the plain
weighing of meaning against recency that a caller asks for with `alpha`.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from agent_memory.domain.semantic.episodes import Surroundings, surroundings
from agent_memory.domain.semantic.memory import Memory, MemoryId
from agent_memory.domain.semantic.recall import Candidate, Recollection, Score, Shortlist
from agent_memory.domain.semantic.words import asks_for_the_present, bm25

HALF_LIFE = timedelta(days=30)


class ScoringPolicy(Protocol):
    def rank(self, query: str, shortlist: Shortlist, now: datetime, /) -> list[Recollection]:
        """The eligible candidates, best first; equal ones newest first. Changes nothing."""
        ...


def recency(created_at: datetime, now: datetime, half_life: timedelta) -> float:
    """1 for this moment, 1/2 after one half-life, 1/4 after two; what lies in the future counts as now."""
    age = max((now - created_at) / half_life, 0.0)
    return math.exp(-math.log(2) * age)


@dataclass(frozen=True, slots=True)
class Blend:
    """alpha x cosine + (1 - alpha) x recency; alpha = 0 is newest first, alpha = 1 is meaning alone."""

    alpha: float
    half_life: timedelta = HALF_LIFE

    def rank(self, _query: str, shortlist: Shortlist, now: datetime, /) -> list[Recollection]:
        eligible = (c for c in shortlist.candidates if c.eligible)
        return _ordered(Recollection(c.memory, self._score(c, now)) for c in eligible)

    def _score(self, candidate: Candidate, now: datetime) -> Score:
        memory = candidate.memory
        fresh = recency(memory.created_at, now, self.half_life)
        total = self.alpha * candidate.similarity + (1 - self.alpha) * fresh
        return Score(total, candidate.similarity, 0.0, 0.0, fresh, memory.importance)


@dataclass(frozen=True, slots=True)
class Fusion:
    """A memory's own relevance is its meaning and its words, each scaled to the best of the shortlist.

    To it come what the neighbours in time have of it, as far as the memory has some of its own, and what the
    best of the episode has: an answer often stands beside the words that one asks with. Age and importance then
    move the sum by at most `nudge` each. Age decides between memories that answer about equally well, and hardly
    moves the rest; a query that asks for the present gives it more to say.
    """

    meaning: float = 0.5
    neighbours: float = 1.2
    episode: float = 0.6
    nudge: float = 0.1
    present_nudge: float = 0.3
    half_life: timedelta = HALF_LIFE

    def rank(self, query: str, shortlist: Shortlist, now: datetime, /) -> list[Recollection]:
        relevant = self._relevant(shortlist)
        best = max((score.total for _, score in relevant), default=0.0) or 1.0
        nudge, steepness = (self.present_nudge, 2) if asks_for_the_present(query) else (self.nudge, 4)

        def nudged(memory: Memory, score: Score) -> Recollection:
            fresh = recency(memory.created_at, now, self.half_life)
            age = 1 + nudge * (2 * fresh - 1) * (score.total / best) ** steepness
            importance = 1 + self.nudge * (memory.importance - 1)
            return Recollection(memory, replace(score, total=score.total * age * importance, recency=fresh))

        return _ordered(nudged(c.memory, score) for c, score in relevant if c.eligible)

    def _relevant(self, shortlist: Shortlist) -> list[tuple[Candidate, Score]]:
        candidates = shortlist.candidates
        meanings = _scaled([c.similarity for c in candidates])
        words = _scaled([bm25(c.counts, c.length, shortlist.words) for c in candidates])
        own = [self.meaning * m + (1 - self.meaning) * w for m, w in zip(meanings, words, strict=True)]
        parts = zip(candidates, own, words, surroundings(candidates, own), strict=True)
        return [(c, self._score(c, mine, worded, around)) for c, mine, worded, around in parts]

    def _score(self, candidate: Candidate, own: float, words: float, around: Surroundings) -> Score:
        context = self.neighbours * math.sqrt(own) * around.neighbours + self.episode * around.episode
        relevance = (own + context) / (1 + self.neighbours + self.episode)
        return Score(relevance, candidate.similarity, words, context, 0.0, candidate.memory.importance)


def _scaled(values: Sequence[float]) -> list[float]:
    """The best becomes 1; what is below nothing becomes 0."""
    best = max(values, default=0.0)
    return [max(value, 0.0) / best if best > 0 else 0.0 for value in values]


def _ordered(recollections: Iterable[Recollection]) -> list[Recollection]:
    return sorted(recollections, key=_merit, reverse=True)


def _merit(recollection: Recollection) -> tuple[float, datetime, MemoryId]:
    memory = recollection.memory
    return recollection.score.total, memory.created_at, memory.id
