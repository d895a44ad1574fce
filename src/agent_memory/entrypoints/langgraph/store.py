"""LangGraph's `BaseStore` on our memories; needs the extra `langgraph`.

    async with bootstrap(settings, conversation=None) as application:
        graph = builder.compile(store=AgentMemoryStore(application))

    with AgentMemoryStore.blocking(settings) as store:    # for programs without an event loop
        store.put(("users", "ada"), "home", {"text": "Ada lives in Lisbon"})
        store.search(("users",), query="Where does Ada live?")

All namespaces of a store are one scope. An item is at most what the metadata of a memory holds (16,384 characters, 16
levels, its namespace and key included), because a search reads hundreds; items are searched by meaning and words.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TypedDict, Unpack
from weakref import WeakValueDictionary

from langgraph.store.base import (
    BaseStore,
    GetOp,
    ListNamespacesOp,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
    TTLConfig,
    validate_op_namespace,
)

from agent_memory.application.memory_keeping import MOST_LISTED, MemoryKeeping
from agent_memory.application.remembering import MOST_KEPT_AT_ONCE, NewFields, Remembering
from agent_memory.bootstrap import Application, Parts
from agent_memory.domain.errors import Conflict, NotFound, Unavailable
from agent_memory.domain.semantic.duplicates import Remembered
from agent_memory.domain.semantic.memory import MOST_RESULTS, Memory, MemoryId, Scope
from agent_memory.domain.semantic.selection import Selection
from agent_memory.entrypoints.blocking import BlockingMemory
from agent_memory.entrypoints.langgraph import items
from agent_memory.entrypoints.other_loop import OtherLoop, running_loop
from agent_memory.settings import Settings

_PATIENCE = 10.0  # seconds in which an item can be put that other processes put at the same moment
_TICK = timedelta(microseconds=1)  # between those that are put together, so that they are in their order
_PAUSE = 0.02  # seconds at most before the next attempt


class Whose(TypedDict):
    agent_id: str
    user_id: str


class AgentMemoryStore(BaseStore):
    """Belongs to the event loop it is made on; its blocking verbs are for other threads. `fields` are the paths of a
    value that are searched where an item does not say.
    """

    supports_ttl = True

    def __init__(
        self,
        application: Application,
        *,
        agent_id: str = "langgraph",
        user_id: str = "store",
        fields: Sequence[str] = ("$",),
        ttl: TTLConfig | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._memory = application.memory
        self._keeping, self._remembering = _parts(application)
        self._whose: Whose = {"agent_id": agent_id, "user_id": user_id}
        self._fields = fields
        self._loop = loop or asyncio.get_running_loop()
        self._home = OtherLoop(self._loop)
        self._turns: WeakValueDictionary[MemoryId, asyncio.Lock] = WeakValueDictionary()
        self.ttl_config = ttl

    @classmethod
    @contextmanager
    def blocking(
        cls,
        settings: Settings | None = None,
        *,
        agent_id: str = "langgraph",
        user_id: str = "store",
        fields: Sequence[str] = ("$",),
        ttl: TTLConfig | None = None,
        **parts: Unpack[Parts],
    ) -> Iterator["AgentMemoryStore"]:
        with BlockingMemory(settings, **parts) as memory:
            yield cls(memory.application, agent_id=agent_id, user_id=user_id, fields=fields, ttl=ttl, loop=memory.loop)

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        return self._home.wait(self._done(list(ops)))

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        done = self._done(list(ops))
        return await (done if running_loop() is self._loop else self._home.answer(done))

    async def _done(self, ops: list[Op]) -> list[Result]:
        """What is read is read before anything is put; of two puts of one item the later holds."""
        for op in ops:
            if not isinstance(op, GetOp | SearchOp | ListNamespacesOp | PutOp):
                raise ValueError(f"Unknown operation type: {type(op)}")  # noqa: TRY004 - as LangGraph's own stores do
            validate_op_namespace(op)
            if isinstance(op, PutOp):
                items.check_put(op, _now())
        results = [await self._read(op) for op in ops]
        puts = list({(op.namespace, op.key): op for op in ops if isinstance(op, PutOp)}.values())
        for put in puts if len(puts) == 1 else await self._left(puts):
            await self._put(put)
        return results

    async def _left(self, puts: Sequence[PutOp]) -> list[PutOp]:
        """Keep the items that are new, in one reading and one commit of hundreds; the others are left to be put."""
        left = [put for put in puts if put.value is None]
        told_of = [put for put in puts if put.value is not None]
        for start in range(0, len(told_of), MOST_KEPT_AT_ONCE):
            some, now = told_of[start : start + MOST_KEPT_AT_ONCE], _now()
            new = [self._new(put, now + place * _TICK) for place, put in enumerate(some)]
            told = await self._remembering.remember_many(new, **self._whose)
            left += [p for p, each in zip(some, told, strict=True) if not (isinstance(each, Remembered) and each.added)]
        return left

    async def _read(self, op: Op) -> Result:
        match op:
            case GetOp():
                return await self._get(op)
            case SearchOp():
                return await self._search(op)
            case ListNamespacesOp():
                return await self._namespaces(op)
            case PutOp():
                return None

    async def _get(self, op: GetOp) -> Result:
        try:
            memory = await self._keeping.get(self._id(op.namespace, op.key), **self._whose)
        except NotFound:
            return None
        if not memory.holds(_now()):
            return None
        if op.refresh_ttl:
            await self._refresh(memory)
        return items.item_of(memory)

    async def _namespaces(self, op: ListNamespacesOp) -> Result:
        every = await self._keeping.values((items.NAMESPACE,), selection=items.namespaces_of(op), **self._whose)
        found = items.listed(every, op.match_conditions or (), op.max_depth)
        return found[op.offset : op.offset + op.limit]

    async def _search(self, op: SearchOp) -> Result:
        if op.limit < 1:
            return []
        op = op._replace(query=items.askable(op.query))
        found = await self._ranked(op) if op.query else await self._listed(op)
        if op.refresh_ttl:
            for memory, _ in found:
                await self._refresh(memory)
        told: list[SearchItem] = [items.found_item_of(memory, score) for memory, score in found]
        return told

    async def _listed(self, op: SearchOp) -> list[tuple[Memory, float | None]]:
        found: list[tuple[Memory, float | None]] = []
        async for memory in self._all(items.selection_of(op)):
            found.append((memory, None))
            if len(found) >= op.offset + op.limit:
                break
        return found[op.offset :]

    async def _ranked(self, op: SearchOp) -> list[tuple[Memory, float | None]]:
        found: list[tuple[Memory, float | None]] = []
        cursor, selection = None, items.selection_of(op)
        while len(found) < op.offset + op.limit:
            page = await self._memory.recall_page(
                cursor, query=op.query or "", top_k=MOST_RESULTS, selection=selection, **self._whose
            )
            found += [(r.memory, r.score.total) for r in page.recollections]
            cursor = page.cursor
            if cursor is None:
                break
        return list(islice(found, op.offset, op.offset + op.limit))

    async def _put(self, op: PutOp) -> None:
        """The last of many who put an item at the same moment is the one whose item stays."""
        if op.value is None:
            await self._forget(op)
            return
        deadline = time.monotonic() + _PATIENCE
        async with self._turns.setdefault(self._id(op.namespace, op.key), asyncio.Lock()):
            while not await self._is_put(op):
                if time.monotonic() > deadline:
                    raise Unavailable(f"item {op.key!r} changes too fast to be put")
                await asyncio.sleep(random.uniform(0, _PAUSE))  # noqa: S311 - so that two do not meet again

    async def _is_put(self, op: PutOp) -> bool:
        """False: another process put or deleted it at the same moment."""
        fields = items.fields_of(op, self._fields, _now())
        memory_id = self._id(op.namespace, op.key)
        try:
            await self._drop_expired(memory_id)
            await self._keeping.revise(memory_id, agent_id=self._whose["agent_id"], **fields)
        except Conflict:
            return False
        except NotFound:
            return await self._is_new(op)
        return True

    async def _drop_expired(self, memory_id: MemoryId) -> None:
        """What has expired is gone: an item put in its place begins anew."""
        known = await self._keeping.get(memory_id, **self._whose)
        if known.expires_at is not None and known.expires_at <= _now():
            await self._memory.forget(memory_id, **self._whose, version=known.version)

    async def _is_new(self, op: PutOp) -> bool:
        try:
            told = await self._remembering.remember(self._new(op, _now()), **self._whose)
        except Conflict:
            return False
        return told.added

    async def _forget(self, op: PutOp) -> None:
        try:
            await self._memory.forget(self._id(op.namespace, op.key), **self._whose)
        except NotFound:
            return  # as absent as it was to be

    async def _refresh(self, memory: Memory) -> None:
        """Whoever changes it meanwhile decides about its end."""
        end = items.renewed_end(memory, _now())
        if end is not None:
            await self._keeping.put_off(memory.id, **self._whose, version=memory.version, expires_at=end)

    async def _all(self, selection: Selection) -> AsyncIterator[Memory]:
        cursor: str | None = None
        while True:
            page = await self._keeping.list(**self._whose, selection=selection, cursor=cursor, limit=MOST_LISTED)
            for memory in page.memories:
                yield memory
            cursor = page.cursor
            if cursor is None:
                return

    def _new(self, op: PutOp, now: datetime) -> NewFields:
        return NewFields(**items.fields_of(op, self._fields, now), id=self._id(op.namespace, op.key))

    def _id(self, namespace: tuple[str, ...], key: str) -> MemoryId:
        return items.memory_id(Scope(**self._whose), namespace, key)


def _parts(application: Application) -> tuple[MemoryKeeping, Remembering]:
    if application.keeping is None or application.remembering is None:
        raise Unavailable("a LangGraph store needs a memory archive beside the memory store")
    return application.keeping, application.remembering


def _now() -> datetime:
    return datetime.now(UTC)
