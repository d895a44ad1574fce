"""The wiring diagram: settings -> adapters -> use cases. Opened in order, closed in reverse.

Every part can be replaced: `bootstrap(settings, memory_store=InMemoryMemoryStore())`. A part that is given is
used as it is, and left open.
"""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypedDict, Unpack

from prometheus_client import CollectorRegistry

from agent_memory.adapters.disk.blocks import DiskBlockStore, owned
from agent_memory.adapters.disk.meter import Meter
from agent_memory.adapters.in_memory.limits import InMemoryRateLimiter
from agent_memory.adapters.onnx import embedder as onnx
from agent_memory.adapters.postgres import connection, embedded
from agent_memory.adapters.postgres.archive import PostgresMemoryArchive
from agent_memory.adapters.postgres.condensing import PostgresCondensingStore
from agent_memory.adapters.postgres.connection import Database
from agent_memory.adapters.postgres.indexing import Indexing
from agent_memory.adapters.postgres.limits import PostgresRateLimiter
from agent_memory.adapters.postgres.memories import PostgresMemoryStore
from agent_memory.adapters.prometheus.engine import EngineCollector
from agent_memory.adapters.prometheus.measured import MeasuredEmbedder, MeasuredMemoryStore
from agent_memory.application.admission import SEARCHES, WRITES, Gate
from agent_memory.application.chores import Chore, in_background
from agent_memory.application.consolidation import Consolidation
from agent_memory.application.conversation import Conversation
from agent_memory.application.engine import Engine
from agent_memory.application.engine_thread import EngineThread
from agent_memory.application.memory_keeping import MemoryKeeping
from agent_memory.application.read_ahead import ReadAhead
from agent_memory.application.semantic_memory import SemanticMemory
from agent_memory.application.tiered_blocks import TieredBlocks
from agent_memory.application.transfer import Transfer
from agent_memory.application.write_behind import WriteBehind
from agent_memory.domain.errors import AgentMemoryError, Misconfigured
from agent_memory.domain.kv.attention import AttentionChoice
from agent_memory.domain.kv.ledger import Ledger
from agent_memory.domain.kv.precision import Precision
from agent_memory.domain.kv.scheduler import Scheduler
from agent_memory.domain.limits import Limit
from agent_memory.domain.semantic.memory import Scope
from agent_memory.domain.semantic.retention import Retention
from agent_memory.domain.semantic.scoring import Blend, Fusion
from agent_memory.ports.semantic import Embedder, MemoryArchive, MemoryStore
from agent_memory.settings import CacheSettings, Machine, ModelPlan, Settings, load_profiles, plan_model

_CHECK_SECONDS = 2.0
_TENDING = timedelta(minutes=1)
_AHEAD_SHARE = 16  # of the cache's memory, for what is read before it is asked for
_DEFAULT_CONTEXT = 8192  # for a model whose config does not say


class Parts(TypedDict, total=False):
    """What may be replaced. With `conversation=None` the application has no language model."""

    memory_store: MemoryStore
    memory_archive: MemoryArchive
    embedder: Embedder
    conversation: Conversation | None


@dataclass(frozen=True, slots=True)
class Application:
    """Everything that a door needs, for as long as `bootstrap` lasts. `runs_on` tells people what that is.

    `keeping` and `transfer` are None where the memory store was replaced and no archive given beside it.
    """

    settings: Settings
    plan: ModelPlan
    memory: SemanticMemory
    keeping: MemoryKeeping | None
    transfer: Transfer | None
    gate: Gate
    conversation: Conversation | None
    registry: CollectorRegistry
    runs_on: Mapping[str, str]
    probes: Mapping[str, Callable[[], Awaitable[object]]]

    async def check(self) -> dict[str, str]:
        """Ask every part whether it is there: "ok", or what is wrong."""
        states = await asyncio.gather(*map(_state, self.probes.values()))
        return dict(zip(self.probes, states, strict=True))


@asynccontextmanager
async def bootstrap(settings: Settings | None = None, **parts: Unpack[Parts]) -> AsyncIterator[Application]:
    settings = settings or Settings()
    plan = plan_model(settings, load_profiles(), Machine.this())
    registry = CollectorRegistry()
    runs_on: dict[str, str] = {}
    async with AsyncExitStack() as stack:
        if not {"memory_store", "conversation"} <= parts.keys():
            _claim(settings.data_folder)
            runs_on["data"] = str(settings.data_folder)
        database = None if "memory_store" in parts else await _open_database(stack, settings, runs_on)
        store = PostgresMemoryStore(database) if database else parts["memory_store"]
        archive = PostgresMemoryArchive(database) if database else parts.get("memory_archive")
        opened_embedder = parts.get("embedder") or await _open_embedder(stack, settings, runs_on)
        embedder = MeasuredEmbedder(opened_embedder, registry)
        gate = Gate(PostgresRateLimiter(database) if database else InMemoryRateLimiter(), _limits(settings))
        if database is not None:
            await stack.enter_async_context(in_background(*_chores(settings, database, embedder, gate)))
        if "conversation" in parts:
            conversation = parts["conversation"]
        else:
            conversation = await _open_conversation(stack, settings, plan, runs_on)
        probes: dict[str, Callable[[], Awaitable[object]]] = {"db": lambda: store.count(Scope("health", "health"))}
        if conversation is not None:
            EngineCollector(conversation.stats, registry)
            probes["model"] = conversation.check
        half_life = timedelta(days=settings.memory.recency_decay_days)
        yield Application(
            settings=settings,
            plan=plan,
            memory=SemanticMemory(
                MeasuredMemoryStore(store, registry),
                embedder,
                Fusion(half_life=half_life),
                Blend(half_life=half_life),
            ),
            keeping=MemoryKeeping(archive, embedder) if archive else None,
            transfer=Transfer(archive, embedder) if archive else None,
            gate=gate,
            conversation=conversation,
            registry=registry,
            runs_on=runs_on,
            probes=probes,
        )


async def _open_database(stack: AsyncExitStack, settings: Settings, runs_on: dict[str, str]) -> Database:
    database = settings.database
    if database.url is None:
        conninfo = await stack.enter_async_context(embedded.running(settings.data_folder))
        runs_on["database"] = "embedded PostgreSQL with pgvector"
    else:
        conninfo = database.url
        runs_on["database"] = "the PostgreSQL of DATABASE_URL"
    least, most, timeout = database.min_pool_size, database.max_pool_size, database.command_timeout
    opening = connection.opened(conninfo, least, most, timeout)
    return await stack.enter_async_context(opening)


def _limits(settings: Settings) -> dict[str, Limit]:
    wanted = {
        WRITES: settings.memory.rate_limit_writes_per_minute,
        SEARCHES: settings.memory.rate_limit_searches_per_minute,
    }
    return {kind: Limit(calls) for kind, calls in wanted.items() if calls}


def _chores(settings: Settings, database: Database, embedder: Embedder, gate: Gate) -> Iterator[Chore]:
    yield Chore("indexes", _TENDING, Indexing(database).tend)
    yield Chore("limits", _TENDING, gate.purge)
    yield Chore("expiry", _TENDING, MemoryKeeping(PostgresMemoryArchive(database), embedder).purge)
    memory = settings.memory
    if memory.summarization_enabled:
        retention = Retention(memory.summarization_threshold, memory.summarization_batch_size)
        consolidation = Consolidation(PostgresCondensingStore(database), embedder, retention=retention)
        every = timedelta(seconds=memory.summarization_interval_seconds)
        yield Chore("condensing", every, consolidation.run_once)


async def _open_embedder(stack: AsyncExitStack, settings: Settings, runs_on: dict[str, str]) -> Embedder:
    embedder = await stack.enter_async_context(onnx.opened(settings.data_folder / "models"))
    runs_on["embedder"] = f"{embedder.model}, {embedder.dimension} dimensions, onnxruntime"
    return embedder


async def _open_conversation(
    stack: AsyncExitStack, settings: Settings, plan: ModelPlan, runs_on: dict[str, str]
) -> Conversation:
    from agent_memory.adapters.mlx.loading import LoadedModel, find_model, load_model

    folder = stack.enter_context(owned(settings.data_folder / "kv"))
    source = await asyncio.to_thread(find_model, plan.source)
    loaded: list[LoadedModel] = []

    def open_engine(wake: Callable[[], None]) -> Engine:
        precision = Precision.of(plan.kv_bits, plan.kv_group_size)
        memory = settings.cache.budget_mb << 20
        room = memory - memory // _AHEAD_SHARE
        attention = AttentionChoice(plan.kv_attention, plan.max_context_length or 0, room, plan.prefill_chunk)
        model = load_model(source, precision, memory=folder, attention=attention)
        loaded.append(model)
        runtime, spec = model.runtime, model.runtime.spec
        store = _open_blocks(folder, settings.cache, runtime.fingerprint, spec.identity)
        writer = WriteBehind(store, wake)
        writer.start()
        ahead = ReadAhead(store, memory - room)
        ahead.start()
        ledger = Ledger(spec, room)
        turns = settings.model.max_batch_size if settings.model.scheduler_enabled else 1
        stall = settings.model.max_stall_ms / 1000
        scheduler = Scheduler(spec, ledger, max_turns=turns, chunk=plan.prefill_chunk, max_stall=stall)
        return Engine(runtime, TieredBlocks(store, writer, ahead), scheduler)

    thread = EngineThread(open_engine)
    await thread.start()
    stack.push_async_callback(thread.close, settings.server.shutdown_seconds)
    model = loaded[0]
    runs_on["model"] = f"{plan.id}, {model.runtime.spec}, {model.backend}"
    limits = [limit for limit in (plan.max_context_length, model.max_context) if limit]
    conversation = Conversation(
        thread,
        model.tokenizer,
        model_id=plan.id,
        created=int(time.time()),
        max_context=min(limits, default=_DEFAULT_CONTEXT),
        max_tokens=plan.max_tokens,
        max_seconds=settings.server.request_seconds,
    )
    stack.callback(conversation.close)
    return conversation


def _open_blocks(folder: Path, cache: CacheSettings, model: str, spec: str) -> DiskBlockStore:
    key, envelope = cache.encryption, None
    if key is not None:
        from agent_memory.adapters.disk.sealing import Sealed

        envelope = Sealed(key)
    meter = Meter(folder / "written", (cache.disk_daily_write_mb << 20) or None)
    return DiskBlockStore(folder, cache.disk_budget_mb << 20, model, spec, envelope=envelope, meter=meter)


async def _state(probe: Callable[[], Awaitable[object]]) -> str:
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            await probe()
    except AgentMemoryError as error:
        return str(error)
    except TimeoutError:
        return f"no answer in {_CHECK_SECONDS:g} s"
    return "ok"


def _claim(folder: Path) -> None:
    """Make sure that the data folder is there, and that we can write to it."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise Misconfigured(f"data directory {folder}: cannot write there: {error.strerror}") from None
