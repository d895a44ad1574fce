"""Agents: who comes back, which blocks are theirs, and what was asked for them. No bytes, no clock, no tier.

An agent owns no copy of anything: it refers to blocks, and so may any number of others. What is told of it here
survives the process; where its blocks are at the moment, the tiers' books know.
"""

from bisect import bisect_left, bisect_right, insort
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain
from typing import NamedTuple

from agent_memory.domain.errors import Conflict, InvalidInput, NotFound
from agent_memory.domain.kv.block import BlockHash

MAX_NAME = 256
MAX_TTL = timedelta(days=3650)
MAX_BLOCKS = 4096
"""An agent that many conversations share refers to the latest of their blocks only."""
MAX_AGENTS = 100_000
"""Of all tenants together. Names cost a client nothing: beyond this, one is forgotten for a new one."""


class AgentName(NamedTuple):
    """Two agents of different tenants may bear the same id, and never meet."""

    tenant: str
    id: str

    @classmethod
    def of(cls, tenant: str, agent_id: str, field: str = "agent_id") -> "AgentName":
        """Any text of 1 to 256 characters. It is never a path or a label. Raises InvalidInput, naming `field`."""
        if not 1 <= len(agent_id) <= MAX_NAME:
            raise InvalidInput(field, f"must have 1 to {MAX_NAME} characters, has {len(agent_id)}")
        try:
            agent_id.encode()
        except UnicodeEncodeError:
            raise InvalidInput(field, "must be valid Unicode; it holds half of a surrogate pair") from None
        return cls(tenant, agent_id)


@dataclass(frozen=True, slots=True)
class Agent:
    """`blocks` are all that its turns used and that still exist, those of the last turn first, parents before children;
    `tokens` is how long the last turn's conversation was. A hit is a turn whose prompt was known at least in part.
    """

    name: AgentName
    created: datetime
    last_used: datetime
    blocks: tuple[BlockHash, ...] = ()
    tokens: int = 0
    turns: int = 0
    hits: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    generated_tokens: int = 0
    pinned: bool = False
    ttl: timedelta | None = None
    forked_from: str | None = None

    @property
    def expires(self) -> datetime | None:
        """So long after its last use. A pin does not hold it beyond."""
        return None if self.ttl is None else self.last_used + self.ttl

    def expired(self, now: datetime) -> bool:
        return self.expires is not None and self.expires <= now

    def used(self, usage: "Usage", now: datetime, existing: Collection[BlockHash]) -> "Agent":
        """After one more turn; of its earlier blocks only those in `existing` are kept."""
        latest = dict.fromkeys(usage.chain)
        earlier = (block for block in self.blocks if block in existing and block not in latest)
        return replace(
            self,
            last_used=now,
            blocks=(*latest, *earlier)[: max(MAX_BLOCKS, len(latest))],
            tokens=usage.tokens,
            turns=self.turns + 1,
            hits=self.hits + (usage.cached_tokens > 0),
            prompt_tokens=self.prompt_tokens + usage.prompt_tokens,
            cached_tokens=self.cached_tokens + usage.cached_tokens,
            generated_tokens=self.generated_tokens + usage.generated_tokens,
        )

    def with_blocks(self, chain: Iterable[BlockHash]) -> "Agent":
        """More that is kept for it, though it has not used it yet; behind what it has."""
        blocks = tuple(dict.fromkeys((*self.blocks, *chain)))
        return replace(self, blocks=blocks[: max(MAX_BLOCKS, len(self.blocks))])

    def resumed(self, since: "Agent") -> "Agent":
        """The same agent, begun anew while this was out of sight: what was asked for it holds on, and what both did is
        counted together.
        """
        return replace(
            since.with_blocks(self.blocks),
            created=self.created,
            turns=self.turns + since.turns,
            hits=self.hits + since.hits,
            prompt_tokens=self.prompt_tokens + since.prompt_tokens,
            cached_tokens=self.cached_tokens + since.cached_tokens,
            generated_tokens=self.generated_tokens + since.generated_tokens,
            pinned=self.pinned or since.pinned,
            ttl=since.ttl or self.ttl,
            forked_from=self.forked_from,
        )

    def fork(self, name: AgentName, now: datetime) -> "Agent":
        """Another agent that goes on from the same blocks. Nothing is copied: what both say differs by name."""
        return Agent(name, now, now, self.blocks, self.tokens, ttl=self.ttl, forked_from=self.name.id)


class Usage(NamedTuple):
    """What one turn of an agent did."""

    chain: tuple[BlockHash, ...]
    tokens: int
    prompt_tokens: int
    cached_tokens: int
    generated_tokens: int


def checked_ttl(seconds: float | None) -> timedelta | None:
    """Raises InvalidInput when it is no time that can be lived."""
    if seconds is None:
        return None
    if not 0 < seconds <= MAX_TTL.total_seconds():
        most = int(MAX_TTL.total_seconds())
        raise InvalidInput("ttl_seconds", f"must be more than 0 and at most {most}, or null for no end")
    return timedelta(seconds=seconds)


class AgentBook:
    """All agents of all tenants, the longest unused first, and how many of them use each block."""

    def __init__(self, agents: Iterable[Agent] = ()) -> None:
        self._agents: dict[AgentName, Agent] = {}
        self._ids: defaultdict[str, list[str]] = defaultdict(list)  # of each tenant, sorted
        self._order: defaultdict[tuple[str, bool], dict[AgentName, None]] = defaultdict(dict)
        """Of each tenant those who are pinned and those who are not, the longest unused first."""
        self._mortal: set[AgentName] = set()
        self._users: Counter[BlockHash] = Counter()
        self._pins: Counter[BlockHash] = Counter()
        for agent in sorted(agents, key=lambda agent: agent.last_used):
            self.enter(agent)

    def __len__(self) -> int:
        return len(self._agents)

    def __iter__(self) -> Iterator[Agent]:
        return iter(self._agents.values())

    def find(self, name: AgentName) -> Agent | None:
        return self._agents.get(name)

    def get(self, name: AgentName) -> Agent:
        """Raises NotFound, also for what is another tenant's."""
        agent = self._agents.get(name)
        if agent is None:
            raise NotFound("agent", name.id)
        return agent

    def refuse_known(self, name: AgentName) -> None:
        if name in self._agents:
            raise Conflict(f"there is an agent {name.id!r} already")

    def enter(self, agent: Agent) -> None:
        """New, or in the place of what was known of it."""
        self.strike(agent.name)
        self._agents[agent.name] = agent
        insort(self._ids[agent.name.tenant], agent.name.id)
        if agent.ttl is not None:
            self._mortal.add(agent.name)
        self._users.update(agent.blocks)
        if agent.pinned:
            self._pins.update(agent.blocks)
        self._order[agent.name.tenant, agent.pinned][agent.name] = None

    def strike(self, name: AgentName) -> None:
        """May be repeated."""
        agent = self._agents.pop(name, None)
        if agent is not None:
            ids = self._ids[name.tenant]
            del ids[bisect_left(ids, name.id)]
            if not ids:
                del self._ids[name.tenant]
            del self._order[name.tenant, agent.pinned][name]
            self._mortal.discard(name)
            self._users = _less(self._users, agent.blocks)
            self._pins = _less(self._pins, agent.blocks if agent.pinned else ())

    def users(self, block: BlockHash) -> int:
        return self._users[block]

    def pinned(self, block: BlockHash) -> bool:
        return self._pins[block] > 0

    @property
    def pins(self) -> list[BlockHash]:
        """The blocks of all pinned agents, each once."""
        return list(self._pins)

    def pins_of(self, tenant: str) -> set[BlockHash]:
        return {block for name in self._order[tenant, True] for block in self._agents[name].blocks}

    def page(self, tenant: str, after: str | None, limit: int) -> list[Agent]:
        """One tenant's agents in the order of their ids, those behind `after`."""
        ids = self._ids.get(tenant, [])
        start = 0 if after is None else bisect_right(ids, after)
        return [self._agents[AgentName(tenant, agent_id)] for agent_id in ids[start : start + limit]]

    def count(self, tenant: str, only: str | None = None) -> int:
        """Of one tenant all, or those of one id: 1 or 0."""
        return len(self._ids.get(tenant, ())) if only is None else int(AgentName(tenant, only) in self._agents)

    def expired(self, now: datetime) -> list[Agent]:
        return [agent for name in self._mortal if (agent := self._agents[name]).expired(now)]

    def surplus(self, newcomer: AgentName) -> Agent | None:
        """Whom to forget for it; None: nobody, or nobody any more. Its own tenant gives the longest unused when it has
        more than an even share of all, or else the tenant that has most; the pinned only when there are no others.
        """
        if len(self) <= MAX_AGENTS:
            return None
        share = max(1, MAX_AGENTS // len(self._ids))
        tenant = newcomer.tenant if self.count(newcomer.tenant) > share else max(self._ids, key=self.count)
        names = chain(self._order[tenant, False], self._order[tenant, True])
        return next((self._agents[name] for name in names if name != newcomer), None)

    def check(self) -> None:
        assert sorted(self._agents) == [(t, i) for t in sorted(self._ids) for i in self._ids[t]], "ids are mislaid"
        ordered = [(*name, pinned) for (_, pinned), names in self._order.items() for name in names]
        assert sorted(ordered) == sorted((*agent.name, agent.pinned) for agent in self), "the order is mislaid"
        assert self._mortal == {agent.name for agent in self if agent.ttl is not None}, "the mortal are mislaid"
        assert self._users == Counter(block for agent in self for block in agent.blocks), "users are miscounted"
        assert self._pins == Counter(b for agent in self if agent.pinned for b in agent.blocks), "pins are miscounted"


def _less(count: Counter[BlockHash], blocks: Iterable[BlockHash]) -> Counter[BlockHash]:
    """What reaches none is struck, so that the books do not grow with what is gone."""
    for block in blocks:
        if count[block] > 1:
            count[block] -= 1
        else:
            del count[block]
    return count
