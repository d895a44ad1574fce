import asyncio
from datetime import timedelta

from structlog.testing import capture_logs

from agent_memory.application.chores import Chore, in_background
from agent_memory.domain.errors import Unavailable

AT_ONCE = timedelta(milliseconds=1)


async def until(condition):
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.002)


async def test_chores_are_repeated_while_the_context_lasts():
    done: list[str] = []

    async def work():
        done.append("once")

    async with in_background(Chore("counting", AT_ONCE, work)):
        await until(lambda: len(done) >= 3)
    before = len(done)
    await asyncio.sleep(0.02)
    assert len(done) == before


async def test_a_chore_that_cannot_be_done_now_is_done_later():
    tries: list[int] = []

    async def work():
        tries.append(1)
        if len(tries) < 3:
            raise Unavailable("the database is away")

    with capture_logs() as logs:
        async with in_background(Chore("trying", AT_ONCE, work)):
            await until(lambda: len(tries) >= 4)
    assert [entry["reason"] for entry in logs] == ["the database is away"] * 2


async def test_a_chore_that_is_broken_says_so_once():
    async def work():
        raise ZeroDivisionError

    with capture_logs() as logs:
        async with in_background(Chore("breaking", AT_ONCE, work)):
            await until(lambda: logs)
    assert [(entry["chore"], entry["log_level"]) for entry in logs] == [("breaking", "error")]
