"""How relevance, age and importance become one order: pure arithmetic over a `Shortlist`.

`Fusion` is our default: relevance decides, age and importance only nudge, within bounds. `Blend` is the plain
weighing of meaning against recency that a caller asks for with `alpha`.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from agent_memory.domain.semantic.memory import Memory, MemoryId
from agent_memory.domain.semantic.recall import Candidate, Recollection, Score, Shortlist
from agent_memory.domain.semantic.words import bm25

HALF_LIFE = timedelta(days=30)


class ScoringPolicy(Protocol):
    def rank(self, shortlist: Shortlist, now: datetime) -> list[Recollection]:
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

    def rank(self, shortlist: Shortlist, now: datetime) -> list[Recollection]:
        eligible = (c for c in shortlist.candidates if c.eligible)
        return _ordered(Recollection(c.memory, self._score(c, now)) for c in eligible)

    def _score(self, candidate: Candidate, now: datetime) -> Score:
        memory = candidate.memory
        fresh = recency(memory.created_at, now, self.half_life)
        total = self.alpha * candidate.similarity + (1 - self.alpha) * fresh
        return Score(total, candidate.similarity, 0.0, 0.0, fresh, memory.importance)


@dataclass(frozen=True, slots=True)
class Fusion:
    """Meaning and words, each scaled to the best of the shortlist, and a share of what the neighbours in time
    have of both. Age and importance then move that relevance by at most `nudge` each.
    """

    meaning: float = 0.45
    context: float = 0.3
    nudge: float = 0.1
    half_life: timedelta = HALF_LIFE

    def rank(self, shortlist: Shortlist, now: datetime) -> list[Recollection]:
        candidates = shortlist.candidates
        meanings = _scaled([c.similarity for c in candidates])
        words = _scaled([bm25(c.counts, c.length, shortlist.words) for c in candidates])
        own = {
            c.position: self.meaning * meaning + (1 - self.meaning) * word
            for c, meaning, word in zip(candidates, meanings, words, strict=True)
        }
        return _ordered(
            Recollection(c.memory, self._score(c.memory, meaning, word, _lent(own, c.position), now))
            for c, meaning, word in zip(candidates, meanings, words, strict=True)
            if c.eligible
        )

    def _score(self, memory: Memory, meaning: float, word: float, lent: float, now: datetime) -> Score:
        relevance = self.meaning * meaning + (1 - self.meaning) * word + self.context * lent
        fresh = recency(memory.created_at, now, self.half_life)
        total = relevance * (1 + self.nudge * (2 * fresh - 1)) * (1 + self.nudge * (memory.importance - 1))
        return Score(total, meaning, word, lent, fresh, memory.importance)


def _lent(own: Mapping[int, float], position: int) -> float:
    """What the memories just before and just after have of relevance; absent ones have none."""
    return (own.get(position - 1, 0.0) + own.get(position + 1, 0.0)) / 2


def _scaled(values: Sequence[float]) -> list[float]:
    """The best becomes 1; what is below nothing becomes 0."""
    best = max(values, default=0.0)
    return [max(value, 0.0) / best if best > 0 else 0.0 for value in values]


def _ordered(recollections: Iterable[Recollection]) -> list[Recollection]:
    return sorted(recollections, key=_merit, reverse=True)


def _merit(recollection: Recollection) -> tuple[float, datetime, MemoryId]:
    memory = recollection.memory
    return recollection.score.total, memory.created_at, memory.id
