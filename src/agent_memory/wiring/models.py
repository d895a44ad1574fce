"""How a language model is put together: its runtime, the tiers of its cache, the engine on its thread, the chat.

All models share one cache folder, which is ours from the first to the last.
"""

import asyncio
import gc
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from agent_memory.adapters.disk.agents import DiskAgentStore
from agent_memory.adapters.guidance.grammars import GuidanceCompiler
from agent_memory.application.conversation import Conversation
from agent_memory.application.engine import Engine
from agent_memory.application.engine_thread import EngineThread
from agent_memory.application.model_slot import LoadedModel
from agent_memory.application.read_ahead import ReadAhead
from agent_memory.application.tiered_blocks import TieredBlocks
from agent_memory.application.write_behind import WriteBehind
from agent_memory.domain.kv.agents import AgentBook
from agent_memory.domain.kv.attention import AttentionChoice
from agent_memory.domain.kv.ledger import Ledger
from agent_memory.domain.kv.precision import Precision
from agent_memory.domain.kv.scheduler import Scheduler
from agent_memory.ports.agents import Origin
from agent_memory.ports.kv import ModelRuntime
from agent_memory.settings import ModelPlan, Settings
from agent_memory.wiring.blocks import envelope_of, open_blocks

if TYPE_CHECKING:
    from agent_memory.adapters.mlx.chat import MlxChatTokenizer

_AHEAD_SHARE = 16  # of the cache's memory, for what is read before it is asked for
_DEFAULT_CONTEXT = 8192  # for a model whose config does not say


def prepare() -> None:
    """What MLX takes and frees is kept in one heap, if it is told before the first thread has taken memory."""
    import agent_memory.adapters.mlx  # noqa: F401 - that is what importing it does


class MlxModels:
    """`folder` is the cache folder."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._settings, self._folder = settings, folder
        memory = settings.cache.budget_mb << 20
        self._ahead = memory // _AHEAD_SHARE
        self._room = memory - self._ahead

    async def find(self, plan: ModelPlan) -> None:
        from agent_memory.adapters.mlx.loading import find_model

        await asyncio.to_thread(find_model, plan.source)

    async def load(self, plan: ModelPlan) -> LoadedModel[ModelPlan]:
        from agent_memory.adapters.mlx import loading

        source = await asyncio.to_thread(loading.find_model, plan.source)
        loaded: list[loading.LoadedModel] = []

        def open_engine(wake: Callable[[], None]) -> Engine:
            precision = Precision.of(plan.kv_bits, plan.kv_group_size)
            attention = AttentionChoice(plan.kv_attention, plan.max_context_length or 0, self._room, plan.prefill_chunk)
            model = loading.load_model(source, precision, memory=self._folder, attention=attention)
            loaded.append(model)
            return self._engine(model.runtime, plan, wake)

        thread = EngineThread(open_engine)
        await thread.start()
        model = loaded.pop()
        limits = [limit for limit in (plan.max_context_length, model.max_context) if limit]
        conversation = Conversation(
            thread,
            model.tokenizer,
            model_id=plan.id,
            created=int(time.time()),
            max_context=min(limits, default=_DEFAULT_CONTEXT),
            max_tokens=plan.max_tokens,
            max_seconds=self._settings.server.request_seconds,
            grammars=_grammars(model.tokenizer),
            steady=self._settings.cache.steady_prompts,
        )
        return LoadedModel(plan, conversation, thread, f"{plan.id}, {model.runtime.spec}, {model.backend}")

    def release(self) -> None:
        from agent_memory.adapters.mlx.loading import release_memory

        gc.collect()  # a model and its caches refer to each other
        release_memory()

    def _engine(self, runtime: ModelRuntime, plan: ModelPlan, wake: Callable[[], None]) -> Engine:
        settings, spec = self._settings, runtime.spec
        agents = DiskAgentStore(self._folder, envelope_of(settings.cache))
        origin, pins = Origin(runtime.fingerprint, spec.identity), AgentBook(agents.load()).pins
        store = open_blocks(self._folder, settings.cache, origin, pinned=pins)
        writer = WriteBehind(store, wake)
        writer.start()
        ahead = ReadAhead(store, self._ahead)
        ahead.start()
        scheduler = Scheduler(
            spec,
            Ledger(spec, self._room),
            max_turns=settings.model.max_batch_size if settings.model.scheduler_enabled else 1,
            chunk=plan.prefill_chunk,
            max_stall=settings.model.max_stall_ms / 1000,
        )
        return Engine(runtime, TieredBlocks(store, writer, ahead), scheduler, agents)


def _grammars(tokenizer: "MlxChatTokenizer") -> GuidanceCompiler | None:
    if not tokenizer.fast:
        return None
    return GuidanceCompiler(tokenizer.definition, tokenizer.vocabulary, tokenizer.stop_tokens)
