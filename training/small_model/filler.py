"""Talk that holds nothing to remember: stories, lists, logs, word salad, noise. Facts must survive it."""

from collections.abc import Callable
from random import Random

from . import values
from .words import WORDS

THINGS, PLACES, ADJECTIVES, VERBS = (WORDS[name] for name in ("things", "places", "adjectives", "verbs"))
JOBS = WORDS["jobs"]
SMALL_WORDS = WORDS["small_words"]
SCRIPTS = [
    "éèüößñçåøæ",
    "абвгдежзиклмнопрстуфх",
    "αβγδεζηθικλμνξοπρστ",
    "日本語中文字山川水火",
    "한국어서울",
    "😀🎉🚀🐶🌍",
    "←→∑√≈≤€£",
]


def noun(rng: Random) -> str:
    return rng.choice(THINGS)


def story_sentence(rng: Random) -> str:
    who = rng.choice(
        (
            values.first_name(rng),
            f"the {rng.choice(ADJECTIVES)} {rng.choice(JOBS)}",
            "they",
            "nobody",
            "everyone",
        )
    )
    verb, thing, adjective, place = rng.choice(VERBS), noun(rng), rng.choice(ADJECTIVES), rng.choice(PLACES)
    sentence = rng.choice(
        (
            f"{who} {verb} the {adjective} {thing} in the {place}",
            f"in the {place} {who} {verb} a {thing}",
            f"the {thing} was {adjective} and {who} {verb} it",
            f"after {rng.randint(2, 90)} days {who} {verb} the {thing} near {values.city(rng)}",
            f"{who} {verb} a {thing}, a {noun(rng)} and a {adjective} {noun(rng)}",
            f"then the {place} became {adjective}",
            f"it was {adjective} in {values.city(rng)}, and the {thing} was {values.colour(rng)}",
            f"{who} said that the {thing} in the {place} was too {adjective}",
        )
    )
    return sentence[:1].upper() + sentence[1:] + "."


def encyclopaedia_sentence(rng: Random) -> str:
    town, year = values.city(rng), rng.randint(800, 2020)
    return rng.choice(
        (
            (
                f"{town} is a city in {values.country(rng)} with a population of "
                f"{rng.randint(10, 999)},{values.digits(rng, 3, 3)}."
            ),
            f"{town} was founded in {year} by {values.full_name(rng)}.",
            (
                f"{values.full_name(rng)} ({year}-{year + rng.randint(20, 90)}) was a "
                f"{values.country(rng)} {values.job(rng)}."
            ),
            (f"The {rng.choice(PLACES)} of {town} was {rng.choice(VERBS)} in {year} and is {rng.choice(ADJECTIVES)}."),
            f"The {values.animal(rng)} lives in {values.country(rng)} and eats {values.food(rng)}.",
            f"Its main exports are {values.food(rng)}, {noun(rng)}s and {values.drink(rng)}.",
            f"The {values.organisation(rng)} opened on {values.date(rng)}.",
        )
    )


def salad(rng: Random) -> str:
    """Words without sense, some of them unknown, as a foreign language would look."""
    source = rng.choice((SMALL_WORDS, THINGS + VERBS + SMALL_WORDS, None))
    picked = [values.made_up_word(rng) if source is None else rng.choice(source) for _ in range(rng.randint(4, 18))]
    line = " ".join(picked)
    return line[:1].upper() + line[1:] + rng.choice((".", ".", ",", "!", "?", ";", ""))


STEMS = ["con", "pro", "re", "in", "de", "ex", "un", "per", "trans", "inter", "sub", "over", "dis", "com", ""]
ENDINGS = [
    "tion",
    "ing",
    "ed",
    "ly",
    "ness",
    "ment",
    "able",
    "ous",
    "ical",
    "s",
    "er",
    "ity",
    "ive",
    "al",
    "ence",
    "ism",
]


def learned_word(rng: Random) -> str:
    """Looks like English and is none."""
    return rng.choice(STEMS) + values.syllable(rng) + rng.choice((values.syllable(rng), "")) + rng.choice(ENDINGS)


def prose_word(rng: Random) -> str:
    draw = rng.random()
    if draw < 0.5:
        return rng.choice(SMALL_WORDS)
    if draw < 0.65:
        return rng.choice(THINGS + VERBS + ADJECTIVES)
    if draw < 0.92:
        return learned_word(rng)
    odd = rng.choice((values.number, values.code, values.city, values.first_name, noise))(rng)
    return rng.choice(("{}", "({})", '"{}"', "{},", "`{}`", "{}:")).format(odd)


def prose_sentence(rng: Random) -> str:
    """The texture of written English: small words, long words, commas, quotes and numbers."""
    words = [prose_word(rng) for _ in range(rng.randint(5, 24))]
    for place in range(4, len(words), 7):
        words[place] += rng.choice((",", "", ""))
    line = " ".join(words)
    return line[:1].upper() + line[1:] + rng.choice((".", ".", ".", ":", ";", "!"))


def noise(rng: Random) -> str:
    """Tokens that no vocabulary foresees: other scripts, identifiers, symbols."""
    script = rng.choice(SCRIPTS)
    return rng.choice(
        (
            "".join(rng.choice(script) for _ in range(rng.randint(3, 14))),
            "".join(chr(rng.randint(33, 126)) for _ in range(rng.randint(3, 24))),
            f"{rng.getrandbits(64):x}",
            f"{values.made_up_word(rng)}_{values.made_up_word(rng)}({values.digits(rng, 1, 3)})",
        )
    )


def record(rng: Random) -> str:
    """A line of data: a log, a row, a pair."""
    return rng.choice(
        (
            f'{{"{noun(rng)}": "{values.made_up_word(rng)}", "count": {rng.randint(0, 999)}}}',
            (
                f"{values.digits(rng, 4, 4)}-{values.digits(rng, 2, 2)} INFO {noun(rng)} {rng.choice(VERBS)} "
                f"in {rng.randint(1, 900)} ms"
            ),
            f"{noun(rng)},{values.first_name(rng)},{rng.randint(0, 9999)},{values.colour(rng)}",
            f"{values.made_up_word(rng)} = {values.made_up_word(rng)}.{noun(rng)}({rng.randint(0, 99)})",
        )
    )


def numbered_list(rng: Random) -> str:
    return "\n".join(f"{row}. {values.anything(rng)}" for row in range(1, rng.randint(4, 10)))


def bullet_list(rng: Random) -> str:
    return "\n".join(f"- {rng.choice(ADJECTIVES)} {noun(rng)}" for _ in range(rng.randint(3, 9)))


def many(sentence: Callable[[Random], str], joint: str) -> Callable[[Random], str]:
    return lambda rng: joint.join(sentence(rng) for _ in range(rng.randint(2, 6)))


SHAPES = (
    many(story_sentence, " "),
    many(story_sentence, " "),
    many(encyclopaedia_sentence, " "),
    many(prose_sentence, " "),
    many(prose_sentence, " "),
    many(prose_sentence, "\n"),
    many(salad, " "),
    many(salad, "\n"),
    many(record, "\n"),
    many(noise, " "),
    numbered_list,
    bullet_list,
)


def passage(rng: Random, characters: int) -> str:
    """About as much text as asked for, in one or several shapes."""
    shape, parts, length = rng.choice(SHAPES), [], 0
    while length < characters:
        if rng.random() < 0.2:
            shape = rng.choice(SHAPES)
        parts.append(shape(rng))
        length += len(parts[-1])
    return rng.choice((" ", "\n", "\n\n")).join(parts)
