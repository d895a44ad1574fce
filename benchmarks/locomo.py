"""How much of the evidence does recall find? LoCoMo at turn level, default settings, no language model.

Each turn is one memory (`speaker: text [caption]`), kept at the time of its session; each conversation is a user of
its own; the query is the question and nothing else, asked a day after the last session. Scored are the ids of the
top ten against the evidence: recall, nDCG, MRR, as micro-means over questions. Categories 1-4 are the headline;
5 is adversarial. All is asked again without regard to age, for what age costs. The data (CC BY-NC 4.0) is read from
where you have it: snap-research/LoCoMo, data/locomo10.json.

    python -m benchmarks.locomo --data FILE [--json]
"""

import asyncio
import json
import math
import re
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import mean, median
from uuid import UUID

from agent_memory.adapters.onnx import embedder as onnx
from agent_memory.adapters.postgres import connection, embedded
from agent_memory.adapters.postgres.memories import PostgresMemoryStore
from agent_memory.application.semantic_memory import SemanticMemory
from agent_memory.domain.semantic.scoring import Fusion
from agent_memory.ports.semantic import Embedder
from benchmarks.harness import arguments, bar, report

CATEGORIES = {4: "single-hop", 1: "multi-hop", 2: "temporal", 3: "open-domain", 5: "adversarial"}
DEPTH = 10


@dataclass
class Clock:
    now: datetime = datetime(2000, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@dataclass(frozen=True)
class Turn:
    name: str
    content: str
    at: datetime


@dataclass(frozen=True)
class Outcome:
    category: int
    gold: frozenset[str]
    found: tuple[str, ...]
    seconds: float

    def recall(self, k: int) -> float:
        return len(self.gold & set(self.found[:k])) / len(self.gold)

    def ndcg(self) -> float:
        gain = sum(1 / math.log2(rank + 2) for rank, name in enumerate(self.found) if name in self.gold)
        return gain / sum(1 / math.log2(rank + 2) for rank in range(min(len(self.gold), DEPTH)))

    def mrr(self) -> float:
        return next((1 / (rank + 1) for rank, name in enumerate(self.found) if name in self.gold), 0.0)


@dataclass
class Bench:
    memory: SemanticMemory
    ageless: SemanticMemory
    embedder: Embedder
    clock: Clock
    names: dict[UUID, str] = field(default_factory=dict)

    async def keep(self, user: str, turns: list[Turn]) -> None:
        await self.embedder.embed([turn.content for turn in turns])  # together, which is faster; it remembers
        for turn in turns:
            self.clock.now = turn.at
            kept = await self.memory.remember(agent_id="locomo", user_id=user, content=turn.content)
            self.names[kept.id] = turn.name

    async def ask(
        self, memory: SemanticMemory, user: str, question: str, category: int, gold: frozenset[str]
    ) -> Outcome:
        started = time.perf_counter()
        found = await memory.recall(agent_id="locomo", user_id=user, query=question, top_k=DEPTH)
        seconds = time.perf_counter() - started
        return Outcome(category, gold, tuple(self.names[hit.memory.id] for hit in found), seconds)


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    models = Path.home() / ".agent_memory" / "models"
    with tempfile.TemporaryDirectory() as folder:
        async with (
            embedded.running(Path(folder)) as conninfo,
            connection.opened(conninfo, 1, 2) as database,
            onnx.opened(models) as embedder,
        ):
            clock = Clock()
            store, no_age = PostgresMemoryStore(database), Fusion(nudge=0, present_nudge=0, past_nudge=0)
            memory = SemanticMemory(store, embedder, clock=clock)
            yield Bench(memory, SemanticMemory(store, embedder, no_age, clock=clock), embedder, clock)


def turns_of(conversation: dict) -> Iterator[Turn]:
    number = 1
    while f"session_{number}_date_time" in conversation:
        start = datetime.strptime(conversation[f"session_{number}_date_time"], "%I:%M %p on %d %B, %Y")
        for place, turn in enumerate(conversation.get(f"session_{number}", [])):
            caption = f" [{turn['blip_caption']}]" if turn.get("blip_caption") else ""
            at = start.replace(tzinfo=UTC) + timedelta(seconds=30 * place)
            yield Turn(turn["dia_id"], f"{turn['speaker']}: {turn['text']}{caption}", at)
        number += 1


def questions_of(sample: dict, known: set[str]) -> Iterator[tuple[str, int, frozenset[str]]]:
    """Questions with evidence; ids such as `D8:6; D9:17` and `D:11:26` are split and mended."""
    for entry in sample["qa"]:
        ids = re.findall(r"D:?(\d+):(\d+)", " ".join(entry.get("evidence", [])))
        gold = frozenset(f"D{int(session)}:{int(turn)}" for session, turn in ids) & known
        if gold:
            yield entry["question"], entry["category"], gold


async def run(samples: list[dict]) -> tuple[list[Outcome], list[Outcome]]:
    """By the default policy, and without regard to age."""
    outcomes: list[Outcome] = []
    ageless: list[Outcome] = []
    async with bench() as it:
        for number, sample in enumerate(samples):
            user, turns = f"conversation {number}", list(turns_of(sample["conversation"]))
            await it.keep(user, turns)
            it.clock.now = turns[-1].at + timedelta(days=1)
            questions = list(questions_of(sample, {turn.name for turn in turns}))
            outcomes += [await it.ask(it.memory, user, *question) for question in questions]
            ageless += [await it.ask(it.ageless, user, *question) for question in questions]
    return outcomes, ageless


def summary(outcomes: list[Outcome]) -> dict[str, float]:
    return {
        "questions": len(outcomes),
        "recall@5": round(100 * mean(o.recall(5) for o in outcomes), 1),
        "recall@10": round(100 * mean(o.recall(10) for o in outcomes), 1),
        "ndcg@10": round(100 * mean(o.ndcg() for o in outcomes), 1),
        "mrr": round(100 * mean(o.mrr() for o in outcomes), 1),
    }


def headline(outcomes: list[Outcome]) -> dict[str, float]:
    return summary([o for o in outcomes if o.category != 5])


def figures(outcomes: list[Outcome], ageless: list[Outcome]) -> dict[str, object]:
    of = {name: [o for o in outcomes if o.category == number] for number, name in CATEGORIES.items()}
    ours, without = headline(outcomes), headline(ageless)
    return {
        "unit": "turn, evidence ids, micro-mean over questions",
        "categories 1-4": ours,
        **{name: summary(part) for name, part in of.items() if part},
        "categories 1-4, without regard to age": without,
        "recall p50 ms": round(1000 * median(o.seconds for o in outcomes), 1),
        "bars": [
            bar("categories 1-4, recall@10", ours["recall@10"], at_least=75),
            bar("categories 1-4, ndcg@10", ours["ndcg@10"], at_least=58),
            bar("points of recall@10 that age costs", without["recall@10"] - ours["recall@10"], at_most=0.5),
        ],
    }


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    samples = json.loads(options.data.read_text())
    told = {"conversations": len(samples)}
    report("locomo", told | figures(*asyncio.run(run(samples))), keep=options.json)


if __name__ == "__main__":
    main()
