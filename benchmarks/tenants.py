"""Does a search return as many as it could, and the nearest, however many tenants share the table?

Four kinds of tenants in one table: one of 40,000 memories, 20 of 2,000, 400 of 100, 10,000 of 4. Each is asked with
no filter, and with filters that one memory in three, ten or a hundred passes. `k of k` is the share of searches that
return ten memories, or all that pass where that is fewer; `recall` is the share of the ten nearest that are among the
nearest found, by comparing the query with every stored vector here, in numpy.

    python -m benchmarks.tenants [--queries 100] [--json]
"""

import asyncio
import random
import tempfile
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import numpy as np

from agent_memory.adapters.onnx import embedder as onnx
from agent_memory.adapters.postgres import connection, embedded
from agent_memory.adapters.postgres.archive import PostgresMemoryArchive
from agent_memory.adapters.postgres.indexing import Indexing
from agent_memory.adapters.postgres.memories import PostgresMemoryStore
from agent_memory.application.semantic_memory import SemanticMemory
from agent_memory.domain.semantic.filters import parse_filter
from agent_memory.domain.semantic.memory import Embedding, Memory, MemoryId, Scope
from agent_memory.domain.semantic.recall import Search
from agent_memory.domain.semantic.selection import EVERYTHING, Selection
from agent_memory.domain.semantic.words import word_counts
from agent_memory.ports.semantic import Embedder
from benchmarks.harness import arguments, bar, report
from benchmarks.load.texts import Texts

KINDS = {1: 40_000, 20: 2000, 400: 100, 10_000: 4}  # tenants: memories of each
SENTENCES, K = 3000, 10
START, NOW = datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
FILTERS = {
    "none": (EVERYTHING, lambda number: True),
    "one in 3 (metadata)": (
        Selection(metadata=parse_filter({"number": {"gte": 0, "lt": 100}})),
        lambda number: number < 100,
    ),
    "one in 10 (tag)": (Selection(tags=frozenset({"tenth"})), lambda number: number % 10 == 0),
    "one in 100 (tag)": (Selection(tags=frozenset({"hundredth"})), lambda number: number % 100 == 0),
}
NUMBERS = 300


@dataclass
class Tenant:
    """What a tenant's memories are, as numpy sees them."""

    vectors: list[np.ndarray] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    ids: list[UUID] = field(default_factory=list)

    def exact(self, query: np.ndarray, passes) -> tuple[dict[UUID, float], float]:
        """The similarity of each that passes, and of the tenth of them."""
        kept = [place for place, number in enumerate(self.numbers) if passes(number)]
        if not kept:
            return {}, 0.0
        similarity = np.stack(self.vectors)[kept].astype(np.float32) @ query
        near = {self.ids[place]: float(value) for place, value in zip(kept, similarity, strict=True)}
        return near, sorted(near.values(), reverse=True)[: min(K, len(near))][-1]


def scope(tenants: int, number: int) -> Scope:
    return Scope("agent", f"{number} of {tenants}")


def memories(vectors: list[np.ndarray], texts: list[str], model: str) -> Iterator[tuple[Scope, int, Memory, Embedding]]:
    dice, noise = random.Random(1), np.random.default_rng(1)
    for tenants, size in KINDS.items():
        for place in range(tenants * size):
            chosen, number = dice.randrange(len(texts)), dice.randrange(NUMBERS)
            bent = vectors[chosen] + noise.normal(0, 0.02, len(vectors[chosen]))
            vector = array("f", (bent / np.linalg.norm(bent)).astype(np.float32).tobytes())
            where = scope(tenants, place % tenants)
            tags = {name for name, every in (("tenth", 10), ("hundredth", 100)) if number % every == 0}
            moment = START + timedelta(minutes=place)
            name = MemoryId(UUID(int=dice.getrandbits(128)))
            memory = Memory(name, where, texts[chosen], moment, tags=frozenset(tags), metadata={"number": number})
            yield where, number, memory, Embedding(model, vector)


async def fill(archive: PostgresMemoryArchive, embedder: Embedder) -> dict[Scope, Tenant]:
    source = Texts(1)
    texts = [source.told() for _ in range(SENTENCES)]
    vectors = [np.asarray(each.vector) for each in await embedder.embed(texts)]
    known: dict[Scope, Tenant] = {}
    batch = []
    for where, number, memory, embedding in memories(vectors, texts, embedder.model):
        tenant = known.setdefault(where, Tenant())
        tenant.vectors.append(np.asarray(embedding.vector, dtype=np.float16))
        tenant.numbers.append(number)
        tenant.ids.append(memory.id)
        batch.append((memory, embedding))
        if len(batch) == 500:
            await archive.add_many(batch)
            batch = []
    await archive.add_many(batch)
    return known


@dataclass
class Bench:
    store: PostgresMemoryStore
    memory: SemanticMemory
    embedder: Embedder
    known: dict[Scope, Tenant]
    queries: int

    async def measure(self, tenants: int, name: str) -> dict[str, float]:
        selection, passes = FILTERS[name]
        dice, texts = random.Random(f"{tenants} {name}"), Texts(100 + tenants)
        full, found, wanted, some = 0, 0, 0, 0
        for _ in range(self.queries):
            where, query = scope(tenants, dice.randrange(tenants)), texts.asked()
            [embedding] = await self.embedder.embed([query])
            near, tenth = self.known[where].exact(np.asarray(embedding.vector), passes)
            k = min(K, len(near))
            who = {"agent_id": where.agent_id, "user_id": where.user_id}
            answer = await self.memory.recall(**who, query=query, top_k=K, selection=selection)
            full += len({each.memory.id for each in answer} & near.keys()) == k
            search = Search(where, embedding, frozenset(word_counts(query)), 2 * K, NOW, selection=selection)
            eligible = [each for each in (await self.store.shortlist(search)).candidates if each.eligible]
            nearest = sorted(eligible, key=lambda each: -each.similarity)[:K]
            # As near as the tenth is good enough: half precision does not tell them apart.
            found += min(sum(near[each.memory.id] >= tenth - 1e-4 for each in nearest), k)
            wanted += k
            some += k > 0
        return {
            "k of k %": round(100 * full / self.queries, 2),
            "recall@10 %": round(100 * found / wanted, 2) if wanted else 100.0,
            "searches with something to find": some,
        }


async def run(queries: int) -> dict[str, dict[str, dict[str, float]]]:
    models = Path.home() / ".agent_memory" / "models"
    with tempfile.TemporaryDirectory() as folder:
        async with (
            embedded.running(Path(folder)) as conninfo,
            connection.opened(conninfo, 1, 2, command_timeout=60) as database,
            onnx.opened(models) as embedder,
        ):
            known = await fill(PostgresMemoryArchive(database), embedder)
            await Indexing(database).tend()
            store = PostgresMemoryStore(database)
            bench = Bench(store, SemanticMemory(store, embedder, clock=lambda: NOW), embedder, known, queries)
            result: dict[str, dict[str, dict[str, float]]] = {}
            for tenants, size in KINDS.items():
                rows = {name: await bench.measure(tenants, name) for name in FILTERS}
                result[f"{tenants:,} of {size:,}"] = rows
                print(f"{tenants:,} of {size:,}", rows, flush=True)
            return result


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--queries", type=int, default=100, help="of each kind of tenant and each filter")
    options = parser.parse_args()
    figures = asyncio.run(run(options.queries))
    bars = [
        bar(f"{kind}: {name}, the worst filter", min(row[name] for row in rows.values()), at_least=least)
        for kind, rows in figures.items()
        for name, least in (("k of k %", 100), ("recall@10 %", 99))
    ]
    stored = sum(tenants * size for tenants, size in KINDS.items())
    what = {"memories": stored, "queries": options.queries}
    report("tenants", what | {"rows": figures, "bars": bars}, keep=options.json)


if __name__ == "__main__":
    main()
