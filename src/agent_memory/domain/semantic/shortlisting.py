"""Which memories of a scope that was read whole may answer a search: the best of each leg, and their neighbours.

What is made of their signals afterwards is `scoring`'s matter.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from agent_memory.domain.semantic.recall import Candidate, Search, Shortlist, WordStatistics
from agent_memory.domain.semantic.words import bm25_of_each

NEIGHBOURS = (-2, -1, 0, 1, 2)


def shortlisted(scope: Sequence[Candidate], search: Search) -> Shortlist:
    """From all memories of a scope, in order of position and numbered from 0, those that `MemoryStore` promises."""
    words = _statistics(scope)
    wanted = {place + step for place in _best(scope, words, search) for step in NEIGHBOURS}
    return Shortlist(tuple(candidate for candidate in scope if candidate.position in wanted), words)


def _statistics(scope: Sequence[Candidate]) -> WordStatistics:
    frequencies = Counter(word for candidate in scope for word in candidate.counts)
    lengths = sum(candidate.length for candidate in scope)
    return WordStatistics(len(scope), lengths / len(scope) if scope else 0.0, frequencies)


def _best(scope: Sequence[Candidate], words: WordStatistics, search: Search) -> Iterator[int]:
    eligible = [candidate for candidate in scope if candidate.eligible]
    if len(eligible) > search.depth:
        yield from _top(((search.merit(c.moment, c.similarity), c.position) for c in eligible), search.depth)
        worded = [c for c in eligible if c.counts]
        worth = bm25_of_each([(c.counts, c.length) for c in worded], words)
        yield from _top(zip(worth, (c.position for c in worded), strict=True), search.depth)
        yield from (c.position for c in eligible[len(eligible) - min(search.newest, len(eligible)) :])
    else:
        yield from (c.position for c in eligible)  # by meaning all of them are among the best


def _top(scored: Iterable[tuple[float, int]], depth: int) -> Iterator[int]:
    return (position for _, position in sorted(scored, reverse=True)[:depth])
