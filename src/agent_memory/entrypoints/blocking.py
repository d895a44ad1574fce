"""Semantic memory for programs without an event loop: the same verbs, which wait.

with BlockingMemory() as memory:
    memory.remember(agent_id="guide", user_id="ada", content="Ada lives in Lisbon")
"""

import asyncio
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from agent_memory.application.semantic_memory import Asked, Told
from agent_memory.application.sources import Source
from agent_memory.application.transfer import Arrival, Transfer
from agent_memory.bootstrap import Application, Parts, bootstrap
from agent_memory.domain.errors import Unavailable
from agent_memory.domain.semantic.keeping import Versions
from agent_memory.domain.semantic.memory import Memory, MemoryId
from agent_memory.domain.semantic.recall import Recollection
from agent_memory.entrypoints.other_loop import LoopThread
from agent_memory.settings import Settings

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class _Opened:
    thread: LoopThread
    opening: AbstractAsyncContextManager[Application]
    application: Application


class BlockingMemory:
    """Opens everything when it is entered; may be called from any thread until it is left, and then entered again.

    Calls that still run when it is left are ended, and raise Unavailable. A process that was forked meanwhile cannot
    use it, and closes nothing when it leaves.
    """

    def __init__(self, settings: Settings | None = None, **parts: Unpack[Parts]) -> None:
        parts.setdefault("conversation", None)  # what only remembers needs no language model
        self._settings = settings
        self._parts = parts
        self._opened: _Opened | None = None

    def __enter__(self) -> Self:
        if self._opened is not None and self._opened.thread.is_ours:
            raise RuntimeError("this BlockingMemory is open already: it is entered again once it was left")
        opening = bootstrap(self._settings, **self._parts)
        thread = LoopThread()
        try:
            self._opened = _Opened(thread, opening, thread.wait(opening.__aenter__()))
        except BaseException:
            thread.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        opened, self._opened = self._here, None
        if not opened.thread.is_ours:
            return
        try:
            opened.thread.end_calls()
            opened.thread.wait(opened.opening.__aexit__(kind, error, trace))
        finally:
            opened.thread.stop()

    def remember(self, **told: Unpack[Told]) -> Memory:
        return self._done(self.application.memory.remember(**told))

    def recall(self, **asked: Unpack[Asked]) -> list[Recollection]:
        return self._done(self.application.memory.recall(**asked))

    def forget(
        self, memory_id: MemoryId | str, *, agent_id: str, user_id: str | None = None, version: Versions | None = None
    ) -> None:
        self._done(self.application.memory.forget(memory_id, agent_id=agent_id, user_id=user_id, version=version))

    def count(self, *, agent_id: str, user_id: str) -> int:
        return self._done(self.application.memory.count(agent_id=agent_id, user_id=user_id))

    def load(self, source: Source, *, agent_id: str | None = None, user_id: str | None = None) -> Arrival:
        """Of a path, an open file or lines, as with the verbs of `Transfer`, which these three are."""
        return self._done(self._transfer.load(source, agent_id=agent_id, user_id=user_id))

    def load_mem0(self, source: Source, *, agent_id: str = "imported", user_id: str = "imported") -> Arrival:
        return self._done(self._transfer.load_mem0(source, agent_id=agent_id, user_id=user_id))

    def load_mcp(self, source: Source, *, agent_id: str = "imported", user_id: str = "imported") -> Arrival:
        return self._done(self._transfer.load_mcp(source, agent_id=agent_id, user_id=user_id))

    @property
    def application(self) -> Application:
        """For those who build on it: everything that was opened. It is used on `loop`."""
        return self._here.application

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return self._here.thread.loop

    @property
    def _here(self) -> _Opened:
        if self._opened is None:
            raise RuntimeError("a BlockingMemory works between entering it and leaving it")
        return self._opened

    @property
    def _transfer(self) -> Transfer:
        transfer = self.application.transfer
        if transfer is None:
            raise Unavailable("what is imported needs a memory archive beside the memory store")
        return transfer

    def _done(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self._here.thread.wait(work)
