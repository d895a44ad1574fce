"""The kinds of facts: how each is told, asked and answered, and what values it takes."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from . import values
from .values import DRAWS, Draw
from .words import WORDS, read

DATA = read("kinds")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fact.

    ``direct`` are questions, ``clauses`` follow "do you remember", ``phrase`` is a noun phrase.
    ``answer`` says the value. ``anyone`` tells whether others than the user can have it too.
    """

    key: str
    draw: Draw
    tellings: tuple[str, ...]
    direct: tuple[str, ...]
    clauses: tuple[str, ...]
    answer: str
    phrase: str = ""
    anyone: bool = True
    changes: tuple[str, ...] = ()

    @property
    def gap(self) -> str:
        """What completes "I don't know"."""
        return self.phrase or self.clauses[0]


def kind_of(entry: dict[str, Any]) -> Kind:
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in entry.items()}
    return Kind(draw=DRAWS[fields.pop("values", "anything")], **fields)


def with_noun(kind: Kind, **parts: str) -> Kind:
    """A family's templates with its noun, and its verb if it has one, put in."""

    def put(template: str) -> str:
        for name, word in parts.items():
            template = template.replace(f"{{{name}}}", word)
        return template

    def put_all(templates: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(put(template) for template in templates)

    return replace(
        kind,
        key=put(kind.key),
        answer=put(kind.answer),
        phrase=put(kind.phrase),
        tellings=put_all(kind.tellings),
        direct=put_all(kind.direct),
        clauses=put_all(kind.clauses),
        changes=put_all(kind.changes),
    )


FAMILIES = {name: kind_of(entry) for name, entry in DATA["family"].items()}
PLAIN = [kind_of(entry) for entry in DATA["plain"]]
NAME = kind_of(DATA["name"])


def member(family: str, noun: str, draw: Draw | None = None) -> Kind:
    kind = with_noun(FAMILIES[family], noun=noun)
    return replace(kind, draw=draw) if draw else kind


def with_deed(family: str, noun: str, rng: Random) -> Kind:
    """Something that was done: which hotel was booked, where the film was seen."""
    plain, past = rng.choice(WORDS["deeds"]).split()
    return with_noun(FAMILIES[family], noun=noun, plain=plain, past=past)


FAVOURITE_OF_A_KIND: dict[str, Draw] = {
    "colour": values.colour,
    "food": values.food,
    "drink": values.drink,
    "animal": values.animal,
    "city": values.city,
    "country": values.country,
    "sport": values.hobby,
    "season": values.season,
    "fruit": values.food,
    "dessert": values.food,
    "meal": values.food,
    "dish": values.food,
    "hobby": values.hobby,
    "instrument": values.instrument,
    "language": values.language,
    "number": values.number,
    "subject": values.subject,
    "car": values.car,
    "day": values.weekday,
    "month": values.month,
    "name": values.first_name,
    "soup": values.food,
    "tea": values.drink,
    "vegetable": values.food,
}


def listed_kinds() -> list[Kind]:
    """Every kind that has a fixed noun; the commonest stand in the list several times."""
    kinds = [member("favourite", noun, draw) for noun, draw in FAVOURITE_OF_A_KIND.items()] * 2
    kinds += [member("favourite", noun) for noun in WORDS["favourites"]]
    kinds += [member("called", noun, values.person_name) for noun in WORDS["pets"]] * 2
    kinds += [member("called", noun, values.person_name) for noun in WORDS["relatives"]]
    kinds += [member("called", noun, values.title) for noun in WORDS["named_things"]]
    kinds += [member("held", noun, values.code) for noun in WORDS["coded"]]
    kinds += [member("held", noun, values.number) for noun in WORDS["numbered"]]
    kinds += [member("event", noun) for noun in WORDS["events"]]
    return kinds + PLAIN * 6 + [NAME] * 16


LISTED_KINDS = listed_kinds()
NOUN_LISTS = ("things", "things", "events", "pets", "named_things", "places", "favourites", "relatives")
NOUNS = [noun for name in NOUN_LISTS for noun in WORDS[name]]
FREE: tuple[Callable[[str, Random], Kind], ...] = (
    lambda noun, _: member("favourite", noun),
    lambda noun, _: member("called", noun, values.title),
    lambda noun, _: member("held", noun),
    lambda noun, _: member("held", noun, values.code),
    lambda noun, _: member("event", noun),
    lambda noun, _: member("coloured", noun),
    lambda noun, _: member("placed", noun),
    lambda noun, rng: with_deed("done", noun, rng),
    lambda noun, rng: with_deed("done", noun, rng),
    lambda noun, rng: with_deed("done_somewhere", noun, rng),
)


def free_noun(rng: Random) -> str:
    """A noun that no list foresees: so that the model learns to match words, not kinds."""
    thing = rng.choice(NOUNS) if rng.random() < 0.65 else values.made_up_word(rng)
    return thing if rng.random() < 0.75 else f"{rng.choice(WORDS['adjectives'])} {thing}"


def any_kind(rng: Random) -> Kind:
    return rng.choice(LISTED_KINDS) if rng.random() < 0.65 else rng.choice(FREE)(free_noun(rng), rng)
