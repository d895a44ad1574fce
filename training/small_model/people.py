"""Who a fact is about, and how that reads from either side of the conversation.

A template such as ``[P] dog is called {v}`` or ``where [do] [S] live`` is put into a voice:
``[S]`` is the subject, ``[P]`` the possessive, any other bracket a verb to conjugate.
"""

import re
from dataclasses import dataclass
from random import Random

from . import values
from .words import WORDS

BRACKET = re.compile(r"\[(\w+)\]")
IRREGULAR = {
    "am": {"i": "am", "you": "are", "he": "is"},
    "was": {"i": "was", "you": "were", "he": "was"},
    "have": {"i": "have", "you": "have", "he": "has"},
    "do": {"i": "do", "you": "do", "he": "does"},
}


@dataclass(frozen=True, slots=True)
class Voice:
    """One side's words for a person, with the form its verbs take: ``i``, ``you`` or ``he``."""

    subject: str
    possessive: str
    form: str

    def say(self, template: str) -> str:
        return BRACKET.sub(lambda found: self._word(found[1]), template)

    def _word(self, mark: str) -> str:
        if mark == "S":
            return self.subject
        if mark == "P":
            return self.possessive
        if mark in IRREGULAR:
            return IRREGULAR[mark][self.form]
        return third_person(mark) if self.form == "he" else mark


@dataclass(frozen=True, slots=True)
class Person:
    """A person as the user says it, as the assistant answers it, and as a memory about the user notes it."""

    told: Voice
    answered: Voice
    noted: Voice

    @property
    def key(self) -> str:
        return self.told.subject

    @property
    def named(self) -> bool:
        """Spoken of by name, which is the same for all."""
        return self.told is self.answered and not self.impersonal

    @property
    def impersonal(self) -> bool:
        """Nobody: the fact is about a thing, "the meeting"."""
        return self is IMPERSONAL


def third_person(verb: str) -> str:
    if verb.endswith(("s", "sh", "ch", "o", "x")):
        return verb + "es"
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb[:-1] + "ies"
    return verb + "s"


def spoken_of(name: str) -> Voice:
    return Voice(name, f"{name}'s", "he")


def named(name: str) -> Person:
    voice = spoken_of(name)
    return Person(voice, voice, voice)


def relative(kin: str) -> Person:
    return Person(spoken_of(f"my {kin}"), spoken_of(f"your {kin}"), spoken_of(f"the user's {kin}"))


THE = Voice("it", "the", "he")
IMPERSONAL = Person(THE, THE, THE)
USER = Person(Voice("I", "my", "i"), Voice("you", "your", "you"), spoken_of("the user"))


def someone(rng: Random) -> Person:
    """Any person but the user: mostly by name."""
    if rng.random() < 0.25:
        return relative(rng.choice(WORDS["relatives"]))
    name = values.first_name(rng) if rng.random() < 0.9 else values.full_name(rng)
    return named(name)


def capitalised(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
