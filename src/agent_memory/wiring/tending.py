"""What is done in the background for memories, and how often."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial

import structlog
from prometheus_client import CollectorRegistry

from agent_memory.adapters.postgres.connection import Database
from agent_memory.adapters.postgres.indexing import Indexing, VectorIndex
from agent_memory.adapters.postgres.reembedding import PostgresReembeddingStore
from agent_memory.adapters.postgres.scope_cache import ScopeCache
from agent_memory.adapters.prometheus.pool import PoolMetrics
from agent_memory.adapters.prometheus.search_cache import SearchCacheMetrics
from agent_memory.application.admission import Gate
from agent_memory.application.chores import Chore
from agent_memory.application.consolidation import Consolidation, ExtractiveCondenser
from agent_memory.application.idempotency import Idempotency
from agent_memory.application.memory_keeping import MemoryKeeping
from agent_memory.application.model_condensing import ModelCondenser
from agent_memory.application.model_slot import ModelSlot
from agent_memory.application.reembedding import Reembedding
from agent_memory.domain.responses import KEPT
from agent_memory.domain.semantic.retention import Retention
from agent_memory.ports.responses import ResponseStore
from agent_memory.ports.semantic import Condenser, CondensingStore, Embedder
from agent_memory.settings import ModelPlan, Settings

EVERY_MINUTE = timedelta(minutes=1)
_RENEWING = timedelta(seconds=5)
_FIGURES = timedelta(seconds=5)
_log = structlog.get_logger(__name__)


def tending(settings: Settings, database: Database, embedder: Embedder) -> Iterator[Chore]:
    """What only our own tables need."""
    indexing = Indexing(database, VectorIndex(settings.database.vector_index))
    yield Chore("indexes", EVERY_MINUTE, indexing.tend)
    yield Chore("embedding anew", _RENEWING, Reembedding(PostgresReembeddingStore(database), embedder).run)


def watching(database: Database, scopes: ScopeCache, registry: CollectorRegistry) -> Iterator[Chore]:
    for metrics in PoolMetrics(database.pop_stats, registry), SearchCacheMetrics(scopes.pop_stats, registry):
        yield Chore(type(metrics).__name__, _FIGURES, metrics.refresh)
    yield Chore("idle scopes", EVERY_MINUTE, scopes.sweep)


def expiry(
    gate: Gate, idempotency: Idempotency, responses: ResponseStore, keeping: MemoryKeeping | None
) -> Iterator[Chore]:
    yield Chore("limits", EVERY_MINUTE, gate.purge)
    yield Chore("answers", EVERY_MINUTE, idempotency.purge)
    yield Chore("responses", EVERY_MINUTE, partial(responses.purge, KEPT))
    if keeping is not None:
        yield Chore("expiry", EVERY_MINUTE, keeping.purge)


def retention(settings: Settings, consolidation: Consolidation | None) -> Iterator[Chore]:
    memory = settings.memory
    every = timedelta(seconds=memory.summarization_interval_seconds)
    if consolidation is None:
        if memory.summarization_enabled or memory.fade_after_days:
            _log.warning("nothing is condensed and nothing fades: there is no condensing_store beside the memory_store")
        return
    if memory.summarization_enabled:
        yield Chore("condensing", every, consolidation.run)
    if memory.fade_after_days:
        yield Chore("fading", every, consolidation.fade)


def consolidation_of(
    settings: Settings,
    store: CondensingStore,
    embedder: Embedder,
    models: ModelSlot[ModelPlan],
    condenser: Condenser | None = None,
) -> Consolidation:
    """`condenser` is for another than the settings name."""
    memory = settings.memory
    fade_after = timedelta(days=memory.fade_after_days) if memory.fade_after_days else None
    retention = Retention(memory.summarization_threshold, memory.summarization_batch_size, fade_after)
    ours: Condenser = ExtractiveCondenser()
    if memory.summarization_by_model and models.conversation is not None:
        ours = ModelCondenser(models, ours)
    return Consolidation(store, embedder, condenser or ours, retention)
