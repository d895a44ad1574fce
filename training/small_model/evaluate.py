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
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from random import Random

from . import filler
from .dialogues import Dialogue
from .phrasing import PLAIN, Fact, question, tell
from .student import Exchange, Sitting, Student, said
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
Distances = tuple[int, ...]


@dataclass
class Score:
    right: int = 0
    asked: int = 0
    misses: list[str] = field(default_factory=list)

    def count(self, value: str, asked: str, answer: str) -> None:
        self.asked += 1
        if value.lower() in answer.lower():
            self.right += 1
        else:
            self.misses.append(f"   {value}: {asked} -> {answer}")

    @property
    def share(self) -> float:
        return round(self.right / max(1, self.asked), 4)


def prose(rng: Random) -> Iterator[str]:
    """Real English that no generator of ours wrote."""
    documents = [inspect.getdoc(value) or "" for name in MODULES for value in vars(import_module(name)).values()]
    paragraphs = [part.strip() for document in documents for part in document.split("\n\n") if len(part) > 120]
    while True:
        yield rng.choice(paragraphs)


def generated(rng: Random) -> Iterator[str]:
    while True:
        yield filler.passage(rng, rng.randint(60, 900))


def held_out_facts(rng: Random, count: int) -> list[Fact]:
    dialogue = Dialogue(rng, testing=True)
    while len(dialogue.facts) < count:
        dialogue.learn(dialogue.new_fact())
    return list(dialogue.facts.values())


def acknowledged(facts: list[str]) -> Exchange:
    return [turn for fact in facts for turn in (said("user", fact), said("assistant", "Okay, noted."))]


def told_in(place: str, facts: list[Fact], rng: Random) -> Exchange:
    if place == "turns":
        return acknowledged([tell(fact, fact.person.told, rng, PLAIN) + "." for fact in facts])
    lines = "\n".join(f"- {tell(fact, fact.person.noted, rng, PLAIN)}." for fact in facts)
    return [said("system", f"You are a helpful assistant.\nWhat you remember about the user:\n{lines}")]


def examine_generated(student: Student, place: str, sort: str, distances: Distances, contexts: int) -> dict[int, Score]:
    scores, rng = {distance: Score() for distance in distances}, Random(f"{place} {sort}")
    texts = prose(rng) if sort == "prose" else generated(rng)
    for _ in range(contexts):
        facts, sitting = held_out_facts(rng, 8), Sitting(student)
        told = told_in(place, facts, rng)
        if place != "block":
            sitting.hear(told)
        start = len(sitting.tokens)
        for distance in distances:
            sitting.talk(texts, rng, start + distance)
            room = copy.copy(sitting)
            if place == "block":
                room.cache = copy.deepcopy(sitting.cache)
                room.hear(told)
            for fact in facts:
                asked = question(fact.person, fact.kind, rng, PLAIN)
                scores[distance].count(fact.value, asked, room.ask(asked))
    return scores


def examine_by_hand(student: Student, distances: Distances, *, noted: bool) -> dict[int, Score]:
    scores, rng = {distance: Score() for distance in distances}, Random("by hand")
    texts, told = prose(rng), list(BY_HAND["noted" if noted else "told"])
    rng.shuffle(told)
    for group in (told[start : start + 10] for start in range(0, len(told), 10)):
        sitting = Sitting(student)
        facts = [fact for fact, _, _ in group]
        sitting.hear([said("system", "\n- ".join(["Memories:", *facts]))] if noted else acknowledged(facts))
        start = len(sitting.tokens)
        for distance in distances:
            sitting.talk(texts, rng, start + distance)
            for _, asked, value in group:
                scores[distance].count(value, asked, sitting.ask(asked))
    return scores


def examine_unknown(student: Student, distances: Distances) -> dict[int, Score]:
    """Nothing of what is asked was told, but something else was."""
    scores, rng = {distance: Score() for distance in distances}, Random("unknown")
    sitting, texts = Sitting(student), prose(rng)
    sitting.hear(acknowledged(["My goldfish is called Nemo and I was told that Ada lives in Lima."]))
    for distance in distances:
        sitting.talk(texts, rng, distance)
        for asked in BY_HAND["not_told"]:
            scores[distance].count("don't know", asked, sitting.ask(asked))
    return scores


def examination(student: Student, contexts: int, distances: Distances) -> Iterator[tuple[str, dict[int, Score]]]:
    for place, sort in (("turns", "generated"), ("turns", "prose"), ("system", "prose"), ("block", "prose")):
        yield f"{place}, {sort} talk", examine_generated(student, place, sort, distances, contexts)
    yield "by hand, turns", examine_by_hand(student, distances, noted=False)
    yield "by hand, memories", examine_by_hand(student, distances, noted=True)
    yield "not told", examine_unknown(student, distances)


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
        for name, scores in examination(Student(chosen.folder, bits), chosen.contexts, tuple(chosen.distances)):
            table[name] = {str(distance): score.share for distance, score in scores.items()}
            print(f"{bits:2} bits  {name:24} {table[name]}", flush=True)
            if chosen.misses:
                print(*(miss for score in scores.values() for miss in score.misses), sep="\n")
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
