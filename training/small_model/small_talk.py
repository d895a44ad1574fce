"""Small talk: what the user says that asks for nothing remembered, and what the model replies."""

from random import Random

from . import values
from .words import WORDS, read

TALK = read("small_talk")
EXCHANGES: list[tuple[list[str], str]] = [(entry["said"], entry["reply"]) for entry in TALK["exchanges"]]
REACTIONS: list[str] = TALK["reactions"]
WORLD_QUESTIONS: list[str] = TALK["world_questions"]
ONLY_TOLD: str = TALK["only_told"]


def tidy(text: str, rng: Random, mark: str) -> str:
    """As people type: mostly a capital and a mark, sometimes neither."""
    if rng.random() < 0.75:
        text = text[:1].upper() + text[1:]
    return text + (mark if rng.random() < 0.75 else "")


def exchange(rng: Random) -> tuple[str, str]:
    said, reply = rng.choice(EXCHANGES)
    return tidy(rng.choice(said), rng, rng.choice((".", "!", "?"))), reply


def world_question(rng: Random) -> tuple[str, str]:
    question = rng.choice(WORLD_QUESTIONS).format(
        country=values.country(rng),
        city=values.city(rng),
        thing=rng.choice(WORDS["things"]),
        place=rng.choice(WORDS["places"]),
        food=values.food(rng),
        animal=values.animal(rng),
        subject=values.subject(rng),
        a=rng.randint(1, 99),
        b=rng.randint(1, 99),
    )
    return tidy(question, rng, "?"), ONLY_TOLD
