"""What a long memory is worth by its words: what its best passage is.

Many things are told in it, and a question is about one of them: words that stand far apart answer nothing together.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from agent_memory.domain.semantic.recall import Candidate, Shortlist, WordStatistics
from agent_memory.domain.semantic.stemming import stem
from agent_memory.domain.semantic.words import (
    IN_A_WORD,
    LONGEST_COUNTED,
    bm25,
    bm25_of_each,
    folded,
    is_unspaced,
    rarity,
)

_MOST_READ = 40  # memories
_PASSAGE = 250  # characters: two or three sentences ...
_PASSAGE_WORDS = 20  # ... with so many words that can be searched for


def worth_by_words(shortlist: Shortlist) -> list[float]:
    """Of each candidate, by BM25."""
    candidates, statistics = shortlist.candidates, shortlist.words
    if shortlist.worth is None:
        worth = bm25_of_each([(c.counts, c.length) for c in candidates], statistics)
    else:
        worth = list(shortlist.worth)
    long = [i for i, c in enumerate(candidates) if c.length > LONGEST_COUNTED and len(c.counts) > 1]
    long.sort(key=worth.__getitem__, reverse=True)
    for i in long[:_MOST_READ]:
        together = _best_together(candidates[i], statistics)
        worth[i] = bm25(dict.fromkeys(together, 1), _PASSAGE_WORDS, statistics) if together else worth[i]
    for i in long[_MOST_READ:]:  # which say less of it, and nobody knows where
        worth[i] = min(worth[i], *(worth[read] for read in long[:_MOST_READ]))
    return worth


def _best_together(candidate: Candidate, statistics: WordStatistics) -> list[str]:
    """Which of the words stand in the one passage that has most of them, the rare ones first."""
    worth = {word: rarity(statistics.frequencies.get(word, 0), statistics.documents) for word in candidate.counts}
    best: list[str] = []
    most = 0.0
    last: dict[str, int] = {}
    for at, word in _places(candidate.said.content, statistics.frequencies):
        last[word] = at
        near = [each for each, place in last.items() if place > at - _PASSAGE]
        total = sum(worth.get(each, 0.0) for each in near)
        if total > most:
            best, most = near, total
    return best


def _places(content: str, words: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Where each of the words is, in whatever form it has there."""
    known = frozenset(words)
    for found in _pattern(known, ascii_only=content.isascii()).finditer(folded(content)):
        word = found[0] if found[0] in known else stem(found[0])
        if word in known:
            yield found.start(), word


@lru_cache(maxsize=100)
def _pattern(words: frozenset[str], *, ascii_only: bool) -> re.Pattern[str]:
    """Whatever begins as one of the words does; a pair of characters without spaces may stand anywhere."""
    before, after = (r"\b", r"\w") if ascii_only else (f"(?<!{IN_A_WORD})", IN_A_WORD)
    pairs = {word for word in words if is_unspaced(word)}
    begun = "|".join(sorted(re.escape(word.rstrip("i") or word) for word in words - pairs))
    patterns = [f"{before}(?:{begun}){after}*"] if begun else []
    return re.compile("|".join([*patterns, *sorted(map(re.escape, pairs))]))
