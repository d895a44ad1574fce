"""Semantic memory for programs without an event loop: the same verbs, which wait.

with BlockingMemory() as memory:
    memory.remember(agent_id="guide", user_id="ada", content="Ada lives in Lisbon")
"""

import asyncio
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from agent_memory.application.semantic_memory import Asked, Told
from agent_memory.bootstrap import Application, Parts, bootstrap
from agent_memory.domain.semantic.keeping import Versions
from agent_memory.domain.semantic.memory import Memory, MemoryId
from agent_memory.domain.semantic.recall import Recollection
from agent_memory.settings import Settings

Result = TypeVar("Result")


class BlockingMemory:
    """Opens everything when it is entered; may be called from any thread until it is left."""

    def __init__(self, settings: Settings | None = None, **parts: Unpack[Parts]) -> None:
        parts.setdefault("conversation", None)  # what only remembers needs no language model
        self._opening = bootstrap(settings, **parts)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="agent-memory", daemon=True)
        self._application: Application | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._application = self._done(self._opening.__aenter__())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._done(self._opening.__aexit__(kind, error, trace))
        finally:
            self._application = None
            self._end()

    def remember(self, **told: Unpack[Told]) -> Memory:
        return self._done(self._opened.memory.remember(**told))

    def recall(self, **asked: Unpack[Asked]) -> list[Recollection]:
        return self._done(self._opened.memory.recall(**asked))

    def forget(
        self, memory_id: MemoryId | str, *, agent_id: str, user_id: str | None = None, version: Versions | None = None
    ) -> None:
        self._done(self._opened.memory.forget(memory_id, agent_id=agent_id, user_id=user_id, version=version))

    def count(self, *, agent_id: str, user_id: str) -> int:
        return self._done(self._opened.memory.count(agent_id=agent_id, user_id=user_id))

    @property
    def application(self) -> Application:
        """For those who build on it: everything that was opened. It is used on `loop`."""
        return self._opened

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    @property
    def _opened(self) -> Application:
        if self._application is None:
            raise RuntimeError("a BlockingMemory works between entering it and leaving it")
        return self._application

    def _done(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
