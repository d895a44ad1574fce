"""Agents as first-class objects: make, list, pin, limit, warm, fork, export, import, remove.

Tasks ask here; the answers come from wherever the blocks are looked after, which may be the engine's thread.
"""

import asyncio
import base64
import binascii
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO, Protocol, TypeVar

from agent_memory.application.holdings import Held, Holdings, Overview
from agent_memory.application.slots import Slots
from agent_memory.domain.errors import Conflict, InvalidInput, NotFound, Unavailable
from agent_memory.domain.kv.agents import AgentName, checked_ttl
from agent_memory.domain.kv.block import BlockHash, CacheBlock, Part, PartKey
from agent_memory.ports.agents import Bundle, BundleFormat
from agent_memory.ports.kv import BlockPayload

T = TypeVar("T")

PAGE = 50
_PATIENCE = 10.0  # seconds until a turn that was answered is put away
_GLANCE = 0.01
_IN_FLIGHT = 16  # parts of an import that may wait for the disk at once


class Ask(Protocol):
    """How to reach the holdings. Raises Unavailable when there are none at the moment."""

    def __call__(self, question: Callable[[Holdings], T], /) -> Awaitable[T]: ...


@dataclass(frozen=True, slots=True)
class AgentPage:
    """In the order of their ids. `cursor` asks for what follows; None: nothing does."""

    agents: tuple[Held, ...]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Removal:
    agent_id: str
    blocks: int


@dataclass(frozen=True, slots=True)
class Warmth:
    held: Held
    parts: int
    nbytes: int


@dataclass(frozen=True, slots=True)
class Arrival:
    """`known` parts lay here already."""

    held: Held
    parts: int
    known: int
    nbytes: int


class Agents:
    """Every name is looked for in one tenant only. Verbs raise NotFound for whom they do not find there. A door takes
    one of the `arrivals` for a file that it is sent, from its first byte to its last block.
    """

    def __init__(self, ask: Ask, bundles: BundleFormat) -> None:
        self._ask = ask
        self._bundles = bundles
        self.arrivals = Slots("imports", of_all=4, of_one=2)

    async def create(self, name: AgentName, ttl_seconds: float | None = None, *, pinned: bool = False) -> Held:
        """Raises Conflict when there is one of this name."""
        ttl = checked_ttl(ttl_seconds)
        return await self._ask(lambda holdings: holdings.create(name, ttl, pinned=pinned))

    async def get(self, name: AgentName) -> Held:
        return await self._settled(name, lambda holdings: holdings.get(name))

    async def list(self, tenant: str, cursor: str | None = None, limit: int = PAGE) -> AgentPage:
        after = None if cursor is None else _read_cursor(cursor)
        await self._settle(tenant)
        found = await self._ask(lambda holdings: holdings.page(tenant, after, limit + 1))
        page, more = found[:limit], len(found) > limit
        return AgentPage(tuple(page), _cursor(page[-1].agent.name.id) if more else None)

    async def only(self, name: AgentName) -> AgentPage:
        """The list of whoever may know of one agent."""
        try:
            return AgentPage((await self.get(name),), None)
        except NotFound:
            return AgentPage((), None)

    async def overview(self, tenant: str, only: str | None = None) -> Overview:
        """With how many agents the tenant has, or how many of the only id that the caller may know of."""
        await self._settle(tenant, only)
        return await self._ask(lambda holdings: holdings.overview(tenant, only))

    async def pin(self, name: AgentName) -> Held:
        """Raises Conflict when that is more than may be pinned."""
        return await self._settled(name, lambda holdings: holdings.pin(name))

    async def unpin(self, name: AgentName) -> Held:
        return await self._settled(name, lambda holdings: holdings.unpin(name))

    async def limit(self, name: AgentName, ttl_seconds: float | None) -> Held:
        """It goes so long after its last use; None: it stays."""
        ttl = checked_ttl(ttl_seconds)
        return await self._settled(name, lambda holdings: holdings.limit(name, ttl))

    async def fork(self, name: AgentName, into: AgentName) -> Held:
        """Raises Conflict when there is one of the new name."""
        return await self._settled(name, lambda holdings: holdings.fork(name, into))

    async def remove(self, name: AgentName) -> Removal:
        """With the blocks that nobody else needs. Raises Conflict while it speaks."""
        blocks = await self._settled(name, lambda holdings: holdings.remove(name))
        return Removal(name.id, blocks)

    async def cool(self, name: AgentName) -> Held:
        """Out of memory; on disk it stays."""
        return await self._settled(name, lambda holdings: holdings.cool(name))

    async def expire(self) -> int:
        return await self._ask(lambda holdings: holdings.expire())

    async def warm(self, name: AgentName) -> Warmth:
        """From disk into memory, part by part, so that turns go on. Raises Conflict when it does not fit."""
        keys = await self._settled(name, lambda holdings: holdings.blocks.to_warm(_keys(holdings.parts(name))))
        sizes = [await self._ask(partial(_warm, key=key)) for key in keys]
        held = await self._ask(lambda holdings: holdings.get(name))
        return Warmth(held, sum(size > 0 for size in sizes), sum(sizes))

    async def export(self, name: AgentName) -> AsyncGenerator[bytes, None]:
        """The agent as one file, piece by piece. Raises NotFound before the first."""
        held, parts, origin, root = await self._settled(
            name,
            lambda holdings: (holdings.get(name), holdings.parts(name), holdings.origin, holdings.root(name.tenant)),
        )
        if not parts:
            raise Conflict(f"agent {name.id!r} holds no blocks of the model that is loaded; there is nothing to export")
        writer, reached = self._bundles.write(origin), {root}
        for block, part in parts:
            if block.parent not in reached:
                continue  # what it goes on from was lost in the meantime
            payload = await self._ask(partial(_read, key=PartKey(block.hash, part)))
            if payload is not None:
                yield await asyncio.to_thread(writer.part, block, part, payload)
                if part is Part.LASTING:
                    reached.add(block.hash)
        yield writer.finish(held.agent, root)

    async def load(self, file: BinaryIO, tenant: str, agent_id: str | None = None) -> Arrival:
        """Take in what `export` made, under its own id or another. Raises InvalidInput for what is damaged, Conflict
        for another model's or an id that is taken; then nothing is kept.
        """
        bundle = await asyncio.to_thread(self._bundles.read, file)
        name = AgentName.of(tenant, bundle.manifest.agent_id if agent_id is None else agent_id)
        root = await self._ask(lambda holdings: _admit(holdings, bundle, name))
        return await _Loading(self._ask, bundle, name, root).run()

    async def _settled(self, name: AgentName, question: Callable[[Holdings], T]) -> T:
        await self._settle(*name)
        return await self._ask(question)

    async def _settle(self, tenant: str, agent_id: str | None = None) -> None:
        """Until the turn before is put away: whoever has heard an answer finds it in the book."""
        for _ in range(int(_PATIENCE / _GLANCE)):
            if not await self._ask(lambda holdings: holdings.settling(tenant, agent_id)):
                break
            await asyncio.sleep(_GLANCE)


class _Loading:
    """One bundle on its way in: its blocks are named anew, from the root of the tenant they come to."""

    def __init__(self, ask: Ask, bundle: Bundle, name: AgentName, root: BlockHash) -> None:
        self._ask, self._bundle, self._name = ask, bundle, name
        self._root = root
        self._names = {bundle.manifest.root: root}  # there -> here
        self._blocks: dict[BlockHash, CacheBlock] = {}
        self._new: list[PartKey] = []
        self._landing: list[PartKey] = []
        self._known = 0

    async def run(self) -> Arrival:
        parts = self._bundle.parts()
        try:
            while (one := await asyncio.to_thread(next, parts, None)) is not None:
                await self._take(*one)
            await self._written(most=0)
            await self._refuse_unwritten()
            chain, tokens = tuple(self._blocks), self._bundle.manifest.tokens
            held = await self._ask(lambda holdings: holdings.adopt(self._name, chain, tokens))
        except BaseException:
            await self._ask(lambda holdings: holdings.discard({key.hash for key in self._new}))
            raise
        return Arrival(held, len(self._new) + self._known, self._known, self._bundle.manifest.nbytes)

    async def _take(self, there: CacheBlock, part: Part, payload: BlockPayload) -> None:
        if there.parent not in self._names:
            raise InvalidInput("file", f"block {there.hash[:16]} goes on from none before it")
        block = CacheBlock.after(self._names[there.parent], there.start, there.tokens)
        self._names[there.hash] = block.hash
        self._blocks[block.hash] = block
        if await self._ask(lambda holdings: holdings.blocks.take(block, part, payload, self._root)):
            self._new.append(PartKey(block.hash, part))
            self._landing.append(self._new[-1])
        else:
            self._known += 1
        await self._written(most=_IN_FLIGHT)

    async def _written(self, most: int) -> None:
        """Wait until no more than so many parts are on their way to the disk."""
        while len(self._landing) > most:
            await asyncio.sleep(_GLANCE / 2)
            self._landing = await self._ask(lambda holdings: holdings.blocks.writing(self._landing))

    async def _refuse_unwritten(self) -> None:
        missing = await self._ask(lambda holdings: holdings.blocks.unwritten(self._new))
        if missing:
            told = f"{len(missing)} of {len(self._new)} parts could not be written"
            raise Unavailable(f"{told}: the disk fails, or the day's write budget is spent; the log says which")


def _admit(holdings: Holdings, bundle: Bundle, name: AgentName) -> BlockHash:
    """Where its blocks' names begin here; raises what speaks against it."""
    holdings.refuse_known(name)
    manifest = bundle.manifest
    there, here = manifest.origin, holdings.origin
    if there.model != here.model:
        raise Conflict(f"the file is of another model: its fingerprint is {there.model[:16]}, here {here.model[:16]}")
    if there.spec != here.spec:
        raise Conflict(f"the file is of another cache geometry: {there.spec}; here it is {here.spec}")
    if manifest.nbytes > holdings.blocks.disk_budget:
        raise Conflict(
            f"the file holds {manifest.nbytes >> 20} MB of blocks, the disk budget is "
            f"{holdings.blocks.disk_budget >> 20} MB"
        )
    return holdings.root(name.tenant)


def _warm(holdings: Holdings, key: PartKey) -> int:
    return holdings.blocks.warm(key)


def _read(holdings: Holdings, key: PartKey) -> BlockPayload | None:
    return holdings.blocks.read(key)


def _keys(parts: list[tuple[CacheBlock, Part]]) -> list[PartKey]:
    return [PartKey(block.hash, part) for block, part in parts]


def _cursor(agent_id: str) -> str:
    return base64.urlsafe_b64encode(agent_id.encode()).decode()


def _read_cursor(cursor: str) -> str:
    try:
        return base64.b64decode(cursor.encode(), b"-_", validate=True).decode()
    except (ValueError, binascii.Error):
        raise InvalidInput("cursor", "is none that we gave") from None
