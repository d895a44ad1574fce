"""Many memories as one text: each as it was told, under its day. Nothing is made up, and what fits is told whole.

Of two memories so long that not even they fit, sentences are chosen by what they tell: each memory keeps its best one
before any keeps a second, and numbers, names and rare words tell more than small talk. What is as short as an answer or
an entry of a list stays with what it answers.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import combinations

from agent_memory.domain.semantic.facts import said_in
from agent_memory.domain.semantic.memory import LONGEST_CONTENT, MOST_TAGS, Memory
from agent_memory.domain.semantic.words import day_in_words, word_counts

_LONGEST_SENTENCE = 400
_SHORT = 30  # characters: "Yes.", "- gym"
_OPENING = (":", "?", "\uff1a", "\uff1f", "\u061f")  # what follows belongs to it
_ABBREVIATIONS = ("Dr", "Mr", "Mrs", "Ms", "St", "Prof", "No", "vs", "e.g", "i.e", "approx")
_WHOLE = "".join(rf"(?<!\b{re.escape(each)}\.)" for each in _ABBREVIATIONS) + r"(?<!\b[A-Z]\.)"
_SENTENCE_END = re.compile(rf"(?<=[.!?…]){_WHOLE}\s+|(?<=[\u3002\uff01\uff1f])|\n+")
_NUMBER = re.compile(r"\d")
_NAME = re.compile(r"(?<=[\w,;:] )[A-ZÀ-ÖØ-Þ]\w+")
_FACT_WORTH = 3.0  # rare words that one number or one name is worth
_DAY_ROOM = len("\n\n30 September 2026:\n")

Piece = tuple[date, str]


@dataclass(frozen=True, slots=True)
class _Sentence:
    place: int
    text: str
    source: int
    words: frozenset[str]
    again: bool  # it was said before: worth no room that something else needs


def fitting(memories: Sequence[Memory], longest: int = LONGEST_CONTENT) -> Sequence[Memory]:
    """The oldest of them, as many as can be condensed with nothing left out, tags neither, past those that would take
    most of the room; the oldest two, where no two can.
    """
    ordered = _in_time(memories)
    among = [memory for memory in ordered if 2 * _most_room(memory) <= longest]
    if len(among) < 2:
        pairs = combinations(ordered, 2)
        among = next((list(pair) for pair in pairs if sum(map(_most_room, pair)) <= longest), ordered)
    return among[: max(min(_told_whole(among, longest), _tagged_whole(among)), 2)]


def _most_room(memory: Memory) -> int:
    return _DAY_ROOM + len(memory.content)


def condense(memories: Sequence[Memory], longest: int = LONGEST_CONTENT) -> str:
    """The memories in their order of time, as many sentences of them as fit. Of blank ones, a blank."""
    ordered = _in_time(memories)
    whole = "".join(_runs(list(_distinct(ordered).values())))
    return (whole if len(whole) <= longest else _in_short(ordered, longest)) or memories[0].content


def _in_time(memories: Sequence[Memory]) -> list[Memory]:
    return sorted(memories, key=lambda memory: (memory.moment, memory.id))


def _distinct(memories: Sequence[Memory]) -> dict[int, Piece]:
    """What each says, by its place: on one day the same once. What two of them share is not the same where it stands:
    "Yes." answers the question before it.
    """
    said: set[Piece] = set()
    told: dict[int, Piece] = {}
    for place, memory in enumerate(memories):
        day, content = memory.moment.date(), memory.content.strip()
        same = day, said_in(content)
        if content and same not in said:
            said.add(same)
            told[place] = day, content
    return told


def _runs(pieces: Sequence[Piece]) -> Iterator[str]:
    """The text, piece by piece: a line for each, the day above if there are several, and room around what has lines of
    its own.
    """
    several = len({day for day, _ in pieces}) > 1
    last_day, last = None, ""
    for day, content in pieces:
        heading = f"{day_in_words(day)}:\n" if several and day != last_day else ""
        gap = ("\n\n" if heading or "\n" in last or "\n" in content else "\n") if last else ""
        yield gap + heading + content
        last_day, last = day, content


def _told_whole(memories: Sequence[Memory], room: int) -> int:
    """How many of the first there is room for."""
    told = _distinct(memories)
    for place, run in zip(told, _runs(list(told.values())), strict=True):
        room -= len(run)
        if room < 0:
            return place
    return len(memories)


def _tagged_whole(memories: Sequence[Memory]) -> int:
    """How many of the first have no more tags together than one memory may carry, beside its own."""
    tags: set[str] = set()
    for place, memory in enumerate(memories):
        tags |= memory.tags
        if len(tags) >= MOST_TAGS:
            return place
    return len(memories)


def _in_short(memories: Sequence[Memory], longest: int) -> str:
    days = {memory.moment.date() for memory in memories}
    headings = len(days) * _DAY_ROOM
    headed = 4 * headings <= longest  # else the days would leave too little room
    sentences: list[_Sentence] = []
    said: set[str] = set()
    for source, memory in enumerate(memories):
        for text in _together(_sentences(memory.content)):
            words, same = frozenset(word_counts(text)) or frozenset([text]), said_in(text)
            sentences.append(_Sentence(len(sentences), text, source, words, again=same in said))
            said.add(same)
    chosen = _chosen(sentences, longest - headings if headed else longest)
    of_days = [memory.moment.date() if headed else min(days) for memory in memories]
    return "".join(_runs([(of_days[s.source], s.text) for s in sentences if s in chosen]))


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


def _together(sentences: Iterator[str]) -> Iterator[str]:
    """What is short goes on the line of what it follows, as does what answers a question or was announced."""
    line = ""
    for text in sentences:
        follows = line.endswith(_OPENING) or (len(text) <= _SHORT and not text.endswith(_OPENING))
        if line and not (follows and len(line) < _LONGEST_SENTENCE):
            yield line
            line = ""
        line = f"{line} {text}" if line else text
    if line:
        yield line


def _chosen(sentences: list[_Sentence], longest: int) -> set[_Sentence]:
    common = Counter(word for sentence in sentences for word in sentence.words)
    best_first = sorted(sentences, key=lambda s: (s.again, -_worth(s, common, len(sentences))))
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
