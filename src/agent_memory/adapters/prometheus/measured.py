"""The semantic ports, counted and timed: each call goes through unchanged.

Every door uses what is measured here, so the figures do not depend on how a request came in.
"""

from collections.abc import Sequence
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Histogram

from agent_memory.domain.semantic.keeping import Versions
from agent_memory.domain.semantic.memory import Embedding, Memory, MemoryId, Scope
from agent_memory.domain.semantic.recall import Search, Shortlist
from agent_memory.domain.tenants import DEFAULT_TENANT
from agent_memory.ports.semantic import Embedder, MemoryStore

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


class MeasuredMemoryStore:
    def __init__(self, store: MemoryStore, registry: CollectorRegistry) -> None:
        self._store = store
        self._operations = Counter(
            "agent_memory_memory_operations", "Memory operations begun", ["operation"], registry=registry
        )
        self._errors = Counter(
            "agent_memory_memory_errors", "Memory operations that failed", ["operation"], registry=registry
        )
        for operation in ("remember", "recall", "forget", "count"):
            self._operations.labels(operation)
            self._errors.labels(operation)

    async def add(self, memory: Memory, embedding: Embedding) -> bool:
        self._operations.labels("remember").inc()
        with self._errors.labels("remember").count_exceptions():
            return await self._store.add(memory, embedding)

    async def shortlist(self, search: Search) -> Shortlist:
        self._operations.labels("recall").inc()
        with self._errors.labels("recall").count_exceptions():
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
        self._operations.labels("forget").inc()
        with self._errors.labels("forget").count_exceptions():
            return await self._store.remove(memory_id, agent_id, user_id, tenant=tenant, version=version)

    async def count(self, scope: Scope, now: datetime | None = None) -> int:
        self._operations.labels("count").inc()
        with self._errors.labels("count").count_exceptions():
            return await self._store.count(scope, now)
