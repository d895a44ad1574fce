"""Many memories as one text, by choosing among their sentences: nothing is made up, and facts come first.

Sentences that say the same are said once. Of two memories so long that not even they fit whole, what does not fit is
left out by what it tells: each memory keeps its best sentence before any keeps a second, and numbers, names and rare
words tell more than small talk.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agent_memory.domain.semantic.facts import said_in
from agent_memory.domain.semantic.memory import LONGEST_CONTENT, Memory
from agent_memory.domain.semantic.words import word_counts

_LONGEST_SENTENCE = 400
_ABBREVIATIONS = ("Dr", "Mr", "Mrs", "Ms", "St", "Prof", "No", "vs", "e.g", "i.e", "approx")
_WHOLE = "".join(rf"(?<!\b{re.escape(each)}\.)" for each in _ABBREVIATIONS) + r"(?<!\b[A-Z]\.)"
_SENTENCE_END = re.compile(rf"(?<=[.!?…]){_WHOLE}\s+|(?<=[\u3002\uff01\uff1f])|\n+")
_NUMBER = re.compile(r"\d")
_NAME = re.compile(r"(?<=[\w,;:] )[A-ZÀ-ÖØ-Þ]\w+")
_FACT_WORTH = 3.0  # rare words that one number or one name is worth


@dataclass(frozen=True, slots=True)
class _Sentence:
    text: str
    source: int
    words: frozenset[str]


def fitting(memories: Sequence[Memory], longest: int = LONGEST_CONTENT) -> Sequence[Memory]:
    """The oldest of them, as many as can be condensed with no sentence left out; two, where not even these can."""
    ordered, room = _in_time(memories), longest
    for source, text in _distinct(ordered):
        room -= len(text) + 1
        if room < 0:
            return ordered[: max(source, 2)]
    return memories


def condense(memories: Sequence[Memory], longest: int = LONGEST_CONTENT) -> str:
    """The sentences of the memories, in their order of time, as many as fit, each once. Of blank ones, a blank."""
    sentences = [
        _Sentence(text, source, frozenset(word_counts(text)) or frozenset([text]))
        for source, text in _distinct(_in_time(memories))
    ]
    chosen = _chosen(sentences, longest)
    return "\n".join(sentence.text for sentence in sentences if sentence in chosen) or memories[0].content


def _in_time(memories: Sequence[Memory]) -> list[Memory]:
    return sorted(memories, key=lambda memory: (memory.moment, memory.id))


def _distinct(memories: Sequence[Memory]) -> Iterator[tuple[int, str]]:
    """Each sentence that is new, and the place of the memory that says it first."""
    seen: set[str] = set()
    for source, memory in enumerate(memories):
        for text in _sentences(memory.content):
            told = said_in(text)
            if told not in seen:
                seen.add(told)
                yield source, text


def _sentences(content: str) -> Iterator[str]:
    for part in _SENTENCE_END.split(content):
        text = part.strip()
        while len(text) > _LONGEST_SENTENCE:
            cut = text.rfind(" ", 1, _LONGEST_SENTENCE)
            cut = cut if cut > 0 else _LONGEST_SENTENCE
            yield text[:cut]
            text = text[cut:].strip()
        if text:
            yield text


def _chosen(sentences: list[_Sentence], longest: int) -> set[_Sentence]:
    common = Counter(word for sentence in sentences for word in sentence.words)
    best_first = sorted(sentences, key=lambda s: -_worth(s, common, len(sentences)))
    first_of_each: dict[int, _Sentence] = {}
    for sentence in best_first:
        first_of_each.setdefault(sentence.source, sentence)
    chosen: set[_Sentence] = set()
    room = longest
    for sentence in [*first_of_each.values(), *best_first]:
        if sentence not in chosen and len(sentence.text) + 1 <= room:
            chosen.add(sentence)
            room -= len(sentence.text) + 1
    return chosen


def _worth(sentence: _Sentence, common: Counter[str], total: int) -> float:
    """What it tells, for the room it takes: the square root keeps long sentences in the running."""
    rarity = sum(math.log(1 + total / common[word]) for word in sentence.words)
    facts = len(_NUMBER.findall(sentence.text)[:4]) + len(_NAME.findall(sentence.text))
    return (rarity + _FACT_WORTH * facts) / math.sqrt(len(sentence.text))
