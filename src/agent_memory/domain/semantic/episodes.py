"""Memories that were made in one go, such as the turns of a talk, and what they lend each other.

It knows times and positions only; what relevance is, and what is made of the loan, is `scoring`'s matter.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import accumulate, pairwise
from typing import NamedTuple

from agent_memory.domain.semantic.recall import Candidate

_LONGEST_PAUSE = timedelta(hours=1)
# What stands just before lends more than what stands just after: an answer follows its question.
_LENDERS = {-2: 0.6, -1: 1.2, 1: 0.8, 2: 0.4}
_REACH = max(_LENDERS)
_FAR = _REACH + 1


class Surroundings(NamedTuple):
    """Of each candidate: the mean relevance of its neighbours, and the best of its whole episode, itself included."""

    neighbours: list[float]
    episode: list[float]


def surroundings(candidates: Sequence[Candidate], relevance: Sequence[float]) -> Surroundings:
    """What stands around each of the candidates, in their order of position; one that is alone has itself."""
    if not candidates:
        return Surroundings([], [])
    starts = _starts([c.moment for c in candidates])
    best: list[float] = []
    for start, end in pairwise([*starts, len(candidates)]):
        best += [max(relevance[start:end])] * (end - start)
    return Surroundings(_lent(_places([c.position for c in candidates], starts), relevance), best)


def _starts(moments: Sequence[datetime]) -> list[int]:
    """Where an episode begins."""
    if moments[-1] - moments[0] <= _LONGEST_PAUSE:  # in the order of time: one talk, as often
        return [0]
    return [0, *(i for i, (one, after) in enumerate(pairwise(moments), 1) if after - one > _LONGEST_PAUSE)]


def _places(positions: Sequence[int], starts: Sequence[int]) -> list[int]:
    """The positions, counted from the first, where whatever is out of reach or of another episode is just so far away
    that nothing is lent.
    """
    steps = [step if 0 < (step := after - one) < _FAR else _FAR for one, after in pairwise(positions)]
    for start in starts[1:]:
        steps[start - 1] = _FAR
    return list(accumulate(steps, initial=0))


def _lent(places: Sequence[int], relevance: Sequence[float]) -> list[float]:
    """What its neighbours lend to each, by the shares of those that are there."""
    own, there = ([0.0] * (places[-1] + 1) for _ in range(2))
    for place, value in zip(places, relevance, strict=True):
        own[place] = value
        there[place] = 1.0
    lent, shares = _from_around(own), _from_around(there)
    return [lent[place] / shares[place] if shares[place] else own[place] for place in places]


def _from_around(values: Sequence[float]) -> list[float]:
    """For each, the sum of what stands before and after it, by the lenders' shares."""
    edge = [0.0] * _REACH
    wide = [*edge, *values, *edge]
    before, just_before, just_after, after = _LENDERS.values()
    return [
        before * a + just_before * b + just_after * c + after * d
        for a, b, c, d in zip(wide, wide[1:], wide[3:], wide[4:], strict=False)
    ]
