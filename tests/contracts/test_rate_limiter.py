"""What every `RateLimiter` promises.

Nobody waits for a window to pass: what happened is moved into the past, so no pause of the machine changes an answer.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

import pytest

from agent_memory.adapters.in_memory.limits import InMemoryRateLimiter
from agent_memory.adapters.postgres import connection
from agent_memory.adapters.postgres.limits import PostgresRateLimiter
from agent_memory.domain.limits import Limit
from agent_memory.ports.limits import RateLimiter

MINUTE = timedelta(minutes=1)


@dataclass
class Tried:
    limiter: RateLimiter
    let_pass: Callable[[timedelta], Awaitable[None]]


def in_memory() -> Tried:
    passed = 0.0

    async def let_pass(span: timedelta) -> None:
        nonlocal passed
        passed += span.total_seconds()

    return Tried(InMemoryRateLimiter(lambda: time.monotonic() + passed), let_pass)


def in_postgres(database: connection.Database) -> Tried:
    earlier = """
        UPDATE agent_memory.rate_limits
        SET asked_at = asked_at - %(span)s, passed = ARRAY(SELECT call - %(span)s FROM unnest(passed) AS call)
    """

    async def let_pass(span: timedelta) -> None:
        await database.run(lambda held: held.execute(earlier, {"span": span}))

    return Tried(PostgresRateLimiter(database), let_pass)


@pytest.fixture(params=["in_memory", pytest.param("postgres", marks=pytest.mark.integration)])
async def tried(request):
    if request.param == "in_memory":
        yield in_memory()
    else:
        async with connection.opened(request.getfixturevalue("conninfo"), 4, 8) as database:
            yield in_postgres(database)


@pytest.fixture
def limiter(tried):
    return tried.limiter


@pytest.fixture
def let_pass(tried):
    return tried.let_pass


@pytest.fixture
def key():
    return f"it's %s key {uuid4()}"


async def admit(limiter, key, limit):
    [admission] = await limiter.admit([key], limit)
    return admission


async def test_lets_as_many_pass_as_the_limit_says(limiter, key):
    answers = [await admit(limiter, key, Limit(3, MINUTE)) for _ in range(5)]
    assert all(55 < answer.free_in <= 60 for answer in answers)
    assert [(a.admitted, a.remaining) for a in answers] == [(True, 2), (True, 1), (True, 0), (False, 0), (False, 0)]


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
        assert told[shared].free_in == 0
    assert (await admit(limiter, shared, limit)).remaining == 1


async def test_several_keys_are_exact_in_whatever_order_they_ask(limiter, key):
    one, two, limit = key + " one", key + " two", Limit(7, MINUTE)
    orders = [[one, two], [two, one]] * 15
    answers = await asyncio.gather(*(limiter.admit(keys, limit) for keys in orders))
    assert sum(all(each.admitted for each in answer) for answer in answers) == 7


async def test_the_window_slides(limiter, key, let_pass):
    limit = Limit(2, timedelta(hours=1))
    await admit(limiter, key, limit)
    await let_pass(timedelta(minutes=40))
    last = await admit(limiter, key, limit)
    assert last.admitted
    assert 15 * 60 < last.free_in <= 20 * 60
    refused = await admit(limiter, key, limit)
    assert not refused.admitted
    assert 15 * 60 < refused.free_in <= 20 * 60
    await let_pass(timedelta(seconds=refused.free_in))
    # Only the first of the two has left the window: a fixed window would have let two pass.
    assert (await admit(limiter, key, limit)).admitted
    assert not (await admit(limiter, key, limit)).admitted


async def test_a_refused_call_is_not_counted(limiter, key, let_pass):
    limit = Limit(1, timedelta(hours=1))
    await admit(limiter, key, limit)
    await let_pass(timedelta(minutes=40))
    assert not (await admit(limiter, key, limit)).admitted
    await let_pass(timedelta(minutes=20))  # were the refused call counted, it would be the window's until now
    assert (await admit(limiter, key, limit)).admitted


async def test_purging_changes_no_answer(limiter, key, let_pass):
    limit = Limit(1, timedelta(hours=1))
    await admit(limiter, key, limit)
    await limiter.purge(limit)
    assert not (await admit(limiter, key, limit)).admitted
    await let_pass(timedelta(hours=1))
    assert await limiter.purge(limit) >= 1
    assert (await admit(limiter, key, limit)).admitted
