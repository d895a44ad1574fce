"""Dialogues made of facts told, questions asked and talk between; endless, and the same for the same seed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from random import Random

from . import filler, small_talk, values
from .kinds import Kind, any_kind, free_noun, member
from .people import IMPERSONAL, USER, Person, someone
from .phrasing import PHRASES, PLAIN, Fact, answer, any_hand, gap, question, sentences, tell

ACKNOWLEDGED, INSTRUCTIONS = PHRASES["acknowledged"], PHRASES["instructions"]
# Kinds that a reader could take for one another: not knowing one is no sure thing when another was told.
ALIKE = [set(group) for group in PHRASES["alike"]]
ATTRIBUTES = ("code", "password", "name", "price", "capital", "number", "owner", "colour", "leader")


@dataclass(frozen=True, slots=True)
class Message:
    """``key`` is what an answer must contain; empty for anything but an answer."""

    role: str
    content: str
    key: str = ""


def alike(one: Kind, other: Kind) -> bool:
    return one.key == other.key or any(one.key in group and other.key in group for group in ALIKE)


@dataclass
class Dialogue:
    """A conversation as it grows. Facts are by person and kind, the last one told wins."""

    rng: Random
    testing: bool = False
    messages: list[Message] = field(default_factory=list)
    facts: dict[tuple[str, str], Fact] = field(default_factory=dict)
    cast: list[Person] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.cast = [someone(self.rng) for _ in range(self.rng.randint(1, 4))]

    def say(self, role: str, content: str, key: str = "") -> None:
        self.messages.append(Message(role, content, key))

    def new_fact(self) -> Fact:
        """Often of a kind that someone else has already, so that the person must be minded."""
        person, kind = self.person_and_kind()
        return Fact(person, kind, values.draw_value(kind.draw, self.rng, testing=self.testing))

    def person_and_kind(self) -> tuple[Person, Kind]:
        rng, draw = self.rng, self.rng.random()
        if draw < 0.1:
            attribute = rng.choice((*ATTRIBUTES, free_noun(rng)))
            return IMPERSONAL, member(
                "held", f"{attribute} {rng.choice(('of', 'for'))} {rng.choice(('the ', ''))}{free_noun(rng)}"
            )
        known = [fact.kind for fact in self.facts.values()]
        kind = rng.choice(known) if known and rng.random() < 0.3 else any_kind(rng)
        if draw < 0.18 and kind.key.startswith(("time of", "colour of", "place of")):
            return IMPERSONAL, kind
        person = USER if not kind.anyone or rng.random() < 0.65 else rng.choice(self.cast)
        return person, kind

    def learn(self, fact: Fact) -> None:
        self.facts[fact.key] = fact

    def tell(self, count: int = 0) -> None:
        rng, hand = self.rng, any_hand(self.rng)
        facts = {
            fact.key: fact for fact in (self.new_fact() for _ in range(count or rng.choice((1, 1, 1, 2, 2, 3, 4))))
        }
        changed = [key in self.facts for key in facts]
        parts = [
            tell(fact, fact.person.told, rng, hand, changed=change)
            for fact, change in zip(facts.values(), changed, strict=True)
        ]
        text = sentences(parts, rng, hand)
        for fact in facts.values():
            self.learn(replace(fact, value=hand.cased(fact.value)))
        if rng.random() < 0.06:  # buried in other talk
            text = rng.choice(
                (
                    f"{self.passage(200)}\n{text}",
                    f"{text}\n{self.passage(200)}",
                    f"{self.passage(120)} {text} {self.passage(120)}",
                )
            )
        if rng.random() < 0.12:
            self.ask(before=text + rng.choice((" ", "\n")))
            return
        self.say("user", text)
        self.acknowledge(list(facts.values()))

    def acknowledge(self, facts: list[Fact]) -> None:
        """Mostly by saying the facts back: the user sees they were understood, the model learns to copy."""
        rng, known = self.rng, [self.facts[fact.key] for fact in facts]
        name = next((fact.value for fact in known if fact.kind.key == "name"), "")
        if name and len(known) == 1:
            self.say("assistant", f"Nice to meet you, {name}.", key=name)
        elif len(known) <= 3 and rng.random() < 0.6:
            self.say(
                "assistant",
                " ".join(("Got it.", *(answer(fact, PLAIN) for fact in known))),
                key=known[-1].value,
            )
        else:
            self.say("assistant", rng.choice(ACKNOWLEDGED))

    def update(self) -> None:
        """A fact told before changes."""
        if not self.facts:
            return
        rng, hand = self.rng, any_hand(self.rng)
        old = rng.choice(list(self.facts.values()))
        fact = replace(old, value=values.draw_value(old.kind.draw, rng, testing=self.testing))
        self.learn(replace(fact, value=hand.cased(fact.value)))
        self.say("user", sentences([tell(fact, fact.person.told, rng, hand, changed=True)], rng, hand))
        self.acknowledge([fact])

    def ask(self, before: str = "") -> None:
        """A question about a fact told; sometimes two at once."""
        rng, hand = self.rng, any_hand(self.rng)
        asked = rng.sample(list(self.facts.values()), k=2 if len(self.facts) > 1 and rng.random() < 0.06 else 1)
        text = rng.choice((" ", " And ")).join(question(fact.person, fact.kind, rng, hand) for fact in asked)
        self.say("user", before + text)
        self.say("assistant", " ".join(answer(fact, hand) for fact in asked), key=asked[-1].value)

    def ask_unknown(self) -> None:
        rng, hand = self.rng, any_hand(self.rng)
        for _ in range(8):
            person, kind = self.person_and_kind()
            if not any(key[0] == person.key and alike(fact.kind, kind) for key, fact in self.facts.items()):
                self.say("user", question(person, kind, rng, hand))
                self.say("assistant", gap(person, kind, hand))
                return

    def passage(self, characters: int) -> str:
        return filler.passage(self.rng, characters)

    def ramble(self, characters: int) -> None:
        role = "tool" if self.rng.random() < 0.08 else "user"
        self.say(role, self.passage(characters))
        self.say("assistant", self.rng.choice(small_talk.REACTIONS))

    def chat(self) -> None:
        said, reply = small_talk.exchange(self.rng) if self.rng.random() < 0.8 else small_talk.world_question(self.rng)
        self.say("user", said)
        self.say("assistant", reply)

    def block(self, role: str) -> str:
        """Facts as a memory store hands them over; they count as told."""
        rng, hand, bullet = self.rng, any_hand(self.rng), self.rng.choice(PHRASES["bullets"])
        facts = {fact.key: fact for fact in (self.new_fact() for _ in range(rng.randint(1, 8)))}
        noted = rng.random() < 0.6
        lines = [
            tell(fact, fact.person.noted if noted else fact.person.told, rng, hand)
            + (rng.choice((".", ".", "")) if hand.marked else "")
            for fact in facts.values()
        ]
        for fact in facts.values():
            self.learn(replace(fact, value=hand.cased(fact.value)))
        body = (
            "\n".join(bullet + line for line in lines)
            if rng.random() < 0.8
            else " ".join(line.rstrip(".") + "." for line in lines)
        )
        instruction = rng.choice(INSTRUCTIONS) if role == "system" else ""
        return "\n".join(part for part in (instruction, rng.choice((*PHRASES["block_titles"], "")), body) if part)

    def recall(self) -> None:
        """A memory block just before a question: its own message, or the same one."""
        role = self.rng.choice(("system", "system", "user"))
        text = self.block(role)
        if role == "user" and self.rng.random() < 0.5:
            self.ask(before=text + "\n\n")
            return
        self.say(role, text)
        self.ask()

    def open(self) -> None:
        draw = self.rng.random()
        if draw < 0.25:
            self.say("system", self.block("system"))
        elif draw < 0.45:
            self.say("system", self.rng.choice(INSTRUCTIONS[:-1]))


def close(dialogue: Dialogue) -> None:
    """One question, known or not."""
    if dialogue.facts and dialogue.rng.random() < 0.74:
        dialogue.ask()
    else:
        dialogue.ask_unknown()


def step(dialogue: Dialogue, talk: float, ramble: int) -> None:
    """One action; ``talk`` is the share of idle talk, ``ramble`` its usual length in characters."""
    rng, draw = dialogue.rng, dialogue.rng.random()
    if draw < talk:
        dialogue.ramble(int(rng.expovariate(1 / ramble))) if rng.random() < 0.4 else dialogue.chat()
    elif rng.random() < 0.28 or not dialogue.facts:
        dialogue.tell()
    elif rng.random() < 0.08:
        dialogue.update()
    elif rng.random() < 0.05:
        dialogue.recall()
    else:
        close(dialogue)


def far_apart(dialogue: Dialogue, room: int, length: Callable[[], int]) -> None:
    """Facts first, then a stretch of other talk, then the questions."""
    rng = dialogue.rng
    for _ in range(rng.randint(1, 2 + room // 100)):
        dialogue.tell()
    far = room * rng.uniform(0.3, 0.7)
    while length() < far:
        dialogue.ramble(rng.randint(60, 1200)) if rng.random() < 0.7 else dialogue.chat()
    while length() < room:
        close(dialogue)


def conversation(rng: Random, room: int, measure: Callable[[Message], int], *, testing: bool = False) -> list[Message]:
    """Messages that fill the room, in the measure's unit; the last may reach beyond it.

    Little room holds little idle talk.
    """
    dialogue = Dialogue(rng, testing)
    short = room <= 256
    if not short or rng.random() < 0.3:
        dialogue.open()
    measured, total = 0, 0

    def length() -> int:
        nonlocal measured, total
        total += sum(measure(message) for message in dialogue.messages[measured:])
        measured = len(dialogue.messages)
        return total

    if not short and rng.random() < 0.5:
        far_apart(dialogue, room, length)
    talk, ramble = (rng.choice((0.02, 0.1)), 60) if short else rng.choice(((0.06, 60), (0.2, 200), (0.25, 500)))
    while length() < room:
        step(dialogue, talk, ramble)
    return dialogue.messages


def conversations(
    seed: int, room: int, measure: Callable[[Message], int], *, testing: bool = False
) -> Iterator[list[Message]]:
    rng = Random(seed)
    while True:
        yield conversation(rng, room, measure, testing=testing)
