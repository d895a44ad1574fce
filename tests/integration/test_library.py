"""Semantic memory as a library: opened by `bootstrap`, without a server and without a language model."""

import asyncio
from array import array
from dataclasses import replace
from uuid import uuid4

import httpx
import pytest
from structlog.testing import capture_logs

from agent_memory.adapters.in_memory.archive import InMemoryMemoryArchive
from agent_memory.adapters.in_memory.condensing import InMemoryCondensingStore
from agent_memory.adapters.in_memory.embedder import HashingEmbedder
from agent_memory.adapters.in_memory.memories import InMemoryMemoryStore
from agent_memory.application.admission import WRITES
from agent_memory.bootstrap import bootstrap
from agent_memory.domain.errors import Misconfigured, RateLimited, StaleVersion, Unavailable
from agent_memory.domain.limits import Admission
from agent_memory.domain.semantic.recall import Recollection, Score
from agent_memory.entrypoints.http.app import create_app
from agent_memory.settings import MemorySettings, Settings

WHO = {"agent_id": "agent", "user_id": "user"}


@pytest.mark.integration
async def test_what_is_kept_is_there_the_next_time(tmp_path):
    settings = Settings(data_dir=str(tmp_path))
    async with bootstrap(settings, conversation=None) as application:
        await application.memory.remember(**WHO, content="She lives in Oslo", tags=["home"])
    async with bootstrap(settings, conversation=None) as application:
        [found] = await application.memory.recall(**WHO, query="Where is her home town?")
        assert found.memory.tags == {"home"}
        assert (await application.keeping.inventory(**WHO)).memories == 1
        assert len([line async for line in application.transfer.export(**WHO)]) == 1


@pytest.mark.integration
async def test_what_is_closed_says_so_at_once(tmp_path):
    async with bootstrap(Settings(data_dir=str(tmp_path)), conversation=None) as application:
        kept = await application.memory.remember(**WHO, content="She lives in Oslo")
    memory, keeping = application.memory, application.keeping
    with capture_logs() as told:
        for asked in (
            memory.remember(**WHO, content="She lives in Rome"),
            memory.recall(**WHO, query="Where does she live?"),
            memory.forget(kept.id, agent_id="agent"),
            keeping.list(**WHO),
        ):
            async with asyncio.timeout(8):
                with pytest.raises(Unavailable, match="the memory is closed"):
                    await asked
    assert told == []


@pytest.mark.integration
async def test_condenses_in_the_background_when_asked_to(tmp_path):
    memory = MemorySettings(
        summarization_enabled=True,
        summarization_threshold=3,
        summarization_batch_size=3,
        summarization_interval_seconds=0.05,
    )
    settings = Settings(data_dir=str(tmp_path), memory=memory)
    async with bootstrap(settings, conversation=None, embedder=HashingEmbedder()) as application:
        for number in range(4):
            await application.memory.remember(**WHO, content=f"The code of door {number} is {number * 77}.")
        async with asyncio.timeout(20):
            while (await application.keeping.inventory(**WHO)).superseded < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        [condensed, _] = await application.memory.recall(**WHO, query="code of door 2")
        assert "The code of door 2 is 154." in condensed.memory.content


async def test_every_part_may_be_replaced():
    store = InMemoryMemoryStore()
    parts = {"memory_store": store, "memory_archive": InMemoryMemoryArchive(store), "embedder": HashingEmbedder()}
    async with bootstrap(Settings(), conversation=None, **parts) as application:
        await application.memory.remember(**WHO, content="She lives in Oslo")
        assert len((await application.keeping.list(**WHO)).memories) == 1


class Raw(HashingEmbedder):
    """Vectors as long as its texts, and none for what it does not understand."""

    async def embed(self, texts, *, tenant="default"):
        embeddings = await super().embed(texts, tenant=tenant)
        lengths = (0 if text.startswith("?") else len(text) for text in texts)
        return [
            replace(embedding, vector=array("f", (length * value for value in embedding.vector)))
            for length, embedding in zip(lengths, embeddings, strict=True)
        ]


def in_memory():
    store = InMemoryMemoryStore()
    return {"memory_store": store, "memory_archive": InMemoryMemoryArchive(store)}


@pytest.mark.parametrize("kept", ["in_memory", pytest.param("database", marks=pytest.mark.integration)])
async def test_an_embedder_need_not_scale_its_vectors(tmp_path, kept):
    told = ("She lives in Oslo", "He plays the cello", "???")
    parts = {"conversation": None, "embedder": Raw()}
    lines = []
    for folder in ("here", "there"):
        places = in_memory() if kept == "in_memory" else {}
        async with bootstrap(Settings(data_dir=str(tmp_path / folder)), **parts, **places) as application:
            if lines:
                assert (await application.transfer.load(each(lines))).kept == 3
            else:
                for content in told:
                    await application.memory.remember(**WHO, content=content)
            found = await application.memory.recall(**WHO, query="Where does she live?")
            assert all(-1 <= one.score.similarity <= 1 for one in found)
            assert found[0].memory.content == "She lives in Oslo"
            assert len(await application.memory.recall(**WHO, query="???")) == 3
            again = [line async for line in application.transfer.export(**WHO)]
            assert lines in ([], again)
            lines = again


async def each(lines):
    for line in lines:
        yield line


async def test_what_condenses_and_who_limits_may_be_replaced():
    class Counting:
        async def condense(self, memories):
            return f"There were {len(memories)}."

    class Refusing:
        async def admit(self, keys, limit):
            return [Admission(admitted=False, remaining=0, free_in=30.0) for _ in keys]

    store = InMemoryMemoryStore()
    parts = {"memory_store": store, "condensing_store": InMemoryCondensingStore(store), "embedder": HashingEmbedder()}
    async with bootstrap(
        Settings(), conversation=None, condenser=Counting(), rate_limiter=Refusing(), **parts
    ) as application:
        for number in range(50):
            await application.remember(**WHO, content=f"The code of door {number} is {number * 77}.")
        condensed = await application.consolidation.condense(**WHO)
        assert condensed.content == "There were 50."
        with pytest.raises(RateLimited):
            await application.gate.admit(WRITES, "anybody")


async def test_what_is_opened_remembers_recalls_and_forgets():
    async with bootstrap(
        Settings(), conversation=None, memory_store=InMemoryMemoryStore(), embedder=HashingEmbedder()
    ) as memory:
        kept = await memory.remember(**WHO, content="She lives in Oslo", tags=["home"])
        assert [found.memory for found in await memory.recall(**WHO, query="Oslo")] == [kept]
        with pytest.raises(StaleVersion):
            await memory.forget(kept.id, agent_id="agent", version=2)
        assert await memory.count(**WHO) == 1
        await memory.forget(kept.id, agent_id="agent", version=1)
        assert await memory.recall(**WHO, query="Oslo") == []


async def test_what_is_opened_may_be_told_again_with_an_id():
    store = InMemoryMemoryStore()
    archive = InMemoryMemoryArchive(store)
    parts = {"memory_store": store, "memory_archive": archive, "embedder": HashingEmbedder()}
    async with bootstrap(Settings(), conversation=None, **parts) as memory:
        told = WHO | {"content": "She lives in Oslo", "id": uuid4()}
        assert await memory.remember(**told) == await memory.remember(**told)


async def test_a_part_that_is_none_is_refused_before_anything_is_opened(tmp_path):
    settings = Settings(data_dir=str(tmp_path / "data"))
    with pytest.raises(TypeError, match=r"no part is called embeder, memroy_store; there are .*memory_store"):
        async with bootstrap(settings, memroy_store=InMemoryMemoryStore(), embeder=HashingEmbedder()):
            pass
    assert not (tmp_path / "data").exists()


async def test_settings_that_cannot_work_are_refused_before_anything_is_opened(tmp_path):
    settings = Settings(data_dir=str(tmp_path / "data"), memory=MemorySettings(recency_decay_days=0))
    with pytest.raises(Misconfigured, match=r"memory.recency_decay_days=0: expected float >= 0.001"):
        async with bootstrap(settings, conversation=None):
            pass
    assert not (tmp_path / "data").exists()


async def test_a_data_directory_without_a_name_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Misconfigured, match="data_dir: must not be empty"):
        async with bootstrap(Settings(data_dir=""), conversation=None):
            pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stores", ["in_memory", pytest.param("postgres", marks=pytest.mark.integration)])
async def test_nobody_changes_what_is_kept_by_what_they_gave_or_got(tmp_path, stores):
    parts = {"memory_store": InMemoryMemoryStore()} if stores == "in_memory" else {}
    settings, metadata = Settings(data_dir=str(tmp_path)), {"pets": ["cat"]}
    async with bootstrap(settings, conversation=None, embedder=HashingEmbedder(), **parts) as memory:
        kept = await memory.remember(**WHO, content="She lives in Oslo", metadata=metadata)
        metadata["pets"].append("dog")
        kept.metadata["is"] = "gone"
        for _ in range(3):
            [found] = await memory.recall(**WHO, query="Where does she live?")
            assert found.memory.metadata == {"pets": ["cat"]}
            found.memory.metadata["pets"].append("fox")


class ShortestFirst:
    def rank(self, question, shortlist, now, most=1000):
        eligible = [candidate for candidate in shortlist.candidates if candidate.eligible]
        shortest = sorted(eligible, key=lambda candidate: len(candidate.memory.content))[:most]
        return [Recollection(c.memory, Score(1 / n, c.similarity, 0, 0, 0, 1)) for n, c in enumerate(shortest, 1)]


async def test_a_policy_that_is_given_ranks_for_the_library_and_the_server():
    parts = {"memory_store": InMemoryMemoryStore(), "embedder": HashingEmbedder(), "policy": ShortestFirst()}
    async with bootstrap(Settings(), conversation=None, **parts) as memory:
        for content in ("She lives in Oslo now", "Tea", "Tea and cake"):
            await memory.remember(**WHO, content=content)
        shortest = ["Tea", "Tea and cake", "She lives in Oslo now"]
        asked = {**WHO, "query": "Where does she live now?"}
        assert [found.memory.content for found in await memory.recall(**asked)] == shortest
        transport = httpx.ASGITransport(create_app(memory))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            answer = await client.post("/v1/memories/search", json={**asked, "explain": True})
        assert [found["content"] for found in answer.json()["results"]] == shortest
        weighed = [found.memory.content for found in await memory.recall(**asked, alpha=1.0)]
        assert weighed[0] == "She lives in Oslo now"
