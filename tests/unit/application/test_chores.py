import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from agent_memory.application.chores import Chore, in_background, pause_after
from agent_memory.domain.errors import Unavailable

AT_ONCE = timedelta(milliseconds=1)


async def until(condition):
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.002)


class Work:
    """Breaks as long as there is something to break with; then it is done."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors, self.tries = list(errors), 0

    async def __call__(self) -> None:
        self.tries += 1
        if self.errors:
            raise self.errors.pop(0)


async def test_chores_are_repeated_while_the_context_lasts():
    work = Work()
    async with in_background(Chore("counting", AT_ONCE, work)):
        await until(lambda: work.tries >= 3)
    before = work.tries
    await asyncio.sleep(0.02)
    assert work.tries == before


async def test_a_chore_that_cannot_be_done_now_is_done_later():
    work = Work(*[Unavailable("the database is away")] * 2)
    with capture_logs() as logs:
        async with in_background(Chore("trying", AT_ONCE, work)):
            await until(lambda: work.tries >= 4)
    waited = [entry for entry in logs if entry["log_level"] == "warning"]
    assert [entry["reason"] for entry in waited] == ["the database is away"]


@pytest.mark.parametrize(
    "error",
    [RuntimeError("input too long"), TimeoutError(), ExceptionGroup("two", [ValueError(), OSError()])],
    ids=lambda error: type(error).__name__,
)
async def test_a_chore_goes_on_whatever_it_raised_and_says_so_once(error):
    work = Work(error, error, error)
    with capture_logs() as logs:
        async with in_background(Chore("trying", AT_ONCE, work)):
            await until(lambda: work.tries >= 5)
    failed, well = logs
    assert (failed["log_level"], failed["chore"]) == ("error", "trying")
    assert failed["error"] == type(error).__name__
    assert "test_chores.py:" in failed["at"]
    assert (well["log_level"], well["chore"]) == ("info", "trying")


async def test_a_chore_that_fails_in_another_way_says_that_too():
    work = Work(RuntimeError("one"), RuntimeError("two"), OSError("three"))
    with capture_logs() as logs:
        async with in_background(Chore("trying", AT_ONCE, work)):
            await until(lambda: work.tries >= 5)
    assert [e["error"] for e in logs if e["log_level"] == "error"] == ["RuntimeError", "OSError"]


async def test_a_log_shows_no_more_of_an_error_than_its_kind_and_where_it_was():
    async def work():
        secret = "Ada is ill"  # noqa: F841
        raise RuntimeError("cannot read 'Ada is ill'")

    with capture_logs() as logs:
        async with in_background(Chore("embedding", AT_ONCE, work)):
            await until(lambda: logs)
    assert "Ada" not in json.dumps(logs)
    assert "exc_info" not in logs[0]


async def test_what_it_waits_for_may_be_cancelled_without_ending_the_chore():
    work = Work(asyncio.CancelledError())
    with capture_logs():
        async with in_background(Chore("trying", AT_ONCE, work)):
            await until(lambda: work.tries >= 3)


@pytest.mark.parametrize("made_of_it", [RuntimeError("cut off"), Unavailable("cut off"), None])
async def test_a_chore_ends_with_the_context_whatever_its_work_makes_of_that(made_of_it):
    begun, tries = asyncio.Event(), []

    async def work():
        tries.append(1)
        try:
            begun.set()
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            if made_of_it:
                raise made_of_it from None

    leaving = asyncio.create_task(left_after(begun, Chore("trying", AT_ONCE, work)))
    with capture_logs() as logs:
        done, _ = await asyncio.wait([leaving], timeout=30)
    leaving.cancel()
    assert done == {leaving}
    assert (tries, logs) == ([1], [])


async def test_a_timeout_that_cancels_its_task_and_never_takes_it_back_does_not_end_the_chore():
    """As those of some HTTP clients do."""
    tries = []

    async def work():
        tries.append(1)
        asyncio.get_running_loop().call_soon(asyncio.current_task().cancel)
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            raise TimeoutError from None

    with capture_logs() as logs:
        async with in_background(Chore("trying", AT_ONCE, work)):
            await until(lambda: len(tries) >= 3)
    assert [log["error"] for log in logs] == ["TimeoutError"]


async def left_after(begun, chore):
    async with in_background(chore):
        await begun.wait()


async def test_what_fails_is_told_until_it_is_done_again():
    work, begun = Work(*[RuntimeError("Ada is ill")] * 3), datetime.now(UTC).replace(microsecond=0)
    work_well = Work()
    with capture_logs():
        async with in_background(Chore("condensing", AT_ONCE, work), Chore("expiry", AT_ONCE, work_well)) as standing:
            await standing.check()
            await until(lambda: work.tries >= 1)
            with pytest.raises(Unavailable, match=r"^condensing fails since \S+ with RuntimeError$") as told:
                await standing.check()
            assert begun <= datetime.fromisoformat(str(told.value).split()[3]) <= datetime.now(UTC)
            await until(lambda: work.tries >= 5)
            await standing.check()


async def test_what_has_to_wait_is_told_as_well():
    work = Work(*[Unavailable("the database is away")] * 1000)
    with capture_logs():
        async with in_background(Chore("fading", AT_ONCE, work)) as standing:
            await until(lambda: work.tries >= 2)
            with pytest.raises(Unavailable, match="fading fails since"):
                await standing.check()


def test_what_fails_again_and_again_is_tried_less_often():
    second, hour = timedelta(seconds=1), timedelta(hours=1)
    assert [pause_after(failures, second).seconds for failures in (0, 1, 2, 3, 4, 12, 100_000)] == [
        1,
        1,
        2,
        4,
        8,
        300,
        300,
    ]
    assert pause_after(9, hour) == hour
