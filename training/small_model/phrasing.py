"""How a fact becomes a sentence, a question or an answer, with the untidiness of real typing."""

from dataclasses import dataclass
from random import Random

from .kinds import Kind
from .people import THE, Person, Voice, capitalised, spoken_of
from .words import read

PHRASES: dict[str, list[str]] = read("phrases")
AMERICAN = (
    ("favourite", "favorite"),
    ("colour", "color"),
    ("neighbour", "neighbor"),
    ("licence", "license"),
    ("travelling", "traveling"),
)
CONTRACTIONS = (
    ("I am ", "I'm "),
    ("what is ", "what's "),
    ("What is ", "What's "),
    ("who is ", "who's "),
    ("when is ", "when's "),
    ("where is ", "where's "),
    ("I would ", "I'd "),
    ("I have ", "I've got "),
    ("do not ", "don't "),
)


@dataclass(frozen=True, slots=True)
class Fact:
    person: Person
    kind: Kind
    value: str

    @property
    def key(self) -> tuple[str, str]:
        return self.person.key, self.kind.key


@dataclass(frozen=True, slots=True)
class Hand:
    """One message's way of typing."""

    case: str = "plain"
    american: bool = False
    contracted: bool = False
    curly: bool = False
    marked: bool = True

    def write(self, sentence: str) -> str:
        """The sentence before its value is put in."""
        for plain, variant in AMERICAN if self.american else ():
            sentence = sentence.replace(plain, variant)
        for plain, variant in CONTRACTIONS if self.contracted else ():
            sentence = sentence.replace(plain, variant)
        sentence = self.cased(sentence) if self.case != "plain" else sentence
        return sentence.replace("'", "\N{RIGHT SINGLE QUOTATION MARK}") if self.curly else sentence

    def cased(self, text: str) -> str:
        return {"lower": text.lower, "upper": text.upper}.get(self.case, text.__str__)()


PLAIN = Hand()


def any_hand(rng: Random) -> Hand:
    draw = rng.random()
    case = "lower" if draw < 0.15 else "upper" if draw < 0.165 else "plain"
    return Hand(case, rng.random() < 0.35, rng.random() < 0.35, rng.random() < 0.06, rng.random() < 0.8)


def filled(template: str, value: str, hand: Hand) -> str:
    """The value goes in last: no spelling rule may touch it but the case of the whole."""
    return "".join((value if part is None else hand.write(part)) for part in split_at_value(template))


def split_at_value(template: str) -> list[str | None]:
    before, mark, after = template.partition("{v}")
    return [before, None, after] if mark else [before]


def tell(fact: Fact, voice: Voice, rng: Random, hand: Hand, *, changed: bool = False) -> str:
    options = fact.kind.changes if changed and rng.random() < 0.7 else fact.kind.tellings
    usable = [option for option in options if says_whose(option, voice)]
    template = voice.say(rng.choice(usable or fact.kind.tellings))
    template = template if template.startswith("{v}") else capitalised(template)
    if changed and rng.random() < 0.5:
        template = (
            rng.choice(("Actually, ", "Correction: ", "Update: ", "No, wait, ", "I was wrong, ", "News: ")) + template
        )
    tail = rng.choice(PHRASES["tails"]) if rng.random() < 0.2 else ""
    return filled(template + tail, hand.cased(fact.value), hand)


def says_whose(telling: str, voice: Voice) -> bool:
    """Only the user may leave out whose it is; and nobody does nothing."""
    if voice is THE:
        return "[S]" not in telling
    return voice.form != "he" or "[S]" in telling or "[P]" in telling


def sentences(parts: list[str], rng: Random, hand: Hand) -> str:
    """Told facts as one message."""
    joint = rng.choice((". ", ". ", ". ", ", ", " and ", "\n", "; ", ", and ", "! "))
    text = joint.join(parts)
    if rng.random() < 0.25:
        opener = rng.choice(PHRASES["openers"])
        text = hand.cased(opener) + (
            text if rng.random() < 0.5 or not text.startswith(("My ", "The ")) else text[:1].lower() + text[1:]
        )
    if hand.marked:
        text += rng.choice((".", ".", ".", "!"))
        text += hand.cased(rng.choice(PHRASES["closers"])) if rng.random() < 0.15 else ""
    return text


def question(person: Person, kind: Kind, rng: Random, hand: Hand) -> str:
    voice, draw = person.told, rng.random()
    if kind.phrase and draw < 0.2:
        text, mark = f"{rng.choice(PHRASES['before_phrase'])} {voice.say(kind.phrase)}".strip(), "?."
    elif draw < 0.45:
        text, mark = (
            f"{rng.choice(PHRASES['before_clause'])} {voice.say(fitting(kind.clauses, rng, person))}",
            "?.",
        )
    else:
        text, mark = voice.say(fitting(kind.direct, rng, person)), "?"
    text = rng.choice(PHRASES["asides"]) + text if rng.random() < 0.22 else capitalised(text)
    return hand.write(text) + (rng.choice(mark) if hand.marked else "")


def fitting(options: tuple[str, ...], rng: Random, person: Person) -> str:
    return rng.choice([option for option in options if not (person.impersonal and "[S]" in option)] or list(options))


def as_typed(person: Person, hand: Hand) -> Voice:
    """Answers repeat a name as the question wrote it."""
    return spoken_of(hand.cased(person.told.subject)) if person.named else person.answered


def answer(fact: Fact, hand: Hand) -> str:
    said = as_typed(fact.person, hand).say(fact.kind.answer)
    return (said if said.startswith("{v}") else starting(said, fact.person)).replace("{v}", fact.value) + "."


def starting(said: str, person: Person) -> str:
    return said if person.named else capitalised(said)


def gap(person: Person, kind: Kind, hand: Hand) -> str:
    return f"I don't know {as_typed(person, hand).say(kind.gap)}. You haven't told me."
