"""Who asks at the same moment shares a piece of work; what goes wrong with one is not the others' matter."""

import asyncio

import pytest

from agent_memory.adapters.postgres.lane import Lane
from agent_memory.domain.errors import Unavailable


class Work:
    """Doubles numbers; takes until it is let go."""

    def __init__(self) -> None:
        self.pieces: list[list[int]] = []
        self.go = asyncio.Event()
        self.go.set()

    async def __call__(self, wishes):
        self.pieces.append(list(wishes))
        await self.go.wait()
        if any(wish < 0 for wish in wishes):
            raise ValueError("below zero")
        if 0 in wishes:
            raise Unavailable("nobody is there")
        return [2 * wish for wish in wishes]


def lane_of(work, cost=lambda wish: 1, width=2, most=10):
    return Lane(work, cost, width=width, most=most)


async def ask(lane, *wishes):
    return await asyncio.gather(*(lane.ask(wish, wish) for wish in wishes), return_exceptions=True)


async def test_who_asks_at_the_same_moment_shares_the_work():
    work = Work()
    assert await ask(lane_of(work), 1, 2, 1, 3) == [2, 4, 2, 6]
    assert work.pieces == [[1, 2, 3]]


async def test_who_asks_while_it_goes_on_shares_the_next():
    work = Work()
    lane = lane_of(work, width=1)
    work.go.clear()
    first = asyncio.create_task(ask(lane, 1))
    await asyncio.sleep(0.01)
    others = [asyncio.create_task(ask(lane, wish)) for wish in (1, 2, 3)]
    await asyncio.sleep(0.01)
    assert work.pieces == [[1]]
    work.go.set()
    assert await first == [2]
    assert [await other for other in others] == [[2], [4], [6]]
    assert work.pieces == [[1], [1, 2, 3]]


async def test_no_more_goes_on_than_the_lane_is_wide_nor_costs_more_than_it_may():
    work = Work()
    lane = lane_of(work, cost=lambda wish: wish, width=2, most=10)
    work.go.clear()
    asked = asyncio.create_task(ask(lane, 4, 5, 6, 50, 1, 2))
    await asyncio.sleep(0.01)
    assert work.pieces == [[4, 5], [6]]
    work.go.set()
    assert await asked == [8, 10, 12, 100, 2, 4]
    assert work.pieces == [[4, 5], [6], [50], [1, 2]]


async def test_what_is_wrong_with_one_is_told_to_that_one():
    work = Work()
    good, bad, other = await ask(lane_of(work), 1, -1, 3)
    assert (good, other) == (2, 6)
    assert isinstance(bad, ValueError)
    assert work.pieces == [[1, -1, 3], [1], [-1], [3]]


async def test_what_cannot_be_reached_is_told_to_all_at_once():
    work = Work()
    assert [type(each) for each in await ask(lane_of(work), 1, 0, 2)] == [Unavailable] * 3
    assert len(work.pieces) == 1
    assert await ask(lane_of(work), 1) == [2]


async def test_who_gives_up_takes_nobody_along():
    work = Work()
    lane = lane_of(work)
    work.go.clear()
    impatient, patient = [asyncio.create_task(lane.ask(1, 1)) for _ in range(2)]
    await asyncio.sleep(0.01)
    impatient.cancel()
    work.go.set()
    assert await patient == 2
    with pytest.raises(asyncio.CancelledError):
        await impatient
