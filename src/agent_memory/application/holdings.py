"""What agents hold: the book of agents, written down at every change, over the whereabouts of their blocks.

On the engine's thread. Whatever is asked is answered at once, from memory.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from agent_memory.application.pins import Pins
from agent_memory.application.whereabouts import Tier, Whereabouts
from agent_memory.domain.errors import Conflict, Unavailable
from agent_memory.domain.kv.agents import Agent, AgentBook, AgentName, Usage
from agent_memory.domain.kv.block import BlockHash, CacheBlock, Namespace, Part
from agent_memory.domain.kv.turn import Turn, TurnId
from agent_memory.ports.agents import AgentStore, Origin

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Holding:
    """Where an agent's blocks are. In `own_bytes` (nobody else's) and `shared_bytes` a block that lies in both tiers
    counts once. `restorable` tokens of its last turn need no reading by the model that is loaded; None without one.
    """

    blocks: int
    memory_blocks: int
    disk_blocks: int
    both_blocks: int
    memory_bytes: int
    disk_bytes: int
    own_bytes: int
    shared_bytes: int
    restorable: int | None


@dataclass(frozen=True, slots=True)
class Overview:
    """`agents` are those that the caller may know of; the rest is everybody's."""

    origin: Origin
    memory: Tier
    disk: Tier
    agents: int
    pinned_bytes: int


@dataclass(frozen=True, slots=True)
class Held:
    agent: Agent
    holding: Holding


class Holdings:
    """`origin` is the model that is loaded, and the geometry of its cache; without one, the blocks of all models can be
    looked after, but neither restored nor exported. `running` are the engine's turns, which it moves in and out.
    """

    def __init__(
        self,
        blocks: Whereabouts,
        store: AgentStore,
        origin: Origin | None,
        *,
        running: Mapping[TurnId, Turn] | None = None,
        waiting: Callable[[], Iterable[Turn]] = tuple,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.blocks = blocks
        self._store = store
        self._origin = origin
        self._running = running if running is not None else {}
        self._waiting = waiting
        self._clock = clock
        self._book = AgentBook(store.load())
        self.pins = Pins(self._book, blocks)
        blocks.spare(lambda block: self._book.users(block) > 1)

    @property
    def origin(self) -> Origin:
        """Raises Unavailable when no model is loaded."""
        if self._origin is None:
            raise Unavailable("no language model is loaded, and this needs to know which")
        return self._origin

    def root(self, tenant: str) -> BlockHash:
        return Namespace(tenant, *self.origin).root

    # --- turns ---

    def end_if_over(self, name: AgentName) -> None:
        """An agent whose time is over is gone; one with a turn that waits or runs stays until that has ended."""
        agent = self._book.find(name)
        if agent is not None and self._is_over(agent):
            self._remove(agent)

    def _is_over(self, agent: Agent) -> bool:
        if not agent.expired(self._clock()):
            return False
        turns = (*self._running.values(), *self._waiting())
        return not any(turn.agent == agent.name and not turn.only_read for turn in turns)

    def heard(self, turn: Turn) -> None:
        """A turn has ended, and what is kept of it is kept."""
        if turn.agent is None or not turn.stored:
            return
        now = self._clock()
        agent = self._book.find(turn.agent)
        if turn.only_read:
            if agent is None:  # it is gone since this was put off
                self.discard(block.hash for block in turn.chain)
            else:
                self._write(agent.with_blocks(block.hash for block in turn.chain))
            return
        agent = agent or Agent(turn.agent, now, now)
        chain = tuple(block.hash for block in turn.chain)
        usage = Usage(chain, turn.kept, turn.prompt_tokens, turn.cached_tokens or 0, turn.generated)
        existing = {block for block in agent.blocks if self.blocks.exists(block)}
        try:
            self._write(agent.used(usage, now, existing))
        except Unavailable as error:
            log.warning("an agent is known until the end of this process only: %s", error)

    def speaking(self, name: AgentName) -> bool:
        running = (turn for turn in self._running.values() if not turn.only_read)
        return any(turn.agent == name and turn.finish is None for turn in running)

    def settling(self, tenant: str, agent_id: str | None = None) -> bool:
        """Whether a turn of this agent, or of any of the tenant's, was answered and is still being put away."""
        spoken = (turn for turn in self._running.values() if not turn.only_read)
        ending = (turn.agent for turn in spoken if turn.finish is not None and turn.agent is not None)
        return any(name.tenant == tenant and agent_id in {None, name.id} for name in ending)

    # --- the book ---

    def __len__(self) -> int:
        return len(self._book)

    def get(self, name: AgentName) -> Held:
        """Raises NotFound, also for what has expired."""
        self.end_if_over(name)
        return self._held(self._book.get(name))

    def overview(self, tenant: str, only: str | None = None) -> Overview:
        self.expire()
        return Overview(self.origin, *self.blocks.tiers(), self._book.count(tenant, only), self.pins.nbytes)

    def page(self, tenant: str, after: str | None, limit: int) -> list[Held]:
        self.expire()
        return [self._held(agent) for agent in self._book.page(tenant, after, limit)]

    def refuse_known(self, name: AgentName) -> None:
        """Raises Conflict when there is one of this name."""
        self.expire()
        self._book.refuse_known(name)

    def create(self, name: AgentName, ttl: timedelta | None = None, *, pinned: bool = False) -> Held:
        """Raises Conflict when there is one of this name."""
        self.refuse_known(name)
        now = self._clock()
        return self._enter(Agent(name, now, now, ttl=ttl, pinned=pinned))

    def fork(self, name: AgentName, into: AgentName) -> Held:
        """Raises NotFound or Conflict."""
        agent = self.get(name).agent
        self.refuse_known(into)
        return self._enter(agent.fork(into, self._clock()))

    def adopt(self, name: AgentName, chain: tuple[BlockHash, ...], tokens: int) -> Held:
        """A new agent whose blocks came from elsewhere. Raises Conflict when there is one of this name."""
        self.refuse_known(name)
        now = self._clock()
        return self._enter(Agent(name, now, now, chain, tokens))

    def pin(self, name: AgentName) -> Held:
        """Raises Conflict, and pins nothing, when it is more than may be pinned."""
        agent = self.get(name).agent
        self.pins.refuse_beyond(agent)
        return self._enter(replace(agent, pinned=True))

    def unpin(self, name: AgentName) -> Held:
        return self._enter(replace(self.get(name).agent, pinned=False))

    def limit(self, name: AgentName, ttl: timedelta | None) -> Held:
        """Its time is counted from its last use, which this is."""
        return self._enter(replace(self.get(name).agent, ttl=ttl, last_used=self._clock()))

    def expire(self) -> int:
        """Remove all whose time is over; how many that were."""
        over = [agent for agent in self._book.expired(self._clock()) if self._is_over(agent)]
        for agent in over:
            self._remove(agent)
        return len(over)

    def remove(self, name: AgentName) -> int:
        """Raises NotFound, or Conflict while it speaks. How many blocks went with it."""
        agent = self.get(name).agent
        if self.speaking(name):
            raise Conflict(f"agent {name.id!r} is in the middle of a turn; end that first")
        return self._remove(agent)

    def cool(self, name: AgentName) -> Held:
        """Let its own blocks, unless they are pinned, out of memory; on disk they stay."""
        for block in self.get(name).agent.blocks:
            if self._book.users(block) == 1 and block not in self.pins:
                self.blocks.cool(block)
        return self.get(name)

    def parts(self, name: AgentName) -> list[tuple[CacheBlock, Part]]:
        """Every part of its blocks that can be reached, parents first."""
        return self.blocks.parts(self.get(name).agent.blocks, self.root(name.tenant))

    def _enter(self, agent: Agent) -> Held:
        self._write(agent)
        return self._held(agent)

    def _write(self, agent: Agent) -> None:
        """Into the book, and on disk. Raises Unavailable when it did not get there."""
        before = self._book.find(agent.name)
        self._book.enter(agent)
        if agent.pinned or (before and before.pinned):
            self.pins.renew()
        try:
            self._store.put(agent)
            while before is None and (surplus := self._book.surplus(agent.name)) is not None:
                self._forget(surplus)
        except OSError as error:
            raise Unavailable(str(error)) from error

    def _remove(self, agent: Agent) -> int:
        try:
            self._forget(agent)
        except OSError as error:
            raise Unavailable(str(error)) from error
        return self.discard(agent.blocks)

    def _forget(self, agent: Agent) -> None:
        """The agent alone: its blocks go in their turn."""
        self._store.delete(agent.name)
        self._book.strike(agent.name)
        if agent.pinned:
            self.pins.renew()

    def discard(self, blocks: Iterable[BlockHash]) -> int:
        """Forget those that no agent has, no running turn stands on and no other conversation goes on from; how many
        there were.
        """
        discarded = 0
        in_use = {block.hash for turn in self._running.values() for block in turn.chain}
        for block in self.blocks.children_first(blocks):
            if not (block in in_use or self._book.users(block) or self.blocks.leads_on(block)):
                discarded += self.blocks.exists(block)
                self.blocks.forget(block)
        return discarded

    def collect(self) -> int:
        """Forget the blocks that no chain leads to; how many there were."""
        lost = self.blocks.unreachable()
        for block in lost:
            self.blocks.forget(block)
        return len(lost)

    def clear(self) -> tuple[int, int]:
        """Remove every agent of every tenant, and every block that no running turn stands on; how many of each."""
        agents = list(self._book)
        theirs = sum(self._remove(agent) for agent in agents)
        return len(agents), theirs + self.discard(self.blocks.known())

    def _held(self, agent: Agent) -> Held:
        places = [(self.blocks.memory(block), self.blocks.disk(block)) for block in agent.blocks]
        own = [max(place) for place, block in zip(places, agent.blocks, strict=True) if self._book.users(block) == 1]
        holding = Holding(
            blocks=sum(any(place) for place in places),
            memory_blocks=sum(memory > 0 for memory, _ in places),
            disk_blocks=sum(disk > 0 for _, disk in places),
            both_blocks=sum(all(place) for place in places),
            memory_bytes=sum(memory for memory, _ in places),
            disk_bytes=sum(disk for _, disk in places),
            own_bytes=sum(own),
            shared_bytes=sum(map(max, places)) - sum(own),
            restorable=self._restorable(agent),
        )
        return Held(agent, holding)

    def _restorable(self, agent: Agent) -> int | None:
        return self.blocks.restorable(agent.blocks, self.root(agent.name.tenant)) if self._origin else None

    def close(self) -> None:
        self._store.close()
