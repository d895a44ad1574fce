"""English words without their endings, after M. F. Porter, "An algorithm for suffix stripping" (1980).

`walked`, `walking` and `walks` meet in `walk`. Words that are not made of a-z pass unchanged.
"""

import re
from functools import lru_cache

_CONSONANTS = "[^aeiou][^aeiouy]*"
_VOWELS = "[aeiouy][aeiou]*"
# A word reads as consonants (vowels consonants){m} vowels: the measure m is what most rules ask about.
_MEASURED = re.compile(f"^(?:{_CONSONANTS})?{_VOWELS}{_CONSONANTS}")
_MEASURED_ONCE = re.compile(f"^(?:{_CONSONANTS})?{_VOWELS}{_CONSONANTS}(?:{_VOWELS})?$")
_MEASURED_TWICE = re.compile(f"^(?:{_CONSONANTS})?{_VOWELS}{_CONSONANTS}{_VOWELS}{_CONSONANTS}")
_HAS_VOWEL = re.compile(f"^(?:{_CONSONANTS})?[aeiouy]")
_DOUBLED = re.compile(r"([^aeiouylsz])\1$")
_SHORT = re.compile(f"^{_CONSONANTS}[aeiouy][^aeiouwxy]$")
_STEMMABLE = re.compile("^[a-z]{3,}$")

_DOUBLE_SUFFIXES = {
    "ational": "ate", "tional": "tion", "enci": "ence", "anci": "ance", "izer": "ize", "bli": "ble",
    "alli": "al", "entli": "ent", "eli": "e", "ousli": "ous", "ization": "ize", "ation": "ate", "ator": "ate",
    "alism": "al", "iveness": "ive", "fulness": "ful", "ousness": "ous", "aliti": "al", "iviti": "ive",
    "biliti": "ble", "logi": "log",
}  # fmt: skip
_FULL_SUFFIXES = {
    "icate": "ic", "ative": "", "alize": "al", "iciti": "ic", "ical": "ic", "ful": "", "ness": "",
}  # fmt: skip
_LAST_SUFFIXES = (
    "ement", "ance", "ence", "able", "ible", "ment", "ant", "ent", "ism", "ate", "iti", "ous", "ive", "ize",
    "al", "er", "ic", "ou",
)  # fmt: skip


def stem(word: str) -> str:
    return _stem(word) if _STEMMABLE.match(word) else word  # numbers, of which there is no end, are not remembered


@lru_cache(maxsize=20_000)
def _stem(word: str) -> str:
    word = _without_plural(word)
    word = _without_tense(word)
    if word.endswith("y") and _HAS_VOWEL.match(word[:-1]):
        word = word[:-1] + "i"
    word = _replaced(word, _DOUBLE_SUFFIXES)
    word = _replaced(word, _FULL_SUFFIXES)
    word = _without_last_suffix(word)
    return _without_final_e(word)


def _without_plural(word: str) -> str:
    if word.endswith(("sses", "ies")):
        return word[:-2]
    if word.endswith("s") and not word.endswith("ss"):
        return word[:-1]
    return word


def _without_tense(word: str) -> str:
    if word.endswith("eed"):
        return word[:-1] if _MEASURED.match(word[:-3]) else word
    for ending in ("ed", "ing"):
        if word.endswith(ending) and _HAS_VOWEL.match(word[: -len(ending)]):
            return _mended(word[: -len(ending)])
    return word


def _mended(word: str) -> str:
    """Give back what the tense took: hop(p)ing loses a letter, fil(e)ing gains one."""
    if word.endswith(("at", "bl", "iz")):
        return word + "e"
    if _DOUBLED.search(word):
        return word[:-1]
    return word + "e" if _SHORT.match(word) else word


def _replaced(word: str, suffixes: dict[str, str]) -> str:
    for length in range(7, 2, -1):
        suffix = word[-length:]
        if suffix in suffixes:
            trunk = word[: -len(suffix)]
            return trunk + suffixes[suffix] if _MEASURED.match(trunk) else word
    return word


def _without_last_suffix(word: str) -> str:
    for suffix in _LAST_SUFFIXES:
        if word.endswith(suffix):
            trunk = word[: -len(suffix)]
            return trunk if _MEASURED_TWICE.match(trunk) else word
    if word.endswith(("sion", "tion")) and _MEASURED_TWICE.match(word[:-3]):
        return word[:-3]
    return word


def _without_final_e(word: str) -> str:
    if word.endswith("e"):
        trunk = word[:-1]
        if _MEASURED_TWICE.match(trunk) or (_MEASURED_ONCE.match(trunk) and not _SHORT.match(trunk)):
            word = trunk
    if word.endswith("ll") and _MEASURED_TWICE.match(word):
        return word[:-1]
    return word
