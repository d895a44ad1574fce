"""What a library does in the background: it goes on whatever fails, and tells what does."""

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from agent_memory.adapters.in_memory.archive import InMemoryMemoryArchive
from agent_memory.adapters.in_memory.condensing import InMemoryCondensingStore
from agent_memory.adapters.in_memory.embedder import HashingEmbedder
from agent_memory.adapters.in_memory.memories import InMemoryMemoryStore
from agent_memory.bootstrap import bootstrap
from agent_memory.settings import MemorySettings, Settings
from agent_memory.wiring import tending

WHO = {"agent_id": "agent", "user_id": "user"}
CONDENSES = MemorySettings(
    summarization_enabled=True,
    summarization_threshold=3,
    summarization_batch_size=3,
    summarization_interval_seconds=0.05,
)


async def until(holds):
    async with asyncio.timeout(20):
        while not await holds():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def until_superseded(application, number):
    async def holds():
        return (await application.keeping.inventory(**WHO)).superseded >= number

    await until(holds)


async def until_chores(application, pattern):
    async def holds():
        return re.fullmatch(pattern, (await application.check())["chores"])

    await until(holds)


async def models_of(application):
    return {json.loads(line)["embedding_model"] async for line in application.transfer.export(**WHO)}


async def tell(application, number=4, **whose):
    for each in range(number):
        await application.remember(**{**WHO, **whose}, content=f"The code of door {each} is {each * 77}.")


def in_memory():
    store = InMemoryMemoryStore()
    return {
        "memory_store": store,
        "memory_archive": InMemoryMemoryArchive(store),
        "condensing_store": InMemoryCondensingStore(store),
        "embedder": HashingEmbedder(),
    }


async def test_stores_that_are_given_are_condensed_in_the_background_as_well():
    async with bootstrap(Settings(memory=CONDENSES), conversation=None, **in_memory()) as application:
        await tell(application)
        await until_superseded(application, 3)
        assert await application.memory.count(**WHO) == 2


async def test_in_stores_that_are_given_memories_fade_and_expire(monkeypatch):
    monkeypatch.setattr(tending, "EVERY_MINUTE", timedelta(milliseconds=20))
    memory = MemorySettings(fade_after_days=1, summarization_interval_seconds=0.05)
    async with bootstrap(Settings(memory=memory), conversation=None, **in_memory()) as application:
        now = datetime.now(UTC)
        await application.remember(**WHO, content="It rains", event_time=now - timedelta(days=2))
        await application.remember(**WHO, content="It will rain", expires_at=now)
        await until_superseded(application, 1)

        async def is_gone():
            return not (await application.keeping.inventory(**WHO)).expired

        await until(is_gone)


async def test_condensing_that_is_wanted_without_its_store_is_told():
    parts = {"memory_store": InMemoryMemoryStore(), "embedder": HashingEmbedder()}
    with capture_logs() as logs:
        async with bootstrap(Settings(memory=CONDENSES), conversation=None, **parts):
            pass
    assert [entry["log_level"] for entry in logs if "no condensing_store" in entry["event"]] == ["warning"]


async def test_a_condenser_that_fails_once_is_asked_again_and_health_tells_of_it():
    class Late:
        asked = 0

        async def condense(self, memories):
            self.asked += 1
            if self.asked == 1:
                raise TimeoutError("no answer")
            await again.wait()
            return f"There were {len(memories)}."

    again, parts = asyncio.Event(), in_memory()
    with capture_logs():
        async with bootstrap(Settings(memory=CONDENSES), conversation=None, condenser=Late(), **parts) as application:
            await tell(application)
            await until_chores(application, r"condensing fails since \S+ with TimeoutError")
            assert (await application.check())["db"] == "ok"
            again.set()
            await until_superseded(application, 3)
            await until_chores(application, "ok")


@pytest.mark.integration
async def test_an_embedder_that_fails_once_embeds_anew_all_the_same(tmp_path, monkeypatch):
    class Another(HashingEmbedder):
        failed = False

        @property
        def model(self):
            return "another@1"

        async def embed(self, texts, *, tenant="default"):
            if not Another.failed:
                Another.failed = True
                raise ConnectionError("no route")
            return await super().embed(texts, tenant=tenant)

    monkeypatch.setattr(tending, "_RENEWING", timedelta(milliseconds=20))
    settings = Settings(data_dir=str(tmp_path))
    async with bootstrap(settings, conversation=None, embedder=HashingEmbedder()) as application:
        await tell(application)
    async with bootstrap(settings, conversation=None, embedder=Another()) as application:

        async def is_renewed():
            return await models_of(application) == {"another@1"}

        await until(is_renewed)
    assert Another.failed
