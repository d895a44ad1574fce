"""What every `RateLimiter` promises."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

from agent_memory.adapters.in_memory.limits import InMemoryRateLimiter
from agent_memory.adapters.postgres import connection
from agent_memory.adapters.postgres.limits import PostgresRateLimiter
from agent_memory.domain.limits import Limit

MINUTE = timedelta(minutes=1)


@pytest.fixture(params=["in_memory", pytest.param("postgres", marks=pytest.mark.integration)])
async def limiter(request):
    if request.param == "in_memory":
        yield InMemoryRateLimiter()
    else:
        async with connection.opened(request.getfixturevalue("conninfo"), 4, 8) as database:
            yield PostgresRateLimiter(database)


@pytest.fixture
def key():
    return f"it's %s key {uuid4()}"


async def admit(limiter, key, limit):
    [admission] = await limiter.admit([key], limit)
    return admission


async def test_lets_as_many_pass_as_the_limit_says(limiter, key):
    answers = [await admit(limiter, key, Limit(3, MINUTE)) for _ in range(5)]
    assert [(a.admitted, a.remaining) for a in answers] == [(True, 2), (True, 1), (True, 0), (False, 0), (False, 0)]
    assert 55 < answers[-1].free_in <= 60


async def test_is_exact_however_many_ask_at_once(limiter, key):
    answers = await asyncio.gather(*(admit(limiter, key, Limit(10, MINUTE)) for _ in range(50)))
    assert sum(answer.admitted for answer in answers) == 10


async def test_keys_do_not_share(limiter, key):
    assert (await admit(limiter, key + "1", Limit(1, MINUTE))).admitted
    assert (await admit(limiter, key + "2", Limit(1, MINUTE))).admitted


async def test_a_call_that_one_key_may_not_make_counts_for_none(limiter, key):
    mine, shared, limit = key + " mine", key + " shared", Limit(2, MINUTE)
    for _ in range(2):
        await limiter.admit([mine], limit)
    for keys in ([shared, mine], [mine, shared]):
        told = dict(zip(keys, await limiter.admit(keys, limit), strict=True))
        assert (told[mine].admitted, told[shared].admitted, told[shared].remaining) == (False, True, 2)
    assert (await admit(limiter, shared, limit)).remaining == 1


async def test_several_keys_are_exact_in_whatever_order_they_ask(limiter, key):
    one, two, limit = key + " one", key + " two", Limit(7, MINUTE)
    orders = [[one, two], [two, one]] * 15
    answers = await asyncio.gather(*(limiter.admit(keys, limit) for keys in orders))
    assert sum(all(each.admitted for each in answer) for answer in answers) == 7


async def test_the_window_slides(limiter, key):
    limit = Limit(2, timedelta(seconds=0.6))
    await admit(limiter, key, limit)
    await asyncio.sleep(0.4)
    assert (await admit(limiter, key, limit)).admitted
    refused = await admit(limiter, key, limit)
    assert not refused.admitted
    await asyncio.sleep(refused.free_in + 0.01)
    # Only the first of the two has left the window: a fixed window would have let two pass.
    assert (await admit(limiter, key, limit)).admitted
    assert not (await admit(limiter, key, limit)).admitted


async def test_a_refused_call_is_not_counted(limiter, key):
    limit = Limit(1, timedelta(seconds=0.4))
    await admit(limiter, key, limit)
    for _ in range(20):  # for a second: were refusals counted, the window would never empty
        if (await admit(limiter, key, limit)).admitted:
            return
        await asyncio.sleep(0.05)
    pytest.fail("refused calls were counted")


async def test_purging_changes_no_answer(limiter, key):
    limit = Limit(1, timedelta(seconds=0.3))
    await admit(limiter, key, limit)
    await limiter.purge(limit)
    assert not (await admit(limiter, key, limit)).admitted
    await asyncio.sleep(0.4)
    assert await limiter.purge(limit) >= 1
    assert (await admit(limiter, key, limit)).admitted
