"""The place of the model: exchanged, emptied, and never left without one that can be had."""

import asyncio
import gc
import threading
import weakref

import pytest

from agent_memory.adapters.in_memory.agents import InMemoryAgentStore
from agent_memory.adapters.in_memory.blocks import InMemoryBlockStore
from agent_memory.adapters.in_memory.chat import VOCABULARY, ByteChatTokenizer
from agent_memory.adapters.in_memory.runtime import ToyRuntime
from agent_memory.application.conversation import Conversation, Message, Prompt
from agent_memory.application.engine import Engine
from agent_memory.application.engine_thread import EngineThread
from agent_memory.application.model_slot import LoadedModel, ModelSlot
from agent_memory.application.replies import Finish
from agent_memory.application.tiered_blocks import TieredBlocks
from agent_memory.application.write_behind import WriteBehind
from agent_memory.domain.errors import Conflict, InvalidInput, Misconfigured, Unavailable
from agent_memory.domain.kv.agents import AgentName
from agent_memory.domain.kv.ledger import Ledger
from agent_memory.domain.kv.scheduler import Scheduler
from agent_memory.domain.kv.turn import Sampling

ADA = AgentName("default", "ada")


class SlowToy(ToyRuntime):
    def __init__(self, gate: threading.Event, **options) -> None:
        super().__init__(**options)
        self._gate = gate

    def decode(self, feeds):
        assert self._gate.wait(10)
        return super().decode(feeds)


class Toys:
    """Plans are names. `broken` cannot be loaded, `unknown` not even found."""

    def __init__(self) -> None:
        self.store, self.agents = InMemoryBlockStore(), InMemoryAgentStore()
        self.loads, self.released, self.runtimes = [], 0, []
        self.gate = threading.Event()
        self.gate.set()
        self.loading = asyncio.Event()
        self.loading.set()

    async def find(self, plan):
        if plan == "unknown":
            raise Misconfigured("model: there is no folder unknown")

    async def load(self, plan):
        self.loads.append(plan)
        await self.loading.wait()
        if plan in self.broken:
            raise Misconfigured(f"model: {plan} cannot be loaded")
        thread = EngineThread(lambda wake: self._engine(plan, wake))
        await thread.start()
        conversation = Conversation(thread, ByteChatTokenizer(), model_id=plan, created=0, max_context=5000)
        return LoadedModel(plan, conversation, thread, f"{plan} on paper")

    broken = ("broken",)

    def release(self):
        gc.collect()
        self.released += 1

    def _engine(self, plan, wake):
        runtime = SlowToy(self.gate, vocabulary=VOCABULARY, block_tokens=16, weights=plan)
        self.runtimes.append(weakref.ref(runtime))
        writer = WriteBehind(self.store, wake)
        writer.start()
        scheduler = Scheduler(runtime.spec, Ledger(runtime.spec, 1 << 24))
        return Engine(runtime, TieredBlocks(self.store, writer), scheduler, self.agents)


@pytest.fixture
async def toys():
    return Toys()


@pytest.fixture
async def slot(toys):
    slot = ModelSlot(toys, "one")
    await slot.load()
    yield slot
    toys.gate.set()
    await slot.close(1)


async def ask(slot, content="tell me about the harbour and the bridges", **more):
    prompt = Prompt((Message("user", content),), Sampling(0), 5, **more)
    finish = None
    async for piece in slot.ready().reply(prompt):
        finish = piece if isinstance(piece, Finish) else finish
    return finish


async def test_another_model_answers_after_the_swap(slot):
    assert slot.ready().model_id == slot.plan == "one"
    swap = await slot.swap("two", 1)
    assert (swap.before, swap.after) == ("one", "two")
    assert slot.ready().model_id == slot.plan == "two"
    assert slot.about == "two on paper"
    assert await ask(slot) is not None


async def test_the_former_model_is_let_go(slot, toys):
    await ask(slot)
    await slot.swap("two", 1)
    assert toys.released == 1
    gc.collect()
    assert [runtime() is None for runtime in toys.runtimes] == [True, False]


async def test_two_models_blocks_lie_side_by_side(slot):
    await ask(slot, agent=ADA)
    await slot.swap("two", 1)
    assert (await ask(slot, agent=ADA)).cached_tokens == 0
    await slot.swap("one", 1)
    back = await ask(slot, agent=ADA)
    assert back.cached_tokens == back.prompt_tokens - 1
    held = await slot.ask(lambda holdings: holdings.get(ADA))
    assert held.agent.turns >= 2


async def test_who_asks_during_the_change_is_told_when_to_come_back(slot, toys):
    toys.loading.clear()
    change = asyncio.create_task(slot.swap("two", 1))
    await asyncio.sleep(0.05)
    with pytest.raises(Unavailable, match="is being exchanged") as caught:
        slot.ready()
    assert caught.value.retry_after > 0
    with pytest.raises(Unavailable):
        await slot.ask(len)
    with pytest.raises(Unavailable):
        await slot.check()
    assert slot.stats().turns_running == 0
    toys.loading.set()
    await change
    await slot.check()


async def test_a_second_change_at_once_is_refused(slot, toys):
    toys.loading.clear()
    change = asyncio.create_task(slot.swap("two", 1))
    await asyncio.sleep(0.05)
    for second in (slot.swap("three", 1), slot.offload(1)):
        with pytest.raises(Conflict, match="under way"):
            await second
    toys.loading.set()
    assert (await change).after == "two"


async def test_a_running_answer_may_end(slot, toys):
    toys.gate.clear()
    answering = asyncio.create_task(ask(slot))
    await asyncio.sleep(0.1)
    change = asyncio.create_task(slot.swap("two", 10))
    await asyncio.sleep(0.1)
    toys.gate.set()
    assert (await answering).completion_tokens > 0
    assert (await change).after == "two"


async def test_an_answer_that_takes_too_long_is_ended(slot, toys):
    toys.gate.clear()
    answering = asyncio.create_task(ask(slot))
    await asyncio.sleep(0.1)
    change = asyncio.create_task(slot.swap("two", 0.1))
    await asyncio.sleep(0.4)
    toys.gate.set()
    await change
    assert slot.ready().model_id == "two"
    result = (await asyncio.gather(answering, return_exceptions=True))[0]
    assert isinstance(result, Unavailable | Finish)  # it may just have made it


async def test_a_model_that_cannot_be_found_changes_nothing(slot, toys):
    with pytest.raises(InvalidInput, match="model_id: model: there is no folder unknown"):
        await slot.swap("unknown", 1)
    assert toys.loads == ["one"]
    assert await ask(slot) is not None


async def test_a_model_that_cannot_be_loaded_brings_the_former_back(slot, toys):
    finish = await ask(slot, agent=ADA)
    with pytest.raises(Unavailable, match="broken cannot be loaded; one serves again"):
        await slot.swap("broken", 1)
    assert toys.loads == ["one", "broken", "one"]
    again = await ask(slot, agent=ADA)
    assert again.cached_tokens == finish.prompt_tokens - 1
    assert (await slot.swap("two", 1)).before == "one"


async def test_if_even_that_fails_it_says_why_and_the_next_swap_helps(slot, toys):
    toys.broken = ("broken", "one")
    with pytest.raises(Misconfigured):
        await slot.swap("broken", 1)
    with pytest.raises(Unavailable, match="broken cannot be loaded"):
        slot.ready()
    assert (await slot.swap("two", 1)).before is None
    assert await ask(slot) is not None


async def test_an_offloaded_model_is_gone_until_the_next_swap(slot, toys):
    assert (await slot.offload(1)).after is None
    with pytest.raises(Unavailable, match="was offloaded") as caught:
        slot.ready()
    assert caught.value.retry_after is None
    assert toys.runtimes[0]() is None
    assert (await slot.swap("one", 1)).after == "one"


async def test_a_caller_that_leaves_does_not_stop_the_change(slot, toys):
    toys.loading.clear()
    change = asyncio.create_task(slot.swap("two", 1))
    await asyncio.sleep(0.05)
    change.cancel()
    await asyncio.gather(change, return_exceptions=True)
    toys.loading.set()
    for _ in range(100):
        if slot.conversation is not None:
            break
        await asyncio.sleep(0.02)
    assert slot.ready().model_id == "two"


async def test_closing_waits_for_the_change(slot, toys):
    change = asyncio.create_task(slot.swap("two", 1))
    await asyncio.sleep(0)
    await slot.close(1)
    await change
    assert slot.conversation is None
