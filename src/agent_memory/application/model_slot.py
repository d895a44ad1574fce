"""The place of the language model, which may be exchanged while the server runs: drain, unload, load, or go back.

Whoever asks while it is empty is told when to come back. Knows no plan's contents: whoever opens models does.
"""

import asyncio
import logging
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from agent_memory.application.conversation import Conversation, Prompt
from agent_memory.application.engine_stats import EngineStats
from agent_memory.application.engine_thread import EngineThread
from agent_memory.application.holdings import Holdings
from agent_memory.application.replies import Reply
from agent_memory.domain.errors import AgentMemoryError, Conflict, InvalidInput, Unavailable

log = logging.getLogger(__name__)

Plan = TypeVar("Plan")
T = TypeVar("T")

_COME_BACK = 10.0  # seconds: a guess, for who asks in the middle of a change


@dataclass(frozen=True, slots=True)
class LoadedModel(Generic[Plan]):
    """`about` tells people what it is and runs on. A conversation that was made elsewhere has no engine here."""

    plan: Plan
    conversation: Conversation
    engine: EngineThread | None = None
    about: str = ""

    async def close(self, grace: float) -> None:
        """Let running turns end within so many seconds, end the others, write every block."""
        if self.engine is not None:
            await self.engine.close(grace)
            self.conversation.close()


class Models(Protocol[Plan]):
    """How models are opened. Each raises Misconfigured for what cannot be had."""

    async def find(self, plan: Plan) -> None:
        """Make sure that it is on this machine. Changes nothing that runs."""
        ...

    async def load(self, plan: Plan) -> LoadedModel[Plan]: ...

    def release(self) -> None:
        """Give the memory of what is no longer referred to back to the machine."""
        ...


@dataclass(frozen=True, slots=True)
class Swap:
    """`before` and `after` are models' ids; None: there was none."""

    before: str | None
    after: str | None
    seconds: float


class ModelSlot(Generic[Plan]):
    def __init__(self, models: Models[Plan], plan: Plan) -> None:
        self._models = models
        self._loaded: LoadedModel[Plan] | None = None
        self._plan = plan
        self._why_empty = "no language model is loaded"
        self._changing: asyncio.Task[Swap] | None = None

    # --- what is there ---

    @property
    def plan(self) -> Plan:
        """That of the model that is loaded, or was last."""
        return self._plan

    @property
    def conversation(self) -> Conversation | None:
        return None if self._loaded is None else self._loaded.conversation

    @property
    def about(self) -> str:
        return "" if self._loaded is None else self._loaded.about

    def ready(self) -> Conversation:
        """Raises Unavailable when there is none, and says when it is worth asking again."""
        if self._loaded is None:
            raise Unavailable(self._why_empty, _COME_BACK if self._under_way else None)
        return self._loaded.conversation

    def reply(self, prompt: Prompt) -> Reply:
        """By the model that is loaded at the moment. Raises Unavailable at once, else what it raises."""
        return self.ready().reply(prompt)

    def stats(self) -> EngineStats:
        return EngineStats() if self._loaded is None else self._loaded.conversation.stats()

    async def check(self) -> None:
        """Raises Unavailable when no reply could be had."""
        await self.ready().check()

    async def ask(self, question: Callable[[Holdings], T]) -> T:
        """Of the holdings of the agents, on the engine's thread."""
        self.ready()
        engine = None if self._loaded is None else self._loaded.engine
        if engine is None:
            raise Unavailable("this server keeps no cache of its own")
        return await engine.ask(lambda each: question(each.agents()))

    # --- changes ---

    def hold(self, loaded: LoadedModel[Plan]) -> None:
        """Have this one, which was opened elsewhere."""
        self._loaded, self._plan = loaded, loaded.plan

    async def load(self) -> None:
        """The first. Raises Misconfigured."""
        await self._models.find(self._plan)
        self.hold(await self._models.load(self._plan))

    async def swap(self, plan: Plan, grace: float) -> Swap:
        """Exchange the model for another, which must be on this machine or to be had. Running turns may end within
        `grace` seconds.

        Raises InvalidInput when it cannot be found (nothing has changed then), Unavailable when it cannot be loaded
        (the former serves again), Conflict when a change is under way. It is finished though the caller leaves.
        """
        self._refuse_second()
        try:
            await self._models.find(plan)
        except AgentMemoryError as error:
            raise InvalidInput("model_id", str(error)) from error
        self._refuse_second()
        return await self._change(self._exchange(plan, grace))

    async def offload(self, grace: float) -> Swap:
        """Let go of the model until the next swap. Raises Conflict when a change is under way."""
        self._refuse_second()
        return await self._change(self._empty(grace))

    @property
    def _under_way(self) -> bool:
        return self._changing is not None and not self._changing.done()

    def _refuse_second(self) -> None:
        if self._under_way:
            raise Conflict("a change of the model is under way; wait for its end")

    async def _change(self, work: Awaitable[Swap]) -> Swap:
        self._changing = asyncio.ensure_future(work)
        return await asyncio.shield(self._changing)

    async def _exchange(self, plan: Plan, grace: float) -> Swap:
        started, former = time.monotonic(), self._plan
        before = await self._unload(grace, "the model is being exchanged")
        try:
            self.hold(await self._models.load(plan))
        except Exception as error:
            log.exception("the model could not be loaded; going back to the one before")
            traceback.clear_frames(error.__traceback__)  # they hold what was loaded of it
            self._models.release()
            self._why_empty = f"no language model is loaded: {error}"
            if before is not None:
                self.hold(await self._models.load(former))
            raise Unavailable(f"{error}; {before or 'no model'} serves again") from error
        return Swap(before, self._id, time.monotonic() - started)

    async def _empty(self, grace: float) -> Swap:
        started = time.monotonic()
        before = await self._unload(grace, "the model was offloaded; swap one in to go on")
        return Swap(before, None, time.monotonic() - started)

    async def _unload(self, grace: float, why: str) -> str | None:
        """Its id. Nobody refers to it afterwards."""
        loaded, name, self._loaded, self._why_empty = self._loaded, self._id, None, why
        if loaded is not None:
            await loaded.close(grace)
            del loaded
            self._models.release()
        return name

    @property
    def _id(self) -> str | None:
        return None if self._loaded is None else self._loaded.conversation.model_id

    async def close(self, grace: float) -> None:
        """A change that is under way is waited for."""
        if self._changing is not None:
            await asyncio.gather(self._changing, return_exceptions=True)
        loaded, self._loaded, self._why_empty = self._loaded, None, "the server is shutting down"
        if loaded is not None:
            await loaded.close(grace)
