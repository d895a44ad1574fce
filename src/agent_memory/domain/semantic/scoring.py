"""How relevance, age and importance become one order: pure arithmetic over a `Shortlist`.

`Fusion` is our default: relevance decides, age and importance only nudge, within bounds. `Blend` is the plain
weighing of meaning against recency that a caller asks for with `alpha`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from agent_memory.domain.semantic.aging import Aging
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
        fresh = {i: recency(c.moment, now, self.half_life) for i, c in enumerate(candidates) if c.eligible}
        totals = {i: weighing.total(candidates[i].similarity, f) for i, f in fresh.items()}

        def score(i: int) -> Score:
            return Score(totals[i], candidates[i].similarity, 0.0, 0.0, fresh[i], candidates[i].importance)

        return [Recollection(candidates[i].memory, score(i)) for i in _best(candidates, totals, most)]


@dataclass(frozen=True, slots=True)
class Fusion:
    """A memory's own relevance is its meaning and its words, each scaled to the best of the shortlist, and more if
    it meets a cue of the question: tells a time to a "when", comes from the one who is asked about. Where the meaning
    is not known, as of a vector of another model, the words stand for it.

    To it come what the neighbours in time have of it, as far as the memory has some of its own, and what the
    best of the episode has: an answer often stands beside the words that one asks with. Age and importance then
    move the sum by at most `nudge` each. Age decides between memories that answer about equally well, and hardly
    moves the rest: it is counted from the newest of those that have `rival` of the best relevance, so that what was
    told once is not too old to be true. A query for the present gives age more to say, of more of them, for what
    changed is often told in other words, and by the day, for what holds now may have been told yesterday; one for the
    past turns it.
    """

    meaning: float = 0.5
    neighbours: float = 1.2
    episode: float = 0.6
    cue: float = 0.3
    nudge: float = 0.05
    present_nudge: float = 0.35
    past_nudge: float = 0.4
    rival: float = 0.7
    present_rival: float = 0.5
    half_life: timedelta = HALF_LIFE
    present_half_life: timedelta = timedelta(days=3)

    def rank(
        self, question: Question, shortlist: Shortlist, now: datetime, most: int = MOST_RANKED
    ) -> list[Recollection]:
        candidates, cues = shortlist.candidates, Cues.of(question.query)
        words = _scaled(worth_by_words(shortlist))
        meanings = self._meanings(candidates, words)
        met = [1 + self.cue * cues.met_by(c.said) for c in candidates]
        own = [
            (self.meaning * meaning + (1 - self.meaning) * word) * cue
            for meaning, word, cue in zip(meanings, words, met, strict=True)
        ]
        context = self._context(own, surroundings(candidates, own))
        relevance = [(o + c) / (1 + self.neighbours + self.episode) for o, c in zip(own, context, strict=True)]
        weights = [1 + self.nudge * (c.importance - 1) for c in candidates]
        aging = self._aging(cues, relevance, candidates)
        unaged = [r * weight for r, weight in zip(relevance, weights, strict=True)]
        ages = {i: aging.factor(relevance[i], candidates[i].moment) for i in _leading(candidates, unaged, aging, most)}
        totals = {i: relevance[i] * age * weights[i] for i, age in ages.items()}

        def score(i: int) -> Score:
            factors = Factors(meanings[i], met[i], relevance[i], ages[i], weights[i])
            of = candidates[i]
            fresh = recency(of.moment, now, self.half_life)
            return Score(totals[i], of.similarity, words[i], context[i], fresh, of.importance, factors)

        return [Recollection(candidates[i].memory, score(i)) for i in _best(candidates, totals, most)]

    def _meanings(self, candidates: Sequence[Candidate], words: list[float]) -> list[float]:
        meanings = _scaled([c.similarity for c in candidates])
        return [meaning if c.compared else word for c, meaning, word in zip(candidates, meanings, words, strict=True)]

    def _context(self, own: Sequence[float], around: Surroundings) -> list[float]:
        neighbours, episode, root = self.neighbours, self.episode, math.sqrt
        return [
            neighbours * root(value) * lent + episode * best
            for value, lent, best in zip(own, around.neighbours, around.episode, strict=True)
        ]

    def _aging(self, cues: Cues, relevance: Sequence[float], candidates: Sequence[Candidate]) -> Aging:
        """What counts is how much older a memory is than the newest that answers about as well."""
        best = max(relevance, default=0.0) or 1.0
        least = (self.present_rival if cues.present else self.rival) * best
        rivals = [c.moment for r, c in zip(relevance, candidates, strict=True) if r >= least]
        half_life = min(self.present_half_life, self.half_life) if cues.present else self.half_life
        return Aging(*self._age(cues), best, max(rivals, default=None), half_life)

    def _age(self, cues: Cues) -> tuple[float, int]:
        """How much age may move, less than nothing if the older is to win, and how steeply that falls."""
        if cues.present:
            return self.present_nudge, 1
        return (-self.past_nudge, 2) if cues.past else (self.nudge, 4)


def _scaled(values: Sequence[float]) -> list[float]:
    """The best becomes 1; what is below nothing becomes 0."""
    best = max(values, default=0.0)
    return [value / best if value > 0 else 0.0 for value in values]


def _leading(candidates: Sequence[Candidate], unaged: Sequence[float], aging: Aging, most: int) -> list[int]:
    """The places of the eligible candidates that may be among the best, however age moves them all."""
    eligible = [i for i, c in enumerate(candidates) if c.eligible]
    if len(eligible) <= most:
        return eligible
    up, down = 1 + aging.reach, 1 - aging.reach
    least = sorted([unaged[i] for i in eligible], reverse=True)[most - 1] * down
    return [i for i in eligible if unaged[i] * up >= least]


def _best(candidates: Sequence[Candidate], totals: Mapping[int, float], most: int) -> list[int]:
    """The places of the candidates with the greatest totals; among equals the newest first."""
    merits = [(total, candidates[i].moment, candidates[i].id, i) for i, total in totals.items()]
    return [i for *_, i in sorted(merits, reverse=True)[:most]]
