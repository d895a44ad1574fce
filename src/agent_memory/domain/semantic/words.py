"""Text as the words that can be searched for, and BM25: how well a memory's words answer a query's.

Scripts without spaces are cut into pairs of characters, so that they can be found as well.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date
from functools import lru_cache
from unicodedata import category, normalize

from agent_memory.domain.semantic.memory import Memory
from agent_memory.domain.semantic.recall import WordStatistics
from agent_memory.domain.semantic.stemming import stem

# Saturation of repeated words, and how much length is held against a memory (Robertson & Zaragoza 2009).
SATURATION = 0.9
LENGTH_WEIGHT = 0.25
LONGEST_COUNTED = 100
"""Words: a longer memory counts as one of so many. It tells more, and is not about it any less."""

# What belongs to a letter before it: vowels of Hindi and Thai, accents that have no letter of their own.
_MARKS = "".join(
    chr(code)
    for code in range(0x300, 0xFE00)
    if category(chr(code)).startswith("M") and not 0x20D0 <= code <= 0x20FF  # which stand at symbols
)
IN_A_WORD = rf"[\w{_MARKS}]"
_WORD = re.compile(rf"\w{IN_A_WORD}*")
# Thai, Lao, Myanmar, Khmer, kana, CJK ideographs: written without spaces between words. And Hangul, where endings stand
# at the word.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u9fff\uac00-\ud7a3"
    "\uf900-\ufaff\U00020000-\U0003ffff]+"
)
# What may be left out in writing: vowel points of Arabic and Hebrew, the line that stretches an Arabic word, which
# variant of a character it is, and the dot that is left of a Turkish capital.
_UNWRITTEN = re.compile(
    "[\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\ufe00-\ufe0f"
    "\U000e0100-\U000e01ef]|(?<=i)\u0307"
)
# Other forms of letters and digits: ligatures, those of Arabic by their place, full width and half width.
_FORMS = re.compile("[\ufb00-\ufb06\ufb50-\ufdff\ufe70-\ufefc\uff00-\uffef]+")

_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
# Days and months as they are written in digits, or with the signs of Chinese, Japanese and Korean.
_IN_DIGITS = re.compile(r"\b\d{4}-(?P<month>0[1-9]|1[0-2])(?:-(?P<day>0[1-9]|[12]\d|3[01]))?\b")
_NUMERALS = "一二三四五六七八九十"
_IN_SIGNS = re.compile(
    rf"(?P<month>1[0-2]|(?<!\d)0?[1-9]|十[一二]?|(?<!十)[{_NUMERALS[:9]}])\s?[月월](?:\s?(?P<day>\d{{1,2}})\s?[日일])?"
)
STOP_WORDS = frozenset(
    _WORD.findall("""
    a about all am an and any are aren as at be because been before being but by can could couldn d
    did didn do does doesn doing don down during each few for from further had hadn has hasn have
    haven having he her here hers him himself his how i if in into is isn it its itself just ll m me
    more most my myself no nor not of off on once only or other our ours ourselves out over own re s
    same she should shouldn so some such t than that the their theirs them themselves then there
    these they this those through to too under until up ve very was wasn we were weren what when
    where which while who whom why will with won would wouldn you your yours yourself""")
)


def word_counts(text: str) -> Counter[str]:
    """The searchable words of a text, and how often each occurs."""
    return Counter(_searchable(text))


def asked_words(query: str) -> frozenset[str]:
    """The searchable words of a question; the days and months that it tells in digits or signs are asked for by their
    English words too, which memories are found by.
    """
    found = [match for form in (_IN_DIGITS, _IN_SIGNS) for match in form.finditer(query)]
    months = {stem(_MONTHS[_number(match["month"]) - 1]) for match in found}
    return frozenset(word_counts(query)) | months | {str(int(match["day"])) for match in found if match["day"]}


def _number(month: str) -> int:
    return int(month) if month.isdecimal() else sum(_NUMERALS.index(sign) + 1 for sign in month)


def memory_words(memory: Memory) -> Counter[str]:
    """The words a memory is found by: those of its content, and its day, as in "what happened in May 2023?"."""
    day = memory.moment
    return word_counts(memory.content) + Counter([str(day.day), stem(_MONTHS[day.month - 1]), str(day.year)])


def day_in_words(day: date) -> str:
    """As a memory of that day is found: "1 May 2023"."""
    return f"{day.day} {_MONTHS[day.month - 1].capitalize()} {day.year}"


def folded(text: str) -> str:
    """The text as words are looked for in it: without case, each letter in one form, and with white space
    where a script without spaces meets another, as in "AWS\u306e\u8acb\u6c42\u66f8".
    """
    if text.isascii():
        return text.lower().replace("_", " ")
    plain = _UNWRITTEN.sub("", in_one_form(text).casefold())
    return _UNSPACED.sub(r" \g<0> ", plain.replace("_", " "))


def in_one_form(text: str) -> str:
    """The text with letters and their accents as one, and none in full or half width or joined to others."""
    return _FORMS.sub(lambda forms: normalize("NFKC", forms[0]), normalize("NFC", text))


def _searchable(text: str) -> list[str]:
    found: list[str] = []
    for word in _WORD.findall(folded(text)):
        if is_unspaced(word):
            found.extend(_pairs(word))
        elif word not in STOP_WORDS:
            found.append(stem(word))
    return found


def is_unspaced(word: str) -> bool:
    return _UNSPACED.match(word) is not None


def _pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run) - 1)] or [run]


def bm25(counts: Mapping[str, int], length: int, statistics: WordStatistics) -> float:
    """The relevance of a memory by its words: rare words weigh more, repeats and long memories less."""
    return bm25_of_each([(counts, length)], statistics)[0]


def bm25_of_each(said: Iterable[tuple[Mapping[str, int], int]], statistics: WordStatistics) -> list[float]:
    """The same of many memories, of each the counts of its words and its length."""
    documents, frequencies = statistics.documents, statistics.frequencies
    rare, rarest = {word: rarity(number, documents) for word, number in frequencies.items()}, rarity(0, documents)
    dampings = {}
    found = []
    for counts, length in said:
        if length not in dampings:
            dampings[length] = _damping(length, statistics.mean_length)
        damping, relevance = dampings[length], 0.0
        for word, count in counts.items():
            relevance += rare.get(word, rarest) * count / (count + damping)
        found.append(relevance)
    return found


def _damping(length: int, mean_length: float) -> float:
    relative_length = min(length, LONGEST_COUNTED) / mean_length if mean_length else 1.0
    return SATURATION * (1 - LENGTH_WEIGHT + LENGTH_WEIGHT * relative_length)


@lru_cache(maxsize=10_000)
def rarity(frequency: int, documents: int) -> float:
    """What a word is worth that so many of the memories say."""
    return math.log(1 + (documents - frequency + 0.5) / (frequency + 0.5))
