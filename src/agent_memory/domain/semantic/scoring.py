"""How relevance, age and importance become one order: pure arithmetic over a `Shortlist`.

`Fusion` is our default: relevance decides, age and importance only nudge, within bounds. `Blend` is the plain
weighing of meaning against recency that a caller asks for with `alpha`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from agent_memory.domain.semantic.cues import Cues
from agent_memory.domain.semantic.episodes import Surroundings, surroundings
from agent_memory.domain.semantic.passages import worth_by_words
from agent_memory.domain.semantic.recall import Candidate, Factors, Question, Recollection, Score, Shortlist
from agent_memory.domain.semantic.weighing import HALF_LIFE, Weighing, recency

MOST_RANKED = 1000  # memories that one question is answered with in all, on however many pages


class ScoringPolicy(Protocol):
    def rank(
        self, question: Question, shortlist: Shortlist, now: datetime, most: int = MOST_RANKED
    ) -> list[Recollection]:
        """The eligible candidates that answer best, at most so many; equal ones newest first. Changes nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Blend:
    """The plain weighing: alpha x cosine + (1 - alpha) x recency, with the alpha of the question if it has one."""

    alpha: float = 0.7
    half_life: timedelta = HALF_LIFE

    def weighing(self, question: Question) -> Weighing:
        return Weighing(self.alpha if question.alpha is None else question.alpha, self.half_life)

    def rank(
        self, question: Question, shortlist: Shortlist, now: datetime, most: int = MOST_RANKED
    ) -> list[Recollection]:
        weighing, candidates = self.weighing(question), shortlist.candidates
        fresh = [recency(c.moment, now, self.half_life) for c in candidates]
        totals = [weighing.total(c.similarity, f) for c, f in zip(candidates, fresh, strict=True)]
        return [
            Recollection(c.memory, Score(totals[i], c.similarity, 0.0, 0.0, fresh[i], c.importance))
            for i, c in _best(candidates, totals, most)
        ]


@dataclass(frozen=True, slots=True)
class Fusion:
    """A memory's own relevance is its meaning and its words, each scaled to the best of the shortlist, and more if
    it meets a cue of the question: tells a time to a "when", comes from the one who is asked about. Where the meaning
    is not known, as of a vector of another model, the words stand for it.

    To it come what the neighbours in time have of it, as far as the memory has some of its own, and what the
    best of the episode has: an answer often stands beside the words that one asks with. Age and importance then
    move the sum by at most `nudge` each. Age decides between memories that answer about equally well, and hardly
    moves the rest: it is counted from the newest of those that have `rival` of the best relevance, so that what was
    told once is not too old to be true. A query for the present gives age more to say, and one for the past turns it.
    """

    meaning: float = 0.5
    neighbours: float = 1.2
    episode: float = 0.6
    cue: float = 0.3
    nudge: float = 0.05
    present_nudge: float = 0.4
    past_nudge: float = 0.4
    rival: float = 0.7
    half_life: timedelta = HALF_LIFE

    def rank(
        self, question: Question, shortlist: Shortlist, now: datetime, most: int = MOST_RANKED
    ) -> list[Recollection]:
        candidates = shortlist.candidates
        words = _scaled(worth_by_words(candidates, shortlist.words))
        cues = Cues.of(question.query)
        meanings = self._meanings(candidates, words)
        met = [1 + self.cue * cues.met_by(c.said) for c in candidates]
        own = [
            (self.meaning * meaning + (1 - self.meaning) * word) * cue
            for meaning, word, cue in zip(meanings, words, met, strict=True)
        ]
        context = [self._context(*parts) for parts in zip(own, surroundings(candidates, own), strict=True)]
        relevance = [(o + c) / (1 + self.neighbours + self.episode) for o, c in zip(own, context, strict=True)]
        fresh = [recency(c.moment, now, self.half_life) for c in candidates]
        ages = self._ages(cues, relevance, [c.moment for c in candidates])
        weights = [1 + self.nudge * (c.importance - 1) for c in candidates]
        totals = [r * age * weight for r, age, weight in zip(relevance, ages, weights, strict=True)]

        def score(i: int) -> Score:
            factors = Factors(meanings[i], met[i], relevance[i], ages[i], weights[i])
            of = candidates[i]
            return Score(totals[i], of.similarity, words[i], context[i], fresh[i], of.importance, factors)

        return [Recollection(c.memory, score(i)) for i, c in _best(candidates, totals, most)]

    def _meanings(self, candidates: Sequence[Candidate], words: list[float]) -> list[float]:
        meanings = _scaled([c.similarity for c in candidates])
        return [meaning if c.compared else word for c, meaning, word in zip(candidates, meanings, words, strict=True)]

    def _context(self, own: float, around: Surroundings) -> float:
        return self.neighbours * math.sqrt(own) * around.neighbours + self.episode * around.episode

    def _ages(self, cues: Cues, relevance: list[float], moments: Sequence[datetime]) -> list[float]:
        """A factor for each: what counts is how much older a memory is than the newest that answers about as well."""
        age, steepness = self._age(cues)
        best = max(relevance, default=0.0) or 1.0
        rivals = [moment for r, moment in zip(relevance, moments, strict=True) if r >= self.rival * best]
        if not rivals:
            return [1.0] * len(relevance)
        fresh = [recency(moment, max(rivals), self.half_life) for moment in moments]
        return [1 + age * (2 * f - 1) * (r / best) ** steepness for r, f in zip(relevance, fresh, strict=True)]

    def _age(self, cues: Cues) -> tuple[float, int]:
        """How much age may move, less than nothing if the older is to win, and how steeply that falls."""
        if cues.present:
            return self.present_nudge, 2
        return (-self.past_nudge, 2) if cues.past else (self.nudge, 4)


def _scaled(values: Sequence[float]) -> list[float]:
    """The best becomes 1; what is below nothing becomes 0."""
    best = max(values, default=0.0)
    return [max(value, 0.0) / best if best > 0 else 0.0 for value in values]


def _best(candidates: Sequence[Candidate], totals: Sequence[float], most: int) -> list[tuple[int, Candidate]]:
    """The eligible candidates with the greatest totals, and their places; among equals the newest first."""
    merits = [(totals[i], c.moment, c.id, i) for i, c in enumerate(candidates) if c.eligible]
    return [(i, candidates[i]) for *_, i in sorted(merits, reverse=True)[:most]]
