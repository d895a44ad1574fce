"""Whether keys are needed is asked of the store once, however many wait for it."""

import asyncio

import pytest

from agent_memory.adapters.in_memory.keys import InMemoryKeyStore
from agent_memory.application.keys import Keys
from agent_memory.domain.errors import Unavailable
from agent_memory.domain.tenants import Reach


class Slow(InMemoryKeyStore):
    """Answers when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.broken = False
        self.answering = asyncio.Event()

    async def exist(self) -> bool:
        self.asked += 1
        found = await super().exist()
        await self.answering.wait()
        if self.broken:
            raise Unavailable("gone")
        return found


async def waiting(keys, number):
    tasks = [asyncio.create_task(keys.needed()) for _ in range(number)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


async def test_many_who_wait_hear_one_answer():
    store = Slow()
    tasks = await waiting(Keys(store), 50)
    store.answering.set()
    assert await asyncio.gather(*tasks) == [False] * 50
    assert store.asked == 1


async def test_one_that_gives_up_leaves_the_others_their_answer():
    store = Slow()
    first, *others = await waiting(Keys(store), 3)
    first.cancel()
    await asyncio.sleep(0)
    store.answering.set()
    assert await asyncio.gather(*others) == [False, False]
    assert store.asked == 1


async def test_when_all_have_given_up_the_store_is_no_longer_asked_and_the_next_asks_anew():
    """Else the asking would outlive a server that ends."""
    store = Slow()
    keys = Keys(store)
    tasks = await waiting(keys, 2)
    for task in tasks:
        task.cancel()
    later = await waiting(keys, 1)
    await asyncio.wait(tasks)
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == 3  # this one, the one that came later, and what it has asked
    store.answering.set()
    assert await asyncio.gather(*later) == [False]
    assert store.asked == 2


async def test_a_store_that_fails_fails_all_who_wait_and_is_asked_again():
    store = Slow()
    store.broken = True
    keys = Keys(store)
    tasks = await waiting(keys, 3)
    store.answering.set()
    assert all(isinstance(e, Unavailable) for e in await asyncio.gather(*tasks, return_exceptions=True))
    store.broken = False
    assert not await keys.needed()
    assert store.asked == 2


async def test_a_key_that_is_made_meanwhile_is_needed():
    store = Slow()
    keys = Keys(store)
    [task] = await waiting(keys, 1)
    await keys.create(Reach())
    store.answering.set()
    assert await task
    assert await keys.needed()


@pytest.mark.parametrize("known", [True, False])
async def test_what_the_store_says_is_answered(known):
    store = Slow()
    store.answering.set()
    if known:
        await Keys(store).create(Reach())
    assert await Keys(store).needed() is known
