"""Batches across callers, and what is remembered of them, with an encoder that counts."""

import asyncio
import gc
import random
from array import array
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from threading import Event

import pytest

from agent_memory.adapters.batching import embedder as embedder_module
from agent_memory.adapters.batching.embedder import BatchingEmbedder
from agent_memory.domain.errors import Unavailable
from agent_memory.domain.semantic.memory import Embedding


class Counting:
    dimension = 1

    def __init__(self) -> None:
        self.read: list[str] = []

    def vectors(self, texts):
        self.read += texts
        return [array("f", [1.0]) for _ in texts]

    def count(self, texts):
        return len(texts)


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


async def test_what_was_asked_lately_is_kept_within_a_budget(encoder, monkeypatch):
    """Whatever goes and comes, each text has the vector that is its own."""
    monkeypatch.setattr(embedder_module, "_CACHE_BYTES", 20_000)
    monkeypatch.setattr(encoder, "vectors", lambda texts: [encoder.read.append(t) or vector_of(t) for t in texts])
    dice = random.Random(1)
    with ThreadPoolExecutor(1) as threads:
        embedder = BatchingEmbedder("counting", encoder, threads, lanes=1)
        for _ in range(2000):
            text = f"{dice.randint(0, 60)} " + "x" * dice.choice([0, 0, 0, 100, 2000, 8000])
            for tenant in dice.sample(["acme", "beta"], k=2):
                [found] = await embedder.embed([text], tenant=tenant)
                assert found == Embedding("counting", vector_of(text))
            before = len(encoder.read)
            if len(text) < 3000:  # both fit at once
                await embedder.embed([text], tenant=tenant)
            assert len(encoder.read) == before
            weights = [embedder._known._weight(place) for place in embedder._known._rows]
            assert embedder._known._left == 20_000 - sum(weights) >= 0
            assert len(embedder._known._free) + len(weights) == len(embedder._known._vectors)
    assert 300 < len(encoder.read) < 4000


def vector_of(text):
    return array("f", [hash(text) % 1000])


async def test_what_is_asked_of_a_closed_one_says_so_again_and_again(encoder):
    unheard = []
    asyncio.get_running_loop().set_exception_handler(lambda _, told: unheard.append(told["message"]))
    with ThreadPoolExecutor(1) as threads:
        embedder = BatchingEmbedder("counting", encoder, threads, lanes=1)
        known = await embedder.embed(["one"])
    for _ in range(2):
        async with asyncio.timeout(30):
            for asked in (embedder.embed(["two", "three"]), embedder.embed(["two"]), embedder.count(["two"])):
                with pytest.raises(Unavailable, match="the memory is closed"):
                    await asked
    assert await embedder.embed(["one"]) == known
    gc.collect()
    assert unheard == []


class AtOnce(Executor):
    """Instead of threads, so that each turn of the loop is the same in every run."""

    def submit(self, function, /, *arguments, **named):
        done = Future()
        done.set_result(function(*arguments, **named))
        return done


@pytest.mark.parametrize("lanes", [1, 2, 3])
@pytest.mark.parametrize("turns", range(12))
async def test_who_comes_while_a_lane_ends_is_read_too(encoder, turns, lanes):
    """In whatever turn of the loop after the others another comes, it waits for nobody who comes still later."""
    embedder = BatchingEmbedder("counting", encoder, AtOnce(), lanes)
    others = [asyncio.create_task(embedder.embed([str(number)])) for number in range(3 * lanes)]
    for _ in range(turns):
        await asyncio.sleep(0)
    async with asyncio.timeout(30):
        await embedder.embed(["another"])
        await asyncio.gather(*others)
    assert len(encoder.read) == len(others) + 1


async def test_one_text_does_not_wait_for_all_that_many_ask(encoder):
    embedder = BatchingEmbedder("counting", encoder, AtOnce(), lanes=1)
    many = asyncio.create_task(embedder.embed([f"{number}: {'long ' * 100}" for number in range(100)]))
    for _ in range(3):
        await asyncio.sleep(0)
    await embedder.embed(["one"])
    assert 4 <= len(encoder.read) <= 12  # a run of them, and at most one more
    await many
    assert len(encoder.read) == 101


async def test_what_many_ask_goes_on_while_single_texts_keep_coming(encoder):
    embedder = BatchingEmbedder("counting", encoder, AtOnce(), lanes=1)
    many = asyncio.create_task(embedder.embed([f"of many, {number}" for number in range(20)]))
    streams = [asyncio.create_task(stream(embedder, name)) for name in "abc"]
    async with asyncio.timeout(30):
        await many
    for each in streams:
        each.cancel()


async def stream(embedder, name):
    for number in range(100_000):
        await embedder.embed([f"{name} {number}"])


async def test_a_lane_is_left_to_who_comes_alone(encoder):
    """While two long texts of many are read, one that comes alone is; what is left of the many is read later."""
    lets_go, read = Event(), encoder.read

    def vectors(texts):
        if any(len(text) > 1000 for text in texts):
            lets_go.wait(10)
        return Counting.vectors(encoder, texts)

    encoder.vectors = vectors
    with ThreadPoolExecutor(2) as threads:
        embedder = BatchingEmbedder("counting", encoder, threads, lanes=2)
        await embedder.embed(["a first"])
        many = asyncio.create_task(embedder.embed([f"{number}: {'long ' * 800}" for number in range(6)]))
        await asyncio.sleep(0.01)
        async with asyncio.timeout(30):
            await embedder.embed(["a second"])
        assert read == ["a first", "a second"]
        lets_go.set()
        await many
    assert len(read) == 8


async def test_a_long_text_takes_no_lane_from_who_asks_for_one(encoder):
    """Not even two of them, each from somebody else."""
    lets_go, read = Event(), encoder.read

    def vectors(texts):
        if any(len(text) > 2000 for text in texts):
            lets_go.wait(10)
        return Counting.vectors(encoder, texts)

    encoder.vectors = vectors
    with ThreadPoolExecutor(2) as threads:
        embedder = BatchingEmbedder("counting", encoder, threads, lanes=2)
        await embedder.embed(["a first"])
        long = [asyncio.create_task(embedder.embed([f"{number}: {'long ' * 1500}"])) for number in range(2)]
        await asyncio.sleep(0.01)
        async with asyncio.timeout(30):
            await embedder.embed(["a second"])
        assert read == ["a first", "a second"]
        lets_go.set()
        await asyncio.gather(*long)
    assert len(read) == 4


async def test_one_long_text_does_not_wait_for_all_that_many_ask(encoder):
    embedder = BatchingEmbedder("counting", encoder, AtOnce(), lanes=1)
    many = asyncio.create_task(embedder.embed([f"{number}: {'long ' * 300}" for number in range(100)]))
    for _ in range(3):
        await asyncio.sleep(0)
    await embedder.embed(["long " * 1500])
    assert len(encoder.read) <= 6
    await many
    assert len(encoder.read) == 101


async def test_what_was_asked_by_who_has_left_is_not_read(encoder):
    embedder = BatchingEmbedder("counting", encoder, AtOnce(), lanes=1)
    callers = [embedder.embed([f"{caller} {number}: {'long ' * 300}" for number in range(500)]) for caller in range(20)]
    await give_up(*callers)
    await embedder.embed(["one"])
    await embedder.embed(["two ", "three"])
    assert len(encoder.read) <= 4  # one was being read
    assert encoder.read[-2:] == ["two ", "three"]
    assert embedder._promised == {}


async def test_what_another_waits_for_as_well_is_read_though_one_has_left(encoder):
    embedder = BatchingEmbedder("counting", encoder, AtOnce(), lanes=1)
    staying = asyncio.create_task(embedder.embed(["one", "shared", "shared"]))
    alone = asyncio.create_task(embedder.embed(["asked alone"]))
    await give_up(embedder.embed(["shared", "asked alone", "not shared", "shared"]))
    async with asyncio.timeout(30):
        await asyncio.gather(staying, alone)
    assert sorted(encoder.read) == ["asked alone", "one", "shared"]


async def test_what_was_left_may_be_asked_again(encoder):
    embedder = BatchingEmbedder("counting", encoder, AtOnce(), lanes=1)
    await give_up(embedder.embed(["one", "two"]))
    async with asyncio.timeout(30):
        assert await embedder.embed(["two", "one"]) == [Embedding("counting", array("f", [1.0]))] * 2


@pytest.mark.parametrize("lanes", [1, 3])
async def test_whoever_stays_is_answered_however_many_leave(encoder, lanes):
    dice = random.Random(lanes)
    encoder.vectors = lambda texts: [vector_of(text) for text in texts]
    embedder = BatchingEmbedder("counting", encoder, AtOnce(), lanes)
    staying = []
    for _ in range(400):
        texts = [f"{dice.randrange(200)}" + "x" * dice.choice([0, 0, 900, 2100]) for _ in range(dice.choice([1, 1, 9]))]
        caller = asyncio.create_task(embedder.embed(texts))
        for _ in range(dice.randrange(4)):
            await asyncio.sleep(0)
        if dice.random() < 0.5:
            caller.cancel()
        else:
            staying.append((caller, [Embedding("counting", vector_of(text)) for text in texts]))
    async with asyncio.timeout(30):
        for caller, vectors in staying:
            assert await caller == vectors
    assert embedder._promised == {}
    assert embedder._waiting.take() is None


async def give_up(*asked):
    """They ask, and have left before anything of it is read."""
    callers = [asyncio.create_task(each) for each in asked]
    await asyncio.sleep(0)
    for caller in callers:
        caller.cancel()
    await asyncio.wait(callers)
