"""Batches across callers, and what is remembered of them, with an encoder that counts."""

import asyncio
from array import array
from concurrent.futures import ThreadPoolExecutor

import pytest

from agent_memory.adapters.batching.embedder import BatchingEmbedder


class Counting:
    dimension = 1

    def __init__(self) -> None:
        self.read: list[str] = []

    def vectors(self, texts):
        self.read += texts
        return [array("f", [1.0]) for _ in texts]


@pytest.fixture
def encoder():
    return Counting()


@pytest.fixture
def embedder(encoder):
    with ThreadPoolExecutor(1) as threads:
        yield BatchingEmbedder("counting", encoder, threads, lanes=1)


async def test_what_a_tenant_asks_again_is_not_read_again(embedder, encoder):
    first = await embedder.embed(["one", "one", "two"], tenant="acme")
    assert await embedder.embed(["one", "one", "two"], tenant="acme") == first
    assert sorted(encoder.read) == ["one", "two"]


async def test_no_tenant_can_tell_what_another_has_embedded(embedder, encoder):
    """Neither what is remembered nor what is just being read answers for another."""
    vectors = await asyncio.gather(*(embedder.embed(["one"], tenant=each) for each in ("acme", "beta", "default")))
    assert encoder.read == ["one"] * 3
    assert vectors[0] == vectors[1] == vectors[2] == await embedder.embed(["one"])
    assert len(encoder.read) == 3
