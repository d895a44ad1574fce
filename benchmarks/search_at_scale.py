"""How long does recall take among 100,000 memories, and does it miss anything?

One client, the default embedder on every query, the embedded database: first all in one scope, then in scopes of four
sizes side by side; and how long does it take to remember one more? `k of k` is the share of searches that returned as
many as asked; `recall` that of the ten nearest which reading the whole scope finds. Contents are the sentences of a
file you have, or such as `benchmarks.load` makes; vectors those of their text, bent a little for each copy.

    python -m benchmarks.search_at_scale [--text FILE] [--json]
"""

import asyncio
import random
import re
import tempfile
import time
from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles
from uuid import UUID

import numpy as np

from agent_memory.adapters.onnx import embedder as onnx
from agent_memory.adapters.postgres import connection, embedded
from agent_memory.adapters.postgres.archive import PostgresMemoryArchive
from agent_memory.adapters.postgres.indexing import Indexing
from agent_memory.adapters.postgres.memories import PostgresMemoryStore
from agent_memory.application.remembering import Remembering
from agent_memory.application.semantic_memory import SemanticMemory
from agent_memory.domain.semantic.memory import Embedding, Memory, MemoryId, Scope
from agent_memory.domain.semantic.recall import Search
from agent_memory.domain.semantic.words import word_counts
from agent_memory.entrypoints.serving import settle_collector
from agent_memory.ports.semantic import Embedder
from benchmarks.harness import arguments, bar, report
from benchmarks.load.texts import Texts

TABLES = {
    "one scope": {"1 scope of 100,000": (1, 100_000)},
    "many scopes": {
        "1 scope of 40,000": (1, 40_000),
        "20 of 1,000": (20, 1000),
        "400 of 50": (400, 50),
        "10,000 of 2": (10_000, 2),
    },
}
Scopes = dict[str, tuple[int, int]]
START = datetime(2025, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
QUERIES = 200
COMPARED = 20  # one query of so many is held against reading the whole scope, which takes a second
DEPTH = 10


@dataclass
class Bench:
    memory: SemanticMemory
    store: PostgresMemoryStore
    exact: PostgresMemoryStore
    embedder: Embedder
    sentences: list[str]
    remembering: Remembering

    async def search(self, scope: Scope, query: str) -> Search:
        [embedding] = await self.embedder.embed([query])
        return Search(scope, embedding, frozenset(word_counts(query)), DEPTH, NOW)

    async def nearest(self, store: PostgresMemoryStore, search: Search) -> set[UUID]:
        found = (await store.shortlist(search)).candidates
        return {c.memory.id for c in sorted(found, key=lambda c: -c.similarity)[:DEPTH]}


def name(kind: str, number: int) -> Scope:
    return Scope("agent", f"{kind}: {number}")


async def fill(archive: PostgresMemoryArchive, embedder: Embedder, sentences: list[str], classes: Scopes) -> None:
    vectors = [np.asarray(e.vector) for e in await embedder.embed(sentences)]
    dice, noise = random.Random(1), np.random.default_rng(1)
    batch: list[tuple[Memory, Embedding]] = []
    scopes = [name(kind, n) for kind, (number, size) in classes.items() for n in range(number) for _ in range(size)]
    for number, scope in enumerate(scopes):
        chosen = dice.randrange(len(sentences))
        bent = vectors[chosen] + noise.normal(0, 0.02, len(vectors[chosen]))
        vector = array("f", (bent / np.linalg.norm(bent)).astype(np.float32).tobytes())
        moment = START + timedelta(minutes=5 * number)
        memory = Memory(MemoryId(UUID(int=dice.getrandbits(128))), scope, sentences[chosen], moment)
        batch.append((memory, Embedding(embedder.model, vector)))
        if len(batch) == 500:
            await archive.add_many(batch)
            batch = []
    await archive.add_many(batch)


async def measure(it: Bench, kind: str, number: int, size: int, salt: str, *, compared: bool) -> dict[str, float]:
    dice = random.Random(kind + salt)
    seconds, returned, same = [], 0, 0.0
    for round_ in range(QUERIES):
        scope = name(kind, dice.randrange(number))
        query = f"{dice.choice(it.sentences)[:60]} {salt} {round_}?"
        started = time.perf_counter()
        found = await it.memory.recall(agent_id=scope.agent_id, user_id=scope.user_id, query=query, top_k=DEPTH)
        seconds.append(time.perf_counter() - started)
        returned += len(found) == min(DEPTH, size)
        if compared and round_ % COMPARED == 0:
            search = await it.search(scope, query)
            exact = await it.nearest(it.exact, search)
            same += len(exact & await it.nearest(it.store, search)) / len(exact)
    cuts = quantiles(seconds, n=100)
    return {
        "p50 ms": round(1000 * cuts[49], 1),
        "p99 ms": round(1000 * cuts[98], 1),
        "k of k %": round(100 * returned / QUERIES, 1),
        "recall@10 %": round(100 * same * COMPARED / QUERIES, 2),
    }


async def store_times(it: Bench, scope: Scope) -> dict[str, float]:
    """As a request does: near-duplicates are looked for."""
    seconds = []
    for number in range(QUERIES):
        content = f"{it.sentences[number]} (number {number} of {scope.user_id})"  # none is embedded twice
        started = time.perf_counter()
        await it.remembering.remember({"content": content}, agent_id=scope.agent_id, user_id=scope.user_id)
        seconds.append(time.perf_counter() - started)
    cuts = quantiles(seconds, n=100)
    return {"p50 ms": round(1000 * cuts[49], 1), "p99 ms": round(1000 * cuts[98], 1)}


@asynccontextmanager
async def opened(sentences: list[str], classes: Scopes) -> AsyncIterator[tuple[Bench, dict[str, float]]]:
    models = Path.home() / ".agent_memory" / "models"
    with tempfile.TemporaryDirectory() as folder:
        async with (
            embedded.running(Path(folder)) as conninfo,
            connection.opened(conninfo, 1, 2, command_timeout=60) as database,
            onnx.opened(models) as embedder,
        ):
            started = time.perf_counter()
            await fill(PostgresMemoryArchive(database), embedder, sentences, classes)
            filled = time.perf_counter()
            await Indexing(database).tend()
            times = {"fill s": round(filled - started, 1), "index s": round(time.perf_counter() - filled, 1)}
            store, exact = (
                PostgresMemoryStore(database),
                PostgresMemoryStore(database, whole_up_to=10**9, small_up_to=0),
            )
            memory = SemanticMemory(store, embedder, clock=lambda: NOW)
            remembering = Remembering(store, PostgresMemoryArchive(database), embedder, clock=lambda: NOW)
            yield Bench(memory, store, exact, embedder, sentences, remembering), times


def sentences_of(text: str) -> list[str]:
    pieces = dict.fromkeys(" ".join(piece.split()) for piece in re.split(r"(?<=[.!?]) |\n", text))
    return [piece for piece in pieces if 40 < len(piece) < 200][:3000]


async def run(sentences: list[str], classes: Scopes) -> dict[str, dict[str, float]]:
    async with opened(sentences, classes) as (it, times):
        result = {"building": times}
        for kind, (number, size) in classes.items():
            # Once unmeasured: caches of the database and plans of the connection.
            await measure(it, kind, number, size, "warm", compared=False)
            result[kind] = await measure(it, kind, number, size, "asked", compared=True)
        result["store in a new scope"] = await store_times(it, name("new", 0))
        largest = next(iter(classes))
        result[f"store in {largest}"] = await store_times(it, name(largest, 0))
        return result


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--text", type=Path)
    options = parser.parse_args()
    settle_collector()
    source = Texts(1)
    made = [source.told() for _ in range(3000)]
    sentences = sentences_of(options.text.read_text()) if options.text else made
    figures = {table: asyncio.run(run(sentences, classes)) for table, classes in TABLES.items()}
    bars = [
        bar(f"{table}, {kind}: {name}", row[name], at_most=12 if kind.startswith("store") else limit)
        for table, rows in figures.items()
        for kind, row in rows.items()
        for name, limit in (("p50 ms", 10), ("p99 ms", 30))
        if name in row and not (kind.startswith("store") and name == "p99 ms")
    ]
    what = {"memories": 100_000, "queries": QUERIES}
    report("search_at_scale", what | {"tables": figures, "bars": bars}, keep=options.json)


if __name__ == "__main__":
    main()
