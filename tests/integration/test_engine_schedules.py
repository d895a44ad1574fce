"""The central property again, over thousands of schedules; the unit suite runs the first few hundred."""

import pytest
from world import World


@pytest.mark.parametrize("start", range(600, 2600, 250))
def test_answers_equal_the_uncached_ones_over_thousands_of_schedules(start):
    for seed in range(start, start + 250):
        World(seed).run(120)
