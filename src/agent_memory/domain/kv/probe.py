"""Facts that can be neither known nor guessed, told in a conversation and asked for later: a probe of what a cache
keeps. Deterministic for a seed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from agent_memory.domain.chat import Message

_KINDS = (
    ("My locker code is {}.", "What is my locker code?", "digits"),
    ("My dog is called {}.", "What is my dog called?", "name"),
    ("My sister lives in {}.", "Where does my sister live?", "name"),
    ("My favourite colour is {}.", "What is my favourite colour?", "name"),
    ("My room number is {}.", "What is my room number?", "digits"),
    ("My cat is called {}.", "What is my cat called?", "name"),
    ("My favourite song is {}.", "What is my favourite song?", "name"),
    ("My bus number is {}.", "What is my bus number?", "digits"),
)
FACTS = len(_KINDS)
_SHORT = 30  # characters: a heading, not talk
_ONSETS = ("b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "br", "kr", "st", "tr")
_VOWELS = ("a", "e", "i", "o", "u")
_CODAS = ("n", "r", "l", "s", "m")


@dataclass(frozen=True, slots=True)
class Fact:
    told: str
    asked: str
    value: str

    def recalled_in(self, answer: str) -> bool:
        """Models put spaces between digits, and marks around names."""
        return self.value.lower() in answer.lower().replace(" ", "")


def facts(seed: int) -> tuple[Fact, ...]:
    """One of each kind, in any order."""
    dice = Random(seed)  # noqa: S311 - to be drawn again, not to be secret
    made = []
    for told, asked, sort in _KINDS:
        value = str(dice.randrange(1000, 10_000)) if sort == "digits" else _name(dice)
        made.append(Fact(told.format(value), asked, value))
    dice.shuffle(made)
    return tuple(made)


def _name(dice: Random) -> str:
    return "".join(dice.choice(part) for part in (_ONSETS, _VOWELS, _ONSETS, _VOWELS, _CODAS)).capitalize()


def telling(told: tuple[Fact, ...]) -> tuple[Message, ...]:
    return tuple(
        message for fact in told for message in (Message("user", fact.told), Message("assistant", "Okay, noted."))
    )


def talk(text: str, seed: int, length: int = 300) -> Iterator[tuple[Message, Message]]:
    """Pieces of the text of about `length` characters as talk that holds nothing to remember, from any place on."""
    paragraphs = [line for line in (" ".join(part.split()) for part in text.split("\n")) if len(line) > _SHORT]
    paragraphs = paragraphs or [" ".join(text.split())]
    at = Random(seed).randrange(len(paragraphs))  # noqa: S311 - as above
    while True:
        yield Message("user", paragraphs[at % len(paragraphs)][:length]), Message("assistant", "I see.")
        at += 1
