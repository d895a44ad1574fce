"""Memories that were made in one go, such as the turns of a talk, and what they lend each other.

It knows times and positions only; what relevance is, and what is made of the loan, is `scoring`'s matter.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import NamedTuple

from agent_memory.domain.semantic.recall import Candidate

_LONGEST_PAUSE = timedelta(hours=1)
# What stands just before lends more than what stands just after: an answer follows its question.
_LENDERS = {-2: 0.6, -1: 1.2, 1: 0.8, 2: 0.4}
_SHARES = tuple(_LENDERS.values())
_ALL_SHARES = sum(_SHARES)


class Surroundings(NamedTuple):
    """The mean relevance of the neighbours, and the best of the whole episode, the memory itself included."""

    neighbours: float
    episode: float


def surroundings(candidates: Sequence[Candidate], relevance: Sequence[float]) -> list[Surroundings]:
    """For each candidate, in their order of position, what stands around it; one that is alone has itself."""
    found: list[Surroundings] = []
    for start, end in _episodes(candidates):
        best = max(relevance[start:end])
        found += [Surroundings(lent, best) for lent in _lent_in(candidates[start:end], relevance[start:end])]
    return found


def _lent_in(episode: Sequence[Candidate], relevance: Sequence[float]) -> list[float]:
    """What its neighbours lend to each memory of an episode."""
    by_position = {c.position: own for c, own in zip(episode, relevance, strict=True)}
    first, last = episode[0].position, episode[-1].position
    if last - first + 1 == len(episode) > len(_LENDERS):  # as a rule: all but the outermost have four neighbours
        around = zip(relevance, relevance[1:], relevance[3:], relevance[4:], strict=False)
        s, t, u, v = _SHARES
        inner = [(s * a + t * b + u * c + v * d) / _ALL_SHARES for a, b, c, d in around]
        before, after = ([_lent(by_position, at + step) for step in (0, 1)] for at in (first, last - 1))
        return [*before, *inner, *after]
    return [_lent(by_position, position) for position in by_position]


def _episodes(candidates: Sequence[Candidate]) -> Iterator[tuple[int, int]]:
    start = 0
    for i in range(1, len(candidates) + 1):
        if i == len(candidates) or _pause(candidates[i - 1], candidates[i]) > _LONGEST_PAUSE:
            yield start, i
            start = i


def _pause(one: Candidate, next_one: Candidate) -> timedelta:
    return next_one.moment - one.moment


def _lent(by_position: dict[int, float], position: int) -> float:
    lent = shares = 0.0
    for step, share in _LENDERS.items():
        relevance = by_position.get(position + step)
        if relevance is not None:
            lent += share * relevance
            shares += share
    return lent / shares if shares else by_position[position]
