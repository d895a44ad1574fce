"""Condensing what has become too much, in the background and reversibly: the sources stay, marked and linked."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from uuid import uuid4

import structlog

from agent_memory.application.chores import is_stopped
from agent_memory.application.tenancy import OfTenant
from agent_memory.domain.errors import Conflict, InvalidInput, NotFound
from agent_memory.domain.semantic.condensing import condense, fitting
from agent_memory.domain.semantic.memory import Embedding, Memory, MemoryId, Scope, check_who, parse_memory_id
from agent_memory.domain.semantic.retention import Retention, standing_for
from agent_memory.ports.semantic import Condenser, CondensingStore, Embedder

_log = structlog.get_logger(__name__)


class ExtractiveCondenser:
    """Chooses among the sentences; no model, no network."""

    async def condense(self, memories: Sequence[Memory]) -> str:
        return await asyncio.to_thread(condense, memories)


def _now() -> datetime:
    return datetime.now(UTC)


class Consolidation(OfTenant):
    """May run in many workers at once: whoever comes second finds the work done and changes nothing."""

    def __init__(
        self,
        store: CondensingStore,
        embedder: Embedder,
        condenser: Condenser | None = None,
        retention: Retention | None = None,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._condenser = condenser or ExtractiveCondenser()
        self._retention = retention or Retention()
        self._clock = clock

    async def run_once(self) -> list[Memory]:
        """Condense one batch of every scope of every tenant that has too much; the memories that stand for it. A scope
        that cannot be condensed keeps no other waiting.
        """
        return await self._round(await self._crowded(), {})

    async def run(self) -> int:
        """Condense, batch after batch, what has too much now and can be condensed here; how many memories were made.
        What else a scope raised than InvalidInput, it raises once all others are done.
        """
        scopes, failed, number = await self._crowded(), dict[Scope, Exception](), 0
        while made := await self._round(scopes, failed):
            number += len(made)
            scopes = [memory.scope for memory in made]  # what others condense at this moment is left to them
        for error in failed.values():
            if not isinstance(error, InvalidInput):
                raise error
        return number

    async def _crowded(self) -> list[Scope]:
        return await self._store.crowded(self._retention.threshold, self._clock())

    async def _round(self, scopes: Sequence[Scope], failed: dict[Scope, Exception]) -> list[Memory]:
        """One batch of each; to the failed come those that fail now."""
        made: list[Memory] = []
        for scope in scopes:
            if not (sources := await self._sources(scope, self._retention.threshold)):
                continue
            try:
                memory, embedding = await self._told(scope, sources)
            except Exception as error:  # whatever a condenser or an embedder raises, others do not wait
                if is_stopped():
                    raise
                failed[scope] = error
                told = str(error) if isinstance(error, InvalidInput) else type(error).__name__
                _log.warning("cannot be condensed", agent=scope.agent_id, tenant=scope.tenant, error=told)
            else:
                made += [memory] if await self._store.stand_for(sources, memory, embedding, memory.created_at) else []
        return made

    async def condense(self, *, agent_id: str, user_id: str) -> Memory | None:
        """Condense the oldest batch of one scope, or as much of it as one memory can tell whole; None: there was too
        little, or another worker was first.
        """
        scope = self.scope(agent_id, user_id)
        sources = await self._sources(scope, self._retention.batch - 1)
        if not sources:
            return None
        memory, embedding = await self._told(scope, sources)
        done = await self._store.stand_for(sources, memory, embedding, memory.created_at)
        return memory if done else None

    async def _sources(self, scope: Scope, more_than: int) -> list[Memory]:
        """None, if another worker has been here since the scope was said to be crowded; if it comes now, it takes the
        same.
        """
        sources = await self._store.oldest(scope, self._retention.batch, self._clock(), more_than=more_than)
        return list(await asyncio.to_thread(fitting, sources)) if sources else []

    async def _told(self, scope: Scope, sources: Sequence[Memory]) -> tuple[Memory, Embedding]:
        content = await self._condenser.condense(sources)
        memory = standing_for(sources, content, MemoryId(uuid4()), self._clock())
        [embedding] = await self._embedder.embed([content], tenant=scope.tenant)
        return memory, embedding

    async def fade(self) -> int:
        """Take out of sight what nobody has called important for long; answers how many. All can be restored."""
        if self._retention.fade_after is None:
            return 0
        return await self._store.fade(self._retention.fade_after, self._clock())

    async def restore(self, memory_id: MemoryId | str, *, agent_id: str, user_id: str | None = None) -> int:
        """Bring back what a memory stands for, in its place, or a memory that has faded or that nothing stands for any
        more; answers how many. A summary that somebody has revised stays beside its sources. Raises Conflict where
        something still holds in its place.
        """
        check_who(agent_id, user_id)
        self.reach.agent(agent_id)
        which, now = (parse_memory_id(memory_id), agent_id, self.reach.user(user_id)), self._clock()
        restored = await self._store.restore(*which, tenant=self.reach.tenant, now=now)
        if restored:
            return restored
        if standing := await self._store.standing(*which, tenant=self.reach.tenant, now=now):
            raise Conflict(f"memory {memory_id} is superseded by {standing}, which holds: forget or restore that first")
        raise NotFound("condensed, faded or superseded memory", str(memory_id))
