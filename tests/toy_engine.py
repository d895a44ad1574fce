"""An engine on the toy model for a thread of its own, with agents."""

from agent_memory.adapters.in_memory.agents import InMemoryAgentStore
from agent_memory.adapters.in_memory.blocks import InMemoryBlockStore
from agent_memory.adapters.in_memory.chat import VOCABULARY
from agent_memory.adapters.in_memory.runtime import ToyRuntime
from agent_memory.application.engine import Engine
from agent_memory.application.tiered_blocks import TieredBlocks
from agent_memory.application.write_behind import WriteBehind
from agent_memory.domain.kv.ledger import Ledger
from agent_memory.domain.kv.scheduler import Scheduler


def toy_engine(wake, weights="toy"):
    runtime = ToyRuntime(vocabulary=VOCABULARY, block_tokens=16, weights=weights)
    store = InMemoryBlockStore()
    writer = WriteBehind(store, wake)
    writer.start()
    scheduler = Scheduler(runtime.spec, Ledger(runtime.spec, 1 << 24), chunk=64)
    return Engine(runtime, TieredBlocks(store, writer), scheduler, InMemoryAgentStore())
