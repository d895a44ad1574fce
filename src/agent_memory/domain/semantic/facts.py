"""What must not get lost when a text is said in other words: its numbers, dates and names, and whether it says no.

Scripts without capitals show no names: there every word counts.
"""

import re

from agent_memory.domain.semantic.words import STOP_WORDS, in_one_form

_NUMBER = re.compile(r"\d+(?:[.,:/-]\d+)*")
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*")
_DATES = frozenset(
    _WORD.findall("""
    monday tuesday wednesday thursday friday saturday sunday january february march april june july august
    september october november december today tomorrow yesterday""")
)
# Soft hyphens, and where a line may or may not be broken: they come with what is copied from pages.
_UNSEEN = re.compile("[\u00ad\u200b\u2060\ufeff]")
_CLOSING = " .!\u3002\uff01"
_NEGATION = re.compile(r"\b(?:no|not|never|none|nobody|nothing|neither|nor|without|cannot|\w+n['\u2019]t)\b")


def said_in(text: str) -> str:
    """What a text says, word for word: without the white space around words, what nobody sees, a capital at its
    beginning, and the full stop or exclamation mark that closes it, with each letter in one form. All else may be all
    the difference: a question mark, the point in 1.5, the capitals of US.
    """
    words = " ".join(in_one_form(_UNSEEN.sub("", text)).split())
    said = words.rstrip(_CLOSING) or words
    return said[:1].casefold() + said[1:]


def facts_of(text: str) -> frozenset[str]:
    """The facts of a text, in lower case, so that it does not matter where in a sentence they stand."""
    words = (word for word in _WORD.findall(text) if _tells(word))
    return frozenset([*_NUMBER.findall(text), *(word.casefold().removesuffix("'s") for word in words)])


def says_no_more(text: str, than: str) -> bool:
    """Whether every fact of the text is in the other too, and both or neither deny something."""
    return facts_of(text) <= facts_of(than) and _denies(text) == _denies(than)


def _tells(word: str) -> bool:
    plain = word.casefold()
    if plain in STOP_WORDS:
        return False
    return word != plain or plain in _DATES or word.upper() == word.lower()


def _denies(text: str) -> bool:
    return _NEGATION.search(text.casefold()) is not None
