"""The wiring diagram: settings -> adapters -> use cases. Opened in order, closed in reverse.

Every part can be replaced: `bootstrap(settings, memory_store=InMemoryMemoryStore())`. A part that is given is
used as it is, and left open.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TypedDict, Unpack

import msgspec
from prometheus_client import CollectorRegistry

from agent_memory.adapters.disk.blocks import owned
from agent_memory.adapters.disk.bundle import TarBundleFormat
from agent_memory.adapters.disk.checking import DiskFiles
from agent_memory.adapters.in_memory.answers import InMemoryAnswerBook
from agent_memory.adapters.in_memory.keys import InMemoryKeyStore
from agent_memory.adapters.in_memory.limits import InMemoryRateLimiter
from agent_memory.adapters.in_memory.memories import InMemoryMemoryStore
from agent_memory.adapters.in_memory.responses import InMemoryResponseStore
from agent_memory.adapters.postgres.answers import PostgresAnswerBook
from agent_memory.adapters.postgres.archive import PostgresMemoryArchive
from agent_memory.adapters.postgres.condensing import PostgresCondensingStore
from agent_memory.adapters.postgres.connection import Database
from agent_memory.adapters.postgres.keys import PostgresKeyStore
from agent_memory.adapters.postgres.limits import PostgresRateLimiter
from agent_memory.adapters.postgres.memories import PostgresMemoryStore
from agent_memory.adapters.postgres.responses import PostgresResponseStore
from agent_memory.adapters.postgres.scope_cache import ScopeCache
from agent_memory.adapters.prometheus.engine import EngineCollector
from agent_memory.adapters.prometheus.loop import LoopCollector
from agent_memory.adapters.prometheus.measured import MeasuredEmbedder, measured
from agent_memory.adapters.prometheus.scraping import FOLDER as METRICS_FOLDER
from agent_memory.adapters.prometheus.scraping import forget_worker, scrape
from agent_memory.application.admission import SEARCHES, WRITES, Gate
from agent_memory.application.agents import Agents
from agent_memory.application.chores import CHORES, Chore, in_background
from agent_memory.application.consolidation import Consolidation
from agent_memory.application.conversation import Conversation
from agent_memory.application.draining import Draining
from agent_memory.application.idempotency import Idempotency
from agent_memory.application.keys import Keys
from agent_memory.application.memory_keeping import MemoryKeeping
from agent_memory.application.model_slot import LoadedModel, ModelSlot
from agent_memory.application.remembering import Remembering
from agent_memory.application.semantic_memory import Asked, SemanticMemory, Told
from agent_memory.application.sound_vectors import SoundVectors
from agent_memory.application.transfer import Transfer
from agent_memory.application.upkeep import Upkeep
from agent_memory.domain.errors import AgentMemoryError
from agent_memory.domain.limits import MOST_CALLS, Limit
from agent_memory.domain.semantic.keeping import Versions
from agent_memory.domain.semantic.memory import Memory, MemoryId, Scope
from agent_memory.domain.semantic.recall import Recollection
from agent_memory.domain.semantic.scoring import Blend, Fusion, ScoringPolicy
from agent_memory.domain.tenants import Reach
from agent_memory.ports.limits import RateLimiter
from agent_memory.ports.responses import ResponseStore
from agent_memory.ports.semantic import Condenser, CondensingStore, Embedder, MemoryArchive, MemoryStore
from agent_memory.settings import Machine, ModelPlan, Settings, checked, plan_model, profiles_of
from agent_memory.wiring.blocks import envelope_of
from agent_memory.wiring.database import claim, open_database, shared_database
from agent_memory.wiring.embedding import open_embedder
from agent_memory.wiring.models import MlxModels, prepare
from agent_memory.wiring.tending import EVERY_MINUTE, consolidation_of, expiry, retention, tending, watching

_CHECK_SECONDS = 2.0
# Seconds for which a kept scope hides what somebody writes into the embedded database by hand.
_BELIEVED = 1.0


__all__ = ["METRICS_FOLDER", "Application", "Parts", "bootstrap", "forget_worker", "opened_keys", "shared_database"]


class Parts(TypedDict, total=False):
    """What may be replaced. With `conversation=None` the application has no language model."""

    memory_store: MemoryStore
    memory_archive: MemoryArchive
    condensing_store: CondensingStore
    condenser: Condenser
    rate_limiter: RateLimiter
    embedder: Embedder
    policy: ScoringPolicy  # where a question has no alpha
    conversation: Conversation | None
    conninfo: str | None  # of an embedded database that another process runs: `shared_database`
    sharing: bool  # the embedded database may be one that another process of this user runs


@dataclass(frozen=True, slots=True)
class Application:
    """Everything that a door needs, for as long as `bootstrap` lasts. `runs_on` tells people what that is.

    `keeping`, `transfer`, `remembering` and `consolidation` are None where the memory store was replaced and no archive
    or condensing store given beside it.
    """

    settings: Settings
    models: ModelSlot[ModelPlan]
    agents: Agents
    upkeep: Upkeep
    memory: SemanticMemory
    embedder: Embedder
    keeping: MemoryKeeping | None
    transfer: Transfer | None
    remembering: Remembering | None
    consolidation: Consolidation | None
    idempotency: Idempotency
    responses: ResponseStore
    gate: Gate
    keys: Keys
    draining: Draining
    registry: CollectorRegistry
    scrape: Callable[[], bytes]
    runs_on: Mapping[str, str]
    probes: Mapping[str, Callable[[], Awaitable[object]]]

    async def remember(self, **told: Unpack[Told]) -> Memory:
        """`memory.remember`; this and the next three are all that most programs need."""
        return await self.memory.remember(**told)

    async def recall(self, **asked: Unpack[Asked]) -> list[Recollection]:
        return await self.memory.recall(**asked)

    async def forget(
        self, memory_id: MemoryId | str, *, agent_id: str, user_id: str | None = None, version: Versions | None = None
    ) -> None:
        await self.memory.forget(memory_id, agent_id=agent_id, user_id=user_id, version=version)

    async def count(self, *, agent_id: str, user_id: str) -> int:
        return await self.memory.count(agent_id=agent_id, user_id=user_id)

    @property
    def conversation(self) -> Conversation | None:
        """With the model that is loaded at the moment."""
        return self.models.conversation

    def within(self, reach: Reach) -> "Application":
        """The same for another caller: what its use cases of memories can reach ends with the reach."""
        if reach == self.memory.reach:
            return self
        return replace(
            self,
            memory=self.memory.within(reach),
            keeping=self.keeping and self.keeping.within(reach),
            transfer=self.transfer and self.transfer.within(reach),
            remembering=self.remembering and self.remembering.within(reach),
            consolidation=self.consolidation and self.consolidation.within(reach),
        )

    @property
    def plan(self) -> ModelPlan:
        return self.models.plan

    def plan_for(self, model_id: str) -> ModelPlan:
        """What these settings make of another model. Raises Misconfigured."""
        model = msgspec.structs.replace(self.settings.model, id=model_id)
        return plan_model(
            msgspec.structs.replace(self.settings, model=model), profiles_of(self.settings), Machine.this()
        )

    async def check(self) -> dict[str, str]:
        """Ask every part whether it is there: "ok", or what is wrong. Of the chores, which fail and since when."""
        states = await asyncio.gather(*map(_state, self.probes.values()))
        return dict(zip(self.probes, states, strict=True))


@asynccontextmanager
async def bootstrap(settings: Settings | None = None, **parts: Unpack[Parts]) -> AsyncIterator[Application]:
    _check_known(parts)
    settings = checked(settings or Settings())
    plan = plan_model(settings, profiles_of(settings), Machine.this())
    if settings.model.enabled and "conversation" not in parts:
        prepare()
    registry = CollectorRegistry()
    LoopCollector(registry)
    runs_on: dict[str, str] = {}
    async with AsyncExitStack() as stack:
        if not {"memory_store", "conversation"} <= parts.keys():
            claim(settings.data_folder)
            runs_on["data"] = str(settings.data_folder)
        database = None if "memory_store" in parts else await _database(stack, settings, parts, runs_on)
        scopes = ScopeCache(database, settings.memory.search_cache_mb * 1_000_000, _BELIEVED) if database else None
        kept_in = PostgresMemoryStore(database, cache=scopes) if database else parts["memory_store"]
        condensing = PostgresCondensingStore(database) if database else parts.get("condensing_store")
        looked_after_by = PostgresMemoryArchive(database, scopes) if database else parts.get("memory_archive")
        store, archive = measured(kept_in, looked_after_by, registry)
        given = SoundVectors(parts["embedder"]) if parts.get("embedder") else None
        embedder = MeasuredEmbedder(given or await open_embedder(stack, settings, runs_on), registry)
        limiter = PostgresRateLimiter(database) if database else InMemoryRateLimiter()
        gate = Gate(parts.get("rate_limiter", limiter), limits(settings))
        if "conversation" in parts:
            models = _given_model(settings, plan, parts["conversation"])
        elif settings.model.enabled:
            models = await _open_model(stack, settings, plan, runs_on)
        else:
            models = _given_model(settings, plan, None)
        agents = Agents(models.ask, TarBundleFormat())
        condenser = parts.get("condenser")
        consolidation = consolidation_of(settings, condensing, embedder, models, condenser) if condensing else None
        ours = kept_in if isinstance(kept_in, InMemoryMemoryStore) else None
        answers = PostgresAnswerBook(database) if database else InMemoryAnswerBook(ours)
        idempotency = Idempotency(answers)
        responses = PostgresResponseStore(database) if database else InMemoryResponseStore()
        keeping = MemoryKeeping(archive, embedder, answers=answers) if archive else None
        chores = [*expiry(gate, idempotency, responses, keeping), *retention(settings, consolidation)]
        if models.conversation is not None and "conversation" not in parts:
            chores.append(Chore("agents", EVERY_MINUTE, agents.expire))
        if database is not None and scopes is not None:
            chores += [*watching(database, scopes, registry), *tending(settings, database, embedder)]
        standing = await stack.enter_async_context(in_background(*chores))
        probes: dict[str, Callable[[], Awaitable[object]]] = {
            "db": lambda: kept_in.count(Scope("health", "health")),
            CHORES: standing.check,
        }
        if models.conversation is not None:
            EngineCollector(models.stats, registry)
            probes["model"] = models.check
        half_life = timedelta(days=settings.memory.recency_decay_days)
        policy = parts.get("policy") or Fusion(half_life=half_life)
        yield Application(
            settings=settings,
            models=models,
            agents=agents,
            upkeep=Upkeep(models.ask, DiskFiles(settings.data_folder / "kv", envelope_of(settings.cache))),
            memory=SemanticMemory(store, embedder, policy, Blend(half_life=half_life), archive=archive),
            embedder=embedder,
            keeping=keeping,
            transfer=Transfer(archive, embedder) if archive else None,
            remembering=Remembering(store, archive, embedder) if archive else None,
            consolidation=consolidation,
            idempotency=idempotency,
            responses=responses,
            gate=gate,
            keys=Keys(PostgresKeyStore(database) if database else InMemoryKeyStore()),
            draining=Draining(),
            registry=registry,
            scrape=partial(scrape, registry),
            runs_on=runs_on,
            probes=probes,
        )


@asynccontextmanager
async def opened_keys(settings: Settings) -> AsyncIterator[Keys]:
    """The keys alone, for the command line. Raises Misconfigured while a server has the embedded database."""
    async with AsyncExitStack() as stack:
        claim(settings.data_folder)
        yield Keys(PostgresKeyStore(await open_database(stack, settings, {})))


def _check_known(parts: Parts) -> None:
    """Raises TypeError for what is no part: without it a misspelt one would open the real database."""
    unknown = sorted(parts.keys() - Parts.__annotations__.keys())
    if unknown:
        raise TypeError(f"no part is called {', '.join(unknown)}; there are {', '.join(sorted(Parts.__annotations__))}")


async def _database(stack: AsyncExitStack, settings: Settings, parts: Parts, runs_on: dict[str, str]) -> Database:
    shared, sharing = parts.get("conninfo"), parts.get("sharing", False)
    return await open_database(stack, settings, runs_on, shared=shared, sharing=sharing)


def limits(settings: Settings) -> dict[str, Limit]:
    """Per kind of call; a kind that is not in it has none."""
    wanted = {
        WRITES: settings.memory.rate_limit_writes_per_minute,
        SEARCHES: settings.memory.rate_limit_searches_per_minute,
    }
    return {kind: Limit(calls) for kind, calls in wanted.items() if 1 <= calls <= MOST_CALLS}


async def _open_model(
    stack: AsyncExitStack, settings: Settings, plan: ModelPlan, runs_on: dict[str, str]
) -> ModelSlot[ModelPlan]:
    folder = stack.enter_context(owned(settings.data_folder / "kv"))
    slot = ModelSlot(MlxModels(settings, folder), plan)
    await slot.load()
    stack.push_async_callback(slot.close, settings.server.shutdown_seconds)
    runs_on["model"] = slot.about
    return slot


def _given_model(settings: Settings, plan: ModelPlan, conversation: Conversation | None) -> ModelSlot[ModelPlan]:
    slot = ModelSlot(MlxModels(settings, settings.data_folder / "kv"), plan)
    if conversation is not None:
        slot.hold(LoadedModel(plan, conversation))
    return slot


async def _state(probe: Callable[[], Awaitable[object]]) -> str:
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            await probe()
    except AgentMemoryError as error:
        return str(error)
    except TimeoutError:
        return f"no answer in {_CHECK_SECONDS:g} s"
    return "ok"
