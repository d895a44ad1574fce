"""The semantic ports, counted and timed: each call goes through unchanged.

Every door uses what is measured here, so the figures do not depend on how a request came in. Memories are counted one
by one, however many come or go at once.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Histogram

from agent_memory.domain.semantic.duplicates import Likeness, Remembered
from agent_memory.domain.semantic.keeping import Receipt, Versions
from agent_memory.domain.semantic.memory import Embedding, Memory, MemoryId, Scope
from agent_memory.domain.semantic.recall import Search, Shortlist
from agent_memory.domain.semantic.selection import Selection
from agent_memory.domain.tenants import DEFAULT_TENANT
from agent_memory.ports.semantic import Embedder, MemoryArchive, MemoryStore

_EMBEDDING_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)


class MeasuredEmbedder:
    def __init__(self, embedder: Embedder, registry: CollectorRegistry) -> None:
        self._embedder = embedder
        self._seconds = Histogram(
            "agent_memory_embedding_duration_seconds",
            "From asking for embeddings to having them, waiting included",
            buckets=_EMBEDDING_SECONDS,
            registry=registry,
        )
        self._errors = Counter("agent_memory_embedding_errors", "Calls for embeddings that failed", registry=registry)

    @property
    def model(self) -> str:
        return self._embedder.model

    @property
    def dimension(self) -> int:
        return self._embedder.dimension

    async def embed(
        self, texts: Sequence[str], *, tenant: str = DEFAULT_TENANT, asked: bool = False
    ) -> list[Embedding]:
        with self._seconds.time(), self._errors.count_exceptions():
            return await self._embedder.embed(texts, tenant=tenant, asked=asked)

    async def count(self, texts: Sequence[str]) -> int:
        return await self._embedder.count(texts)


class Operations:
    """The figures that a store and its archive share."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._operations = Counter(
            "agent_memory_memory_operations",
            "Memories told, revised, forgotten or expired, one by one, and searches and counts",
            ["operation"],
            registry=registry,
        )
        self._errors = Counter(
            "agent_memory_memory_errors", "Memory operations that failed", ["operation"], registry=registry
        )
        for operation in ("remember", "recall", "revise", "forget", "expire", "count"):
            self._operations.labels(operation)
            self._errors.labels(operation)

    @contextmanager
    def begun(self, operation: str, number: int = 1) -> Iterator[None]:
        """Of so many memories."""
        self.done(operation, number)
        with self._errors.labels(operation).count_exceptions():
            yield

    def done(self, operation: str, number: int) -> None:
        """Where it shows only afterwards of how many."""
        self._operations.labels(operation).inc(number)


class MeasuredMemoryStore:
    def __init__(self, store: MemoryStore, operations: Operations) -> None:
        self._store = store
        self._operations = operations

    async def add(self, memory: Memory, embedding: Embedding, now: datetime | None = None) -> bool:
        with self._operations.begun("remember"):
            return await self._store.add(memory, embedding, now)

    async def shortlist(self, search: Search) -> Shortlist:
        with self._operations.begun("recall"):
            return await self._store.shortlist(search)

    async def remove(
        self,
        memory_id: MemoryId,
        agent_id: str,
        user_id: str | None = None,
        *,
        tenant: str,
        version: Versions | None = None,
    ) -> bool:
        with self._operations.begun("forget"):
            return await self._store.remove(memory_id, agent_id, user_id, tenant=tenant, version=version)

    async def count(self, scope: Scope, now: datetime | None = None) -> int:
        with self._operations.begun("count"):
            return await self._store.count(scope, now)


class MeasuredMemoryArchive:
    """What only reads goes through uncounted, and what reading puts off."""

    def __init__(self, archive: MemoryArchive, operations: Operations) -> None:
        self._archive = archive
        self._operations = operations
        self.agree = archive.agree
        self.alike = archive.alike
        self.get = archive.get
        self.page = archive.page
        self.put_off = archive.put_off
        self.history = archive.history
        self.values = archive.values
        self.inventory = archive.inventory
        self.spool = archive.spool

    async def add_many(self, entries: Sequence[tuple[Memory, Embedding]], now: datetime | None = None) -> list[bool]:
        with self._operations.begun("remember", len(entries)):
            return await self._archive.add_many(entries, now)

    async def tell_many(
        self, entries: Sequence[tuple[Memory, Embedding]], now: datetime
    ) -> list[list[Likeness] | None]:
        with self._operations.begun("remember", len(entries)):
            return await self._archive.tell_many(entries, now)

    async def reinforce(self, memory: Memory, embedding: Embedding, now: datetime) -> Remembered:
        with self._operations.begun("remember"):
            return await self._archive.reinforce(memory, embedding, now)

    async def replace(
        self, memory: Memory, embedding: Embedding | None, expected: int, read: Memory | None = None
    ) -> bool:
        with self._operations.begun("revise"):
            return await self._archive.replace(memory, embedding, expected, read)

    async def supersede(
        self,
        memory_id: MemoryId,
        successor: Memory,
        embedding: Embedding,
        expected: int | None = None,
        read: Memory | None = None,
    ) -> bool:
        with self._operations.begun("remember"):
            return await self._archive.supersede(memory_id, successor, embedding, expected, read)

    async def count_selected(self, scope: Scope, selection: Selection, now: datetime) -> int:
        with self._operations.begun("count"):
            return await self._archive.count_selected(scope, selection, now)

    async def remove_selected(self, scope: Scope, selection: Selection, now: datetime) -> int:
        with self._operations.begun("forget", 0):
            gone = await self._archive.remove_selected(scope, selection, now)
        self._operations.done("forget", gone)
        return gone

    async def erase(self, user_id: str, agent_id: str | None, now: datetime, *, tenant: str) -> Receipt:
        with self._operations.begun("forget", 0):
            receipt = await self._archive.erase(user_id, agent_id, now, tenant=tenant)
        self._operations.done("forget", receipt.memories)
        return receipt

    async def purge(self, now: datetime) -> int:
        with self._operations.begun("expire", 0):
            gone = await self._archive.purge(now)
        self._operations.done("expire", gone)
        return gone


def measured(
    store: MemoryStore, archive: MemoryArchive | None, registry: CollectorRegistry
) -> tuple[MemoryStore, MemoryArchive | None]:
    """Both, in the same figures."""
    operations = Operations(registry)
    return MeasuredMemoryStore(store, operations), archive and MeasuredMemoryArchive(archive, operations)
