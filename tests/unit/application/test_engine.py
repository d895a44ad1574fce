"""The central property: whatever was cached, evicted, preempted, lost or restarted, the tokens are the same."""

import pytest
from world import World


@pytest.mark.parametrize("start", range(0, 600, 50))
def test_answers_equal_the_uncached_ones_over_random_schedules(start):
    for seed in range(start, start + 50):
        World(seed).run(120)


def test_the_random_schedules_do_reuse_what_they_cached():
    worlds = [World(seed) for seed in range(30)]
    for world in worlds:
        world.run(120)
    assert sum(world.cached for world in worlds) > 150
    assert sum(world.parked for world in worlds) > 150
    assert sum(world.finished for world in worlds) > 200
