"""Sentences as people tell and ask them, about 20 tokens each, and no two alike."""

import random
from itertools import count

_WHO = ("Ana", "Bashir", "Chloe", "Dmitri", "Elena", "Farid", "Grace", "Hiro", "Ines", "Jonas", "Kavya", "Liam")
_DID = (
    "moved to", "came back from", "spent the summer in", "met a teacher in", "lost an umbrella in",
    "signed a lease in", "planned a workshop in", "ran the marathon in", "missed the train to",
)  # fmt: skip
_WHERE = ("Lisbon", "Oslo", "Kyoto", "Montreal", "Accra", "Tallinn", "Porto", "Lima", "Galway", "Utrecht", "Split")
_WHEN = ("on {month} {day}", "the {day}th of {month}", "with {number} guests", "for {number} euros")
_ASKED = (
    "When was it that {who} {did} {where}, {when}?",
    "Who of us {did} {where} {when}?",
    "What did {who} say, who {did} {where} {when}?",
)
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October")


class Texts:
    """One seed, one series: two thousand texts that no other seed has, for each ends with a number of its own."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)
        self._numbers = count(seed * 2000)

    def told(self) -> str:
        return f"{self._who()} {self._pick(_DID)} {self._pick(_WHERE)} {self._when()}, says note {next(self._numbers)}."

    def asked(self) -> str:
        question = self._pick(_ASKED)
        parts = {"who": self._who(), "did": self._pick(_DID), "where": self._pick(_WHERE), "when": self._when()}
        return f"{question.format(**parts)} [{next(self._numbers)}]"

    def _who(self) -> str:
        return self._pick(_WHO)

    def _when(self) -> str:
        parts = {"month": self._pick(_MONTHS), "day": self._dice.randrange(4, 21), "number": self._dice.randrange(500)}
        return self._pick(_WHEN).format(**parts)

    def _pick(self, of: tuple[str, ...]) -> str:
        return self._dice.choice(of)
