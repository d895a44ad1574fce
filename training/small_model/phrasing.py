"""How a fact becomes a sentence, a question or an answer, with the untidiness of real typing."""

from dataclasses import dataclass
from random import Random

from .kinds import Kind
from .people import Person, Voice, capitalised, spoken_of

OPENERS = ("By the way, ", "Just so you know, ", "Please remember that ", "FYI: ", "Remember: ", "Oh, and ", "Also, ", "Hi! ", "Hello, ", "Well, ", "Note that ", "You should know that ",
           "I want to tell you that ", "Did you know that ", "Actually, ", "Hey, ", "So, ", "Keep in mind that ", "For the record, ", "One more thing: ", "Let me tell you something: ", "Please note: ", "I think I told you, ",
           "Remember this: ", "Important: ", "Don't forget that ", "Guess what, ", "First of all, ", "Fun fact: ")  # fmt: skip
CLOSERS = (" Please remember that.", " Keep that in mind.", " Okay?", " Don't forget it!", " That's all.", " I just wanted you to know.", " What do you think?", " Nice, isn't it?", " :)", " Got it?", " Please remember this for later.")
ASIDES = ("So, ", "Hey, ", "Quick question: ", "And ", "By the way, ", "Now, ", "Okay, ", "Hi! ", "Sorry, ", "Well, ", "One question: ", "Please tell me, ", "Tell me, ", "I forgot, ", "Let's see: ", "Earlier I told you something. ", "Now answer: ", "Question: ",
          "Thanks. ", "Great. ", "Based on what I told you, ", "According to your memory, ", "Good. ")  # fmt: skip
BEFORE_CLAUSE = ("do you remember", "can you tell me", "tell me", "do you know", "I forgot", "remind me", "could you remind me", "I'd like to know", "please tell me", "can you remember", "could you tell me", "what did I say about", "do you recall", "do you still know",
                 "can you remind me", "say", "I wonder", "would you tell me", "let me know", "I can't remember", "did I tell you")  # fmt: skip
BEFORE_PHRASE = ("what is", "tell me", "remind me of", "do you know", "do you remember", "what was", "give me", "name", "what did I say was", "can you tell me", "please name", "what did I tell you about", "repeat", "I need", "what do you know about", "recall", "")
AMERICAN = (("favourite", "favorite"), ("colour", "color"), ("neighbour", "neighbor"), ("licence", "license"), ("travelling", "traveling"))
CONTRACTIONS = (("I am ", "I'm "), ("what is ", "what's "), ("What is ", "What's "), ("who is ", "who's "), ("when is ", "when's "), ("where is ", "where's "), ("I would ", "I'd "), ("I have ", "I've got "), ("do not ", "don't "))


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
    usable = [option for option in options if "[S]" not in option] if voice.subject == "it" else options
    template = voice.say(rng.choice(usable or fact.kind.tellings))
    template = template if template.startswith("{v}") else capitalised(template)
    if changed and rng.random() < 0.5:
        template = rng.choice(("Actually, ", "Correction: ", "Update: ", "No, wait, ", "I was wrong, ", "News: ")) + template
    return filled(template, hand.cased(fact.value), hand)


def sentences(parts: list[str], rng: Random, hand: Hand) -> str:
    """Told facts as one message."""
    joint = rng.choice((". ", ". ", ". ", ", ", " and ", "\n", "; ", ", and ", "! "))
    text = joint.join(parts)
    if rng.random() < 0.25:
        opener = rng.choice(OPENERS)
        text = hand.cased(opener) + (text if rng.random() < 0.5 or not text.startswith(("My ", "The ")) else text[:1].lower() + text[1:])
    if hand.marked:
        text += rng.choice((".", ".", ".", "!"))
        text += hand.cased(rng.choice(CLOSERS)) if rng.random() < 0.15 else ""
    return text


def question(person: Person, kind: Kind, rng: Random, hand: Hand) -> str:
    voice, draw = person.told, rng.random()
    impersonal = voice.subject == "it"
    if kind.phrase and draw < 0.2:
        text, mark = f"{rng.choice(BEFORE_PHRASE)} {voice.say(kind.phrase)}".strip(), "?."
    elif draw < 0.45:
        text, mark = f"{rng.choice(BEFORE_CLAUSE)} {voice.say(fitting(kind.clauses, rng, impersonal=impersonal))}", "?."
    else:
        text, mark = voice.say(fitting(kind.direct, rng, impersonal=impersonal)), "?"
    text = rng.choice(ASIDES) + text if rng.random() < 0.22 else capitalised(text)
    return hand.write(text) + (rng.choice(mark) if hand.marked else "")


def fitting(options: tuple[str, ...], rng: Random, *, impersonal: bool) -> str:
    return rng.choice([option for option in options if not (impersonal and "[S]" in option)] or list(options))


def as_typed(person: Person, hand: Hand) -> Voice:
    """Answers repeat a name as the question wrote it."""
    return spoken_of(hand.cased(person.told.subject)) if person.told is person.answered else person.answered


def answer(fact: Fact, hand: Hand) -> str:
    said = as_typed(fact.person, hand).say(fact.kind.answer)
    return (said if said.startswith("{v}") else starting(said, fact.person)).replace("{v}", fact.value) + "."


def starting(said: str, person: Person) -> str:
    return said if person.told is person.answered and person.told.subject != "it" else capitalised(said)


def gap(person: Person, kind: Kind, hand: Hand) -> str:
    return f"I don't know {as_typed(person, hand).say(kind.gap)}. You haven't told me."
