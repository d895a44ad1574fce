"""Values that facts hold: drawn from lists, or made up so that copying is learnt and not a vocabulary.

Each value belongs to training or to evaluation by its checksum, so no held-out value is told in training.
"""

from collections.abc import Callable
from random import Random
from zlib import crc32

from .words import WORDS

Draw = Callable[[Random], str]

HELD_OUT_SHARE = 8  # one value in eight is kept for evaluation

SINGLE = ["b", "c", "d", "f", "g", "h", "j", "k", "l", "m", "n", "p", "r", "s", "t", "v", "w", "z"]
ONSETS = SINGLE * 4 + [
    "br",
    "ch",
    "cl",
    "cr",
    "dr",
    "fl",
    "fr",
    "gl",
    "gr",
    "kl",
    "kr",
    "pl",
    "pr",
    "qu",
    "sh",
    "sk",
    "sl",
    "sn",
    "sp",
    "st",
    "th",
    "tr",
    "w",
    "x",
    "y",
]
VOWELS = ["a", "e", "i", "o", "u"] * 5 + ["ai", "ea", "ee", "ia", "io", "oa", "oo", "ou", "y", "ae"]
CODAS = [""] * 36 + [
    "b",
    "ck",
    "d",
    "ff",
    "g",
    "k",
    "ll",
    "m",
    "n",
    "nd",
    "ng",
    "nt",
    "p",
    "r",
    "rk",
    "rt",
    "s",
    "ss",
    "st",
    "t",
    "tt",
    "th",
    "x",
    "z",
    "l",
    "m",
    "n",
    "r",
    "s",
    "t",
    "n",
    "r",
    "l",
]
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
DIGITS = "0123456789"


def held_out(value: str) -> bool:
    return crc32(value.lower().encode()) % HELD_OUT_SHARE == 0


def draw_value(draw: Draw, rng: Random, *, testing: bool) -> str:
    """A value of the wanted side. A small list may lack one: after many tries a made-up word stands in."""
    for _ in range(64):
        value = draw(rng)
        if held_out(value) == testing:
            return value
    return draw_value(made_up_name, rng, testing=testing)


def syllable(rng: Random) -> str:
    return rng.choice(ONSETS) + rng.choice(VOWELS) + rng.choice(CODAS)


def made_up_word(rng: Random) -> str:
    return "".join(syllable(rng) for _ in range(rng.choice((1, 2, 2, 2, 2, 3))))


def letter_noise(rng: Random) -> str:
    return "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(3, 8)))


def made_up_name(rng: Random) -> str:
    return (made_up_word(rng) if rng.random() < 0.92 else letter_noise(rng)).capitalize()


def digits(rng: Random, low: int, high: int) -> str:
    return characters(rng, DIGITS, low, high)


def one_of(options: list[str]) -> Draw:
    return lambda rng: rng.choice(options)


def mixed(draw: Draw, other: Draw, share: float) -> Draw:
    """Mostly the first, with the given share of the second."""
    return lambda rng: other(rng) if rng.random() < share else draw(rng)


def first_name(rng: Random) -> str:
    return rng.choice(WORDS["first_names"]) if rng.random() < 0.45 else made_up_name(rng)


def full_name(rng: Random) -> str:
    last = rng.choice(WORDS["last_names"]) if rng.random() < 0.4 else made_up_name(rng)
    return f"{first_name(rng)} {last}"


def person_name(rng: Random) -> str:
    return full_name(rng) if rng.random() < 0.25 else first_name(rng)


def number(rng: Random) -> str:
    shape = rng.random()
    if shape < 0.5:
        return str(rng.randint(1, 99))
    if shape < 0.8:
        return str(rng.randint(100, 99999))
    return f"{rng.randint(0, 999)}.{rng.randint(0, 99)}"


def code(rng: Random) -> str:
    return rng.choice(CODES)(rng)


def characters(rng: Random, alphabet: str, low: int, high: int) -> str:
    return "".join(rng.choice(alphabet) for _ in range(rng.randint(low, high)))


CODES: tuple[Draw, ...] = (
    lambda rng: digits(rng, 4, 8),
    lambda rng: f"{rng.choice(LETTERS)}{rng.choice(LETTERS)}-{digits(rng, 3, 5)}",
    lambda rng: characters(rng, LETTERS + DIGITS, 5, 9),
    lambda rng: f"{made_up_word(rng)}{digits(rng, 1, 4)}",
    lambda rng: f"{digits(rng, 2, 4)}-{digits(rng, 2, 4)}-{digits(rng, 2, 4)}",
    lambda rng: f"{made_up_word(rng)}-{made_up_word(rng)}-{digits(rng, 1, 3)}",
    lambda rng: characters(rng, LETTERS + LETTERS.lower() + DIGITS + "_-", 6, 12),
    lambda rng: f"{rng.choice(LETTERS)}{digits(rng, 2, 6)}",
)


def day(rng: Random) -> str:
    number_of_day = rng.randint(1, 31)
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number_of_day % 10 if number_of_day not in (11, 12, 13) else 0, "th")
    return rng.choice((str(number_of_day), f"{number_of_day}{ending}"))


def date(rng: Random) -> str:
    month, year = rng.choice(WORDS["months"]), rng.randint(1930, 2039)
    return rng.choice(
        (
            f"{day(rng)} {month}",
            f"{month} {day(rng)}",
            f"{day(rng)} of {month}",
            f"{month} {day(rng)}, {year}",
            f"{day(rng)} {month} {year}",
            f"{year}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}",
        )
    )


def clock(rng: Random) -> str:
    hour, minute = rng.randint(0, 23), rng.choice((0, 0, 15, 30, 45, rng.randint(0, 59)))
    return rng.choice((f"{hour}:{minute:02}", f"{hour:02}:{minute:02}", f"{hour % 12 + 1} {rng.choice(('am', 'pm'))}"))


def moment(rng: Random) -> str:
    """When something takes place, with its preposition."""
    weekday = rng.choice(WORDS["weekdays"])
    return rng.choice(
        (
            f"on {weekday}",
            f"on {weekday} at {clock(rng)}",
            f"at {clock(rng)}",
            f"on {date(rng)}",
            f"on {date(rng)} at {clock(rng)}",
            f"in {rng.choice(WORDS['months'])}",
            f"next {weekday}",
            f"tomorrow at {clock(rng)}",
        )
    )


def title(rng: Random) -> str:
    adjective, thing = rng.choice(WORDS["adjectives"]), rng.choice(WORDS["things"])
    return rng.choice(
        (
            f"The {adjective} {thing}".title(),
            f"{adjective} {thing}".title(),
            f"{made_up_name(rng)} {rng.choice(WORDS['last_names'])}",
            made_up_name(rng),
            made_up_word(rng),
            f"the {made_up_name(rng)} {thing}",
        )
    )


def anything(rng: Random) -> str:
    """Values for facts of no particular kind, so that any text can be a value."""
    return rng.choice(
        (
            made_up_word,
            made_up_name,
            title,
            first_name,
            code,
            number,
            city,
            thing,
            food,
            colour,
            words_together,
        )
    )(rng)


def words_together(rng: Random) -> str:
    joint = rng.choice(("and", "with", "of", "from", "in", "or", "without"))
    ends = (
        rng.choice((thing, food, drink, animal, made_up_word)),
        rng.choice((thing, food, city, made_up_word, first_name)),
    )
    start = f"{rng.choice(WORDS['adjectives'])} " if rng.random() < 0.3 else ""
    return f"{start}{ends[0](rng)} {joint} {ends[1](rng)}"


def address(rng: Random) -> str:
    road = rng.choice(("Street", "Road", "Lane", "Avenue", "Square"))
    name = made_up_name(rng) if rng.random() < 0.6 else rng.choice(WORDS["things"]).title()
    return rng.choice((f"{rng.randint(1, 300)} {name} {road}", f"{name} {road} {rng.randint(1, 300)}"))


def age(rng: Random) -> str:
    return str(rng.randint(1, 110))


def place(rng: Random) -> str:
    """Where something is, with its preposition."""
    spot = rng.choice(WORDS["places"]) if rng.random() < 0.7 else made_up_word(rng)
    preposition = rng.choice(("in", "in", "at", "near", "behind", "under"))
    return f"{preposition} the {spot}" if rng.random() < 0.8 else f"in {city(rng)}"


def plural_or_made_up(rng: Random) -> str:
    return made_up_word(rng) + rng.choice(("", "s"))


city = mixed(one_of(WORDS["cities"]), made_up_name, 0.45)
country = mixed(one_of(WORDS["countries"]), made_up_name, 0.4)
colour = mixed(one_of(WORDS["colours"]), made_up_word, 0.35)
food = mixed(one_of(WORDS["foods"]), plural_or_made_up, 0.4)
drink = mixed(one_of(WORDS["drinks"]), made_up_word, 0.4)
animal = mixed(one_of(WORDS["animals"]), made_up_word, 0.3)
job = mixed(one_of(WORDS["jobs"]), made_up_word, 0.35)
hobby = mixed(one_of(WORDS["hobbies"]), made_up_word, 0.35)
instrument = mixed(one_of(WORDS["instruments"]), made_up_word, 0.4)
language = mixed(one_of(WORDS["languages"]), made_up_name, 0.4)
subject = mixed(one_of(WORDS["subjects"]), made_up_word, 0.35)
car = mixed(one_of(WORDS["cars"]), made_up_name, 0.4)
season = mixed(one_of(WORDS["seasons"]), made_up_word, 0.4)
thing = mixed(one_of(WORDS["things"]), made_up_word, 0.3)
organisation = mixed(title, made_up_name, 0.5)
weekday = one_of(WORDS["weekdays"])
month = one_of(WORDS["months"])
DRAWS: dict[str, Draw] = {name: draw for name, draw in globals().items() if callable(draw) and name.islower()}
