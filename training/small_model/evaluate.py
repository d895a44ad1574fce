"""Measures recall through mlx-lm, greedily: ``python -m training.small_model.evaluate FOLDER``.

A context is told facts, then other talk up to a distance in tokens; each question is then asked of a copy
of the same cache. The talk is of two sorts: what the generator makes, and prose that training never saw
(docstrings of Python's library).
"""

import argparse
import copy
import inspect
import json
import platform
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from random import Random

import mlx.core as mx
from mlx_lm import load
from mlx_lm.models.cache import make_prompt_cache

from . import filler, small_talk
from .dialogues import Dialogue
from .phrasing import PLAIN, Fact, question, tell
from .words import read

DISTANCES = (256, 1024, 2048, 4096)
BITS = (16, 4)
MODULES = (
    "argparse",
    "collections",
    "csv",
    "datetime",
    "decimal",
    "email",
    "fractions",
    "functools",
    "heapq",
    "http.client",
    "json",
    "logging",
    "pathlib",
    "pickle",
    "random",
    "statistics",
    "string",
    "subprocess",
    "tarfile",
    "textwrap",
    "turtle",
    "typing",
    "unittest",
    "urllib.request",
    "zipfile",
)
BY_HAND = read("by_hand")
Exchange = list[dict[str, str]]


@dataclass
class Score:
    right: int = 0
    asked: int = 0
    misses: list[str] = field(default_factory=list)

    def count(self, asked: str, answer: str, *, right: bool) -> None:
        self.asked += 1
        self.right += right
        if not right:
            self.misses.append(f"{asked} -> {answer}")

    @property
    def share(self) -> float:
        return round(self.right / max(1, self.asked), 4)


class Student:
    """The model under examination, with the KV cache held at 16 or 4 bits."""

    def __init__(self, folder: Path, bits: int) -> None:
        self.model, self.tokenizer = load(str(folder))
        self.model.set_dtype(mx.float32)  # the same weights; mlx on a CPU is faster with them
        self.bits = bits

    def tokens(self, messages: Exchange, *, prompt: bool) -> list[int]:
        return self.tokenizer.apply_chat_template(messages, add_generation_prompt=prompt, return_dict=False)

    def read(self, tokens: list[int], cache: list) -> mx.array:
        for start in range(0, len(tokens), 256):
            logits = self.model(mx.array(tokens[start : start + 256])[None], cache=cache)[:, -1]
            mx.eval(logits)
            if self.bits < 16 and len(tokens) > 1:
                roughen(cache, self.bits)
        return logits

    def answer(self, tokens: list[int], cache: list, limit: int = 48) -> str:
        logits, said = self.read(tokens, cache), []
        while len(said) < limit:
            word = int(mx.argmax(logits))
            if word in self.tokenizer.eos_token_ids:
                break
            said.append(word)
            logits = self.read([word], cache)
        return self.tokenizer.decode(said)

    def study(self, messages: Exchange) -> tuple[list[int], list]:
        tokens, cache = self.tokens(messages, prompt=False), make_prompt_cache(self.model)
        self.read(tokens, cache)
        return tokens, cache

    def ask(self, messages: Exchange, tail: Exchange, studied: tuple[list[int], list]) -> str:
        read, cache = studied
        tokens = self.tokens(messages + tail, prompt=True)
        assert tokens[: len(read)] == read, "a longer conversation must begin with the shorter one"
        return self.answer(tokens[len(read) :], copy.deepcopy(cache))


def roughen(cache: list, bits: int) -> None:
    """The cache as a quantised one gives it back, in groups of 64."""
    for layer in cache:
        for name in ("keys", "values"):
            packed = mx.quantize(getattr(layer, name), group_size=64, bits=bits)
            setattr(layer, name, mx.dequantize(*packed, group_size=64, bits=bits))


def prose(rng: Random) -> Iterator[str]:
    """Real English that no generator of ours wrote."""
    documents = [inspect.getdoc(value) or "" for name in MODULES for value in vars(import_module(name)).values()]
    paragraphs = [part.strip() for document in documents for part in document.split("\n\n") if len(part) > 120]
    while True:
        yield rng.choice(paragraphs)


def generated(rng: Random) -> Iterator[str]:
    while True:
        yield filler.passage(rng, rng.randint(60, 900))


def said(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def talk(student: Student, texts: Iterator[str], rng: Random, distance: int) -> Exchange:
    """Other talk of about the distance, never less."""
    messages: Exchange = []
    length = 0
    while length < distance:
        text, reply = (
            small_talk.exchange(rng) if rng.random() < 0.3 else (next(texts), rng.choice(small_talk.REACTIONS))
        )
        room = student.tokenizer.decode(student.tokenizer.encode(text)[: distance - length + 8])
        messages += [said("user", room), said("assistant", reply)]
        length = len(student.tokens(messages, prompt=False))
    return messages


def held_out_facts(rng: Random, count: int) -> list[Fact]:
    dialogue = Dialogue(rng, testing=True)
    while len(dialogue.facts) < count:
        dialogue.learn(dialogue.new_fact())
    return list(dialogue.facts.values())


def told_in(place: str, facts: list[Fact], rng: Random) -> Exchange:
    if place == "turns":
        pairs = [
            (said("user", tell(fact, fact.person.told, rng, PLAIN) + "."), said("assistant", "Okay, noted."))
            for fact in facts
        ]
        return [message for pair in pairs for message in pair]
    lines = "\n".join(f"- {tell(fact, fact.person.noted, rng, PLAIN)}." for fact in facts)
    return [said("system", f"You are a helpful assistant.\nWhat you remember about the user:\n{lines}")]


def examine_generated(student: Student, place: str, sort: str, distance: int, contexts: int) -> Score:
    score, rng = Score(), Random(f"{place} {sort} {distance}")
    texts = prose(rng) if sort == "prose" else generated(rng)
    for _ in range(contexts):
        facts = held_out_facts(rng, 8)
        block = told_in(place, facts, rng)
        other = talk(student, texts, rng, distance)
        messages = other + block if place == "block" else block + other
        studied = student.study(messages)
        for fact in facts:
            asked = question(fact.person, fact.kind, rng, PLAIN)
            answer = student.ask(messages, [said("user", asked)], studied)
            score.count(f"{fact.value}: {asked}", answer, right=fact.value.lower() in answer.lower())
    return score


def examine_wild(student: Student, cases: Iterable[tuple[str, str, str]], distance: int, *, noted: bool) -> Score:
    score, rng = Score(), Random(f"wild {distance}")
    texts, told = prose(rng), list(cases)
    rng.shuffle(told)
    for start in range(0, len(told), 10):
        group = told[start : start + 10]
        first = [said("system", "Memories:\n" + "\n".join(f"- {fact}" for fact, _, _ in group))] if noted else []
        turns = (
            []
            if noted
            else [
                message for fact, _, _ in group for message in (said("user", fact), said("assistant", "Okay, noted."))
            ]
        )
        messages = first + turns + talk(student, texts, rng, distance)
        studied = student.study(messages)
        for _, asked, value in group:
            answer = student.ask(messages, [said("user", asked)], studied)
            score.count(f"{value}: {asked}", answer, right=value.lower() in answer.lower())
    return score


def examine_unknown(student: Student, distance: int) -> Score:
    """Nothing of what is asked was told, but something else was."""
    score, rng = Score(), Random(f"unknown {distance}")
    other = [
        said("user", "My goldfish is called Nemo and I was told that Ada lives in Lima."),
        said("assistant", "Okay, noted."),
    ]
    messages = other + talk(student, prose(rng), rng, distance)
    studied = student.study(messages)
    for asked in BY_HAND["not_told"]:
        answer = student.ask(messages, [said("user", asked)], studied)
        score.count(asked, answer, right="don't know" in answer)
    return score


def examination(student: Student, contexts: int, distances: tuple[int, ...]) -> Iterator[tuple[str, int, Score]]:
    for distance in distances:
        for place, sort in (
            ("turns", "generated"),
            ("turns", "prose"),
            ("system", "prose"),
            ("block", "prose"),
        ):
            yield (
                f"{place}, {sort} talk",
                distance,
                examine_generated(student, place, sort, distance, contexts),
            )
        yield "by hand, turns", distance, examine_wild(student, BY_HAND["told"], distance, noted=False)
        yield "by hand, memories", distance, examine_wild(student, BY_HAND["noted"], distance, noted=True)
        yield "not told", distance, examine_unknown(student, distance)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=Path)
    options.add_argument("--results", type=Path)
    options.add_argument("--contexts", type=int, default=8, help="of eight questions each")
    options.add_argument("--bits", type=int, nargs="*", default=list(BITS))
    options.add_argument("--distances", type=int, nargs="*", default=list(DISTANCES))
    options.add_argument("--misses", action="store_true", help="print every wrong answer")
    chosen = options.parse_args()
    figures: dict[str, dict[str, dict[str, float]]] = {}
    for bits in chosen.bits:
        table = figures.setdefault(f"{bits} bits", {})
        for name, distance, score in examination(
            Student(chosen.folder, bits), chosen.contexts, tuple(chosen.distances)
        ):
            table.setdefault(name, {})[str(distance)] = score.share
            print(
                f"{bits:2} bits  {distance:5}  {name:24} {score.share:.3f} of {score.asked}",
                *(score.misses if chosen.misses else ()),
                sep="\n   ",
                flush=True,
            )
    if chosen.results:
        record = {
            "command": " ".join(["python -m training.small_model.evaluate", *sys.argv[1:]]),
            "date": datetime.now(UTC).date().isoformat(),
            "machine": f"{platform.machine()}, mlx on CPU",
            "recall": figures,
        }
        chosen.results.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
