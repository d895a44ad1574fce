"""Sentences as people tell and ask them, 12 to 20 words or 17 to 30 tokens each, and no two alike."""

import random
from itertools import count

_WHO = ("Ana", "Bashir", "Chloe", "Dmitri", "Elena", "Farid", "Grace", "Hiro", "Ines", "Jonas", "Kavya", "Liam")
_DID = (
    "moved to", "came back from", "wants to spend the summer in", "met her old teacher in", "lost a blue umbrella in",
    "signed a lease in", "is planning a workshop in", "ran the half marathon in", "missed the last train to",
)  # fmt: skip
_WHERE = ("Lisbon", "Oslo", "Kyoto", "Montreal", "Accra", "Tallinn", "Porto", "Lima", "Galway", "Utrecht", "Split")
_WHY = (
    "because the new job starts there in {month}", "after the concert on the {day}th of {month}",
    "although the budget allows no more than {number} euros", "since the doctor advised {number} minutes of walking",
    "while the flat at number {number} is being painted", "so the meeting on {month} {day} has to be moved",
)  # fmt: skip
_ASKED = (
    "When did {who} say that somebody {did} {where}, was it {why}?",
    "Do you remember which of us {did} {where} {why}?",
    "What did {who} tell me about the time when she {did} {where} {why}?",
)
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October")


class Texts:
    """One seed, one series. Texts of two seeds differ by the name of the teller's street."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)
        self._numbers = count(seed * 1_000_000)

    def told(self) -> str:
        return f"{self._who()} {self._pick(_DID)} {self._pick(_WHERE)} {self._why()}, ticket {next(self._numbers)}."

    def asked(self) -> str:
        question = self._pick(_ASKED)
        parts = {"who": self._who(), "did": self._pick(_DID), "where": self._pick(_WHERE), "why": self._why()}
        return f"{question.format(**parts)} ({next(self._numbers)})"

    def _who(self) -> str:
        return self._pick(_WHO)

    def _why(self) -> str:
        dice = self._dice
        return self._pick(_WHY).format(
            month=self._pick(_MONTHS), day=dice.randrange(4, 21), number=dice.randrange(20, 500)
        )

    def _pick(self, of: tuple[str, ...]) -> str:
        return self._dice.choice(of)
