"""The same random life, led on both adapters: whatever happens, they answer alike."""

import random

import pytest
from lives import Life

from agent_memory.adapters.postgres import connection

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("seed", range(8))
async def test_both_adapters_answer_alike(conninfo, seed):
    async with connection.opened(conninfo, 1, 2) as database:
        # Half of them believe what writers count: they would miss what is written and not told.
        life = Life(f"{seed} {random.random()}", database, believed=seed % 2 * 600.0)
        for number in range(60):
            await life.step()
            if number % 10 == 9:
                await life.compare()
