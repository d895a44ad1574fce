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


async def test_lets_as_many_pass_as_the_limit_says(limiter, key):
    answers = [await limiter.admit(key, Limit(3, MINUTE)) for _ in range(5)]
    assert [(a.admitted, a.remaining) for a in answers] == [(True, 2), (True, 1), (True, 0), (False, 0), (False, 0)]
    assert 55 < answers[-1].free_in <= 60


async def test_is_exact_however_many_ask_at_once(limiter, key):
    answers = await asyncio.gather(*(limiter.admit(key, Limit(10, MINUTE)) for _ in range(50)))
    assert sum(answer.admitted for answer in answers) == 10


async def test_keys_do_not_share(limiter, key):
    assert (await limiter.admit(key + "1", Limit(1, MINUTE))).admitted
    assert (await limiter.admit(key + "2", Limit(1, MINUTE))).admitted


async def test_the_window_slides(limiter, key):
    limit = Limit(2, timedelta(seconds=0.6))
    await limiter.admit(key, limit)
    await asyncio.sleep(0.4)
    assert (await limiter.admit(key, limit)).admitted
    refused = await limiter.admit(key, limit)
    assert not refused.admitted
    await asyncio.sleep(refused.free_in + 0.01)
    # Only the first of the two has left the window: a fixed window would have let two pass.
    assert (await limiter.admit(key, limit)).admitted
    assert not (await limiter.admit(key, limit)).admitted


async def test_a_refused_call_is_not_counted(limiter, key):
    limit = Limit(1, timedelta(seconds=0.4))
    await limiter.admit(key, limit)
    for _ in range(20):  # for a second: were refusals counted, the window would never empty
        if (await limiter.admit(key, limit)).admitted:
            return
        await asyncio.sleep(0.05)
    pytest.fail("refused calls were counted")


async def test_purging_changes_no_answer(limiter, key):
    limit = Limit(1, timedelta(seconds=0.3))
    await limiter.admit(key, limit)
    await limiter.purge(limit)
    assert not (await limiter.admit(key, limit)).admitted
    await asyncio.sleep(0.4)
    assert await limiter.purge(limit) >= 1
    assert (await limiter.admit(key, limit)).admitted
