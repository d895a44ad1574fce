"""Each memory counts once, whichever way it came or went."""

from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry

from agent_memory.adapters.in_memory.archive import InMemoryMemoryArchive
from agent_memory.adapters.in_memory.embedder import HashingEmbedder
from agent_memory.adapters.in_memory.memories import InMemoryMemoryStore
from agent_memory.adapters.prometheus.measured import measured
from agent_memory.application.memory_keeping import MemoryKeeping
from agent_memory.application.remembering import Remembering
from agent_memory.application.semantic_memory import SemanticMemory
from agent_memory.application.transfer import Transfer
from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.semantic.selection import EVERYTHING

WHO = {"agent_id": "agent", "user_id": "user"}


class World:
    def __init__(self) -> None:
        self.registry, kept_in, embedder = CollectorRegistry(), InMemoryMemoryStore(), HashingEmbedder()
        store, archive = measured(kept_in, InMemoryMemoryArchive(kept_in), self.registry)
        self.memory = SemanticMemory(store, embedder)
        self.remembering = Remembering(store, archive, embedder)
        self.keeping = MemoryKeeping(archive, embedder)
        self.transfer = Transfer(archive, embedder)

    def told(self, operation: str, figure: str = "operations") -> float | None:
        return self.registry.get_sample_value(f"agent_memory_memory_{figure}_total", {"operation": operation})


@pytest.fixture
def world():
    return World()


async def test_what_is_remembered(world):
    [superseded, *_] = await world.remembering.remember_many([{"content": f"note {n}"} for n in range(30)], **WHO)
    assert world.told("remember") == 30
    await world.remembering.remember({"content": "one more"}, "reinforce", **WHO)
    await world.remembering.remember({"content": "and one that is told"}, **WHO)
    await world.memory.remember(**WHO, content="and another")
    await world.keeping.supersede(superseded.memory.id, agent_id="agent", content="something else")
    assert world.told("remember") == 34
    lines = [line async for line in world.transfer.export(**WHO)]
    other = World()
    await other.transfer.load(lines)
    assert other.told("remember") == 34


async def test_what_is_revised_forgotten_and_expires(world):
    told = [{"content": f"note {n}"} for n in range(5)]
    [kept, *_] = await world.remembering.remember_many(told, **WHO)
    await world.keeping.revise(kept.memory.id, agent_id="agent", content="another note")
    await world.memory.forget(kept.memory.id, agent_id="agent")
    assert (world.told("revise"), world.told("forget")) == (1, 1)
    await world.keeping.forget_selected(**WHO, selection=EVERYTHING, dry_run=True)
    assert await world.keeping.forget_selected(**WHO, selection=EVERYTHING) == 4
    assert world.told("forget") == 5
    await world.remembering.remember_many(told, **WHO)
    await world.keeping.erase_user("user")
    assert world.told("forget") == 10
    end = datetime.now(UTC) - timedelta(seconds=1)
    await world.memory.remember(**WHO, content="soon over", expires_at=end)
    await world.keeping.purge()
    assert (world.told("expire"), world.told("forget")) == (1, 10)


async def test_what_fails_is_an_error_of_its_kind(world, monkeypatch):
    async def fails(*_args, **_named):
        raise InvalidInput("selection", "cannot be")

    monkeypatch.setattr(InMemoryMemoryArchive, "remove_selected", fails)
    with pytest.raises(InvalidInput):
        await world.keeping.forget_selected(**WHO, selection=EVERYTHING)
    assert (world.told("forget", "errors"), world.told("forget")) == (1, 0)
