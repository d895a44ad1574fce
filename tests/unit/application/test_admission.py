from datetime import timedelta

import pytest

from agent_memory.adapters.in_memory.limits import InMemoryRateLimiter
from agent_memory.application.admission import SEARCHES, WRITES, Gate
from agent_memory.domain.errors import Misconfigured, RateLimited
from agent_memory.domain.limits import Limit


async def test_writes_and_searches_have_limits_of_their_own():
    gate = Gate(InMemoryRateLimiter(), {WRITES: Limit(1), SEARCHES: Limit(2)})
    await gate.admit(WRITES, "agent")
    await gate.admit(SEARCHES, "agent")
    await gate.admit(SEARCHES, "agent")
    with pytest.raises(RateLimited, match="1 writes in 60 s are the limit of 'agent'") as refusal:
        await gate.admit(WRITES, "agent")
    assert 59 < refusal.value.retry_after <= 60


async def test_the_caller_with_the_fewest_places_left_answers():
    gate = Gate(InMemoryRateLimiter(), {WRITES: Limit(3)})
    await gate.admit(WRITES, "key")
    assert (await gate.admit(WRITES, "key", "agent")).remaining == 1


async def test_one_caller_too_many_stops_the_call():
    gate = Gate(InMemoryRateLimiter(), {WRITES: Limit(1)})
    await gate.admit(WRITES, "agent")
    with pytest.raises(RateLimited, match="'agent'"):
        await gate.admit(WRITES, "key", "agent")


async def test_without_limits_everybody_passes():
    gate = Gate(InMemoryRateLimiter(), {})
    assert [await gate.admit(WRITES, "agent") for _ in range(100)] == [None] * 100
    assert await gate.purge() == 0


@pytest.mark.parametrize("wrong", [(0, 60), (-1, 60), (5, 0)])
def test_a_limit_that_lets_nobody_in_is_a_mistake(wrong):
    with pytest.raises(Misconfigured):
        Limit(wrong[0], timedelta(seconds=wrong[1]))
