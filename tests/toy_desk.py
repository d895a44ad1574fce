"""An engine on the toy model, driven by hand, with agents."""

import itertools
from datetime import UTC, datetime, timedelta

from agent_memory.adapters.disk.bundle import TarBundleFormat
from agent_memory.adapters.in_memory.agents import InMemoryAgentStore
from agent_memory.adapters.in_memory.blocks import InMemoryBlockStore
from agent_memory.adapters.in_memory.runtime import ToyRuntime
from agent_memory.application.agents import Agents
from agent_memory.application.engine import Engine
from agent_memory.application.tiered_blocks import TieredBlocks
from agent_memory.application.write_behind import WriteBehind
from agent_memory.domain.kv.agents import AgentName
from agent_memory.domain.kv.ledger import Ledger
from agent_memory.domain.kv.scheduler import Scheduler
from agent_memory.domain.kv.steps import Failed, Said, Started
from agent_memory.domain.kv.turn import Sampling, Turn, TurnId

NAMES = itertools.count()


class ToyDesk:
    """`runtime`, `store` and `agents` may be another desk's: then this is its next process."""

    def __init__(
        self, *, capacity=1 << 20, disk=1 << 20, window=0, weights="toy", store=None, agents=None, runtime=None
    ) -> None:
        self.now = datetime(2026, 11, 20, tzinfo=UTC)
        self.runtime = runtime or ToyRuntime(vocabulary=3, window=window, weights=weights)
        self.store = store or InMemoryBlockStore(disk)
        self.agent_store = agents or InMemoryAgentStore()
        self.writer = WriteBehind(self.store, lambda: None)
        self.ledger = Ledger(self.runtime.spec, capacity)
        scheduler = Scheduler(self.runtime.spec, self.ledger, chunk=8)
        tiers = TieredBlocks(self.store, self.writer)
        self.engine = Engine(self.runtime, tiers, scheduler, self.agent_store)
        self.holdings = self.engine.holdings
        self.holdings._clock = lambda: self.now
        self.agents = Agents(self.ask_holdings, TarBundleFormat())

    async def ask_holdings(self, question):
        answer = question(self.holdings)
        self.settle()
        return answer

    def later(self, **time):
        self.now += timedelta(**time)

    def submit(self, tokens, agent=None, *, tenant="t", count=4, stored=True):
        root = self.engine.namespace(tenant).root
        name = None if agent is None else AgentName(tenant, agent)
        turn = Turn(TurnId(f"turn{next(NAMES)}"), root, list(tokens), count, Sampling(0), agent=name, stored=stored)
        self.engine.submit(turn)
        return turn

    def settle(self):
        events = []
        for _ in range(10_000):
            self.writer.drain()
            events += self.engine.step()
            self.engine.check()
            if self.engine.idle and not self.writer.pending:
                self.writer.drain()
                return events
        raise AssertionError("the engine never came to rest")

    def ask(self, tokens, agent=None, **options):
        """(answer, cached tokens)"""
        turn = self.submit(tokens, agent, **options)
        events = [event for event in self.settle() if event.turn == turn.id]
        assert not any(isinstance(event, Failed) for event in events), events
        [cached] = [event.cached_tokens for event in events if isinstance(event, Started)]
        return [event.token for event in events if isinstance(event, Said)], cached

    def disk_bytes(self):
        return sum(self.store.size(key) for key in self.store._pool)
