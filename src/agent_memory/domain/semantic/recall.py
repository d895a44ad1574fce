"""The vocabulary between asking and ranking: a search, the candidates it brings, and what comes of them.

A store fills a `Shortlist` with measured signals; `scoring` turns it into `Recollection`s.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from agent_memory.domain.semantic.checks import check_count, check_moment, check_number, check_text
from agent_memory.domain.semantic.cues import Said
from agent_memory.domain.semantic.memory import (
    LONGEST_QUERY,
    MOST_RESULTS,
    Embedding,
    Memory,
    MemoryId,
    Scope,
)
from agent_memory.domain.semantic.selection import EVERYTHING, Selection
from agent_memory.domain.semantic.weighing import Weighing, recency

MOST_TOKENS = 100_000


@dataclass(frozen=True, slots=True)
class Question:
    """What the caller asks. With `alpha` the caller also asks for the weighing of meaning against recency.

    `max_tokens` asks for as many as fit into so many tokens, of which there are at most `top_k` if that is said too;
    where neither is, ten are asked for. `as_of` asks for what was valid then.
    """

    scope: Scope
    query: str
    top_k: int | None = None
    alpha: float | None = None
    selection: Selection = EVERYTHING
    as_of: datetime | None = None
    min_score: float | None = None
    max_tokens: int | None = None

    def __post_init__(self) -> None:
        check_text("query", self.query, LONGEST_QUERY)
        if self.top_k is not None:
            check_count("top_k", self.top_k, 1, MOST_RESULTS)
        if self.alpha is not None:
            check_number("alpha", self.alpha, 0, 1)
        if self.as_of is not None:
            check_moment("as_of", self.as_of)
        if self.min_score is not None:
            check_number("min_score", self.min_score)
        if self.max_tokens is not None:
            check_count("max_tokens", self.max_tokens, 1, MOST_TOKENS)


@dataclass(frozen=True, slots=True)
class Search:
    """A question as a store understands it: where, near what, with which words, how deep, how many of the newest.

    With `as_of` it is asked of what was valid then, instead of what holds now. With `weighing` it is near what
    weighs most: the first leg goes by that sum instead of meaning alone, and there need be no other.
    """

    scope: Scope
    embedding: Embedding
    words: frozenset[str]
    depth: int
    now: datetime
    newest: int = 0
    selection: Selection = EVERYTHING
    as_of: datetime | None = None
    weighing: Weighing | None = None

    @property
    def moment(self) -> datetime:
        """The time that it is asked about."""
        return self.as_of or self.now

    def merit(self, moment: datetime, similarity: float) -> float:
        """By which the first leg takes the best."""
        weighing = self.weighing
        if weighing is None:
            return similarity
        return weighing.total(similarity, recency(moment, self.moment, weighing.half_life))

    def admits(self, memory: Memory) -> bool:
        """Whether it may take part at all, be it as context only."""
        return memory.scope == self.scope and (memory.held(self.as_of) if self.as_of else memory.holds(self.now))


class Candidate(NamedTuple):
    """What ranking asks of a memory, and how it relates to the search. A tuple, because a search makes hundreds; the
    memory itself is made of few of them, by `whole`, and which words it says, by `counted` of its position.

    `position` numbers the memories of the scope by time: consecutive numbers are neighbours. A candidate that
    is not `eligible` fails the filter and only lends context to its neighbours. One that was not `compared`, because
    its vector is of another model, has similarity 0.
    """

    id: MemoryId
    moment: datetime
    importance: float
    said: Said
    whole: Callable[[], Memory]
    position: int
    similarity: float
    counted: Callable[[int], Mapping[str, int]]
    length: int
    eligible: bool = True
    compared: bool = True

    @property
    def memory(self) -> Memory:
        return self.whole()

    @property
    def counts(self) -> Mapping[str, int]:
        """How often it says each of the searched words that it says."""
        return self.counted(self.position)

    @classmethod
    def of(
        cls,
        memory: Memory,
        position: int,
        similarity: float,
        counts: Mapping[str, int],
        length: int,
        *,
        eligible: bool = True,
        compared: bool = True,
    ) -> "Candidate":
        """Of a memory that is there already."""
        asked = (memory.id, memory.moment, memory.importance, Said(memory.content))
        return cls(*asked, lambda: memory, position, similarity, lambda _: counts, length, eligible, compared)


@dataclass(frozen=True, slots=True)
class WordStatistics:
    """How common the searched words are in the scope: what makes a rare word count for more."""

    documents: int
    mean_length: float
    frequencies: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Shortlist:
    """`worth` is what `words.bm25` makes of each candidate, to the last bit, if the store has found it out already."""

    candidates: tuple[Candidate, ...]
    words: WordStatistics
    worth: Sequence[float] | None = None


class Factors(NamedTuple):
    """What the default policy makes of the parts: meaning against the best, what cues that are met multiply by, how
    relevant that is with the context; then, what age and importance multiply by.
    """

    meaning: float
    cue: float
    relevance: float
    age: float
    importance: float


class Score(NamedTuple):
    """Why a memory stands where it stands: `total` orders, the parts explain."""

    total: float
    similarity: float
    words: float
    context: float
    recency: float
    importance: float
    factors: Factors | None = None

    @property
    def shown(self) -> float:
        """As it is told, and compared with `min_score`."""
        return shown(self.total)


def shown(score: float) -> float:
    return round(score, 4)


class Recollection(NamedTuple):
    memory: Memory
    score: Score
