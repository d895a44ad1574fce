import asyncio
import threading

import pytest

from agent_memory.domain.errors import InvalidInput, Unavailable
from agent_memory.entrypoints import other_loop
from agent_memory.entrypoints.other_loop import LoopThread, OtherLoop


@pytest.fixture
def thread():
    thread = LoopThread()
    yield thread
    if not thread.loop.is_closed():
        thread.stop()


async def said(answer):
    return answer


async def refused():
    raise InvalidInput("word", "is not known")


async def for_ever():
    await asyncio.Event().wait()


async def test_another_loop_is_answered(thread):
    assert await thread.answer(said(3)) == 3
    with pytest.raises(InvalidInput):
        await thread.answer(refused())


async def test_another_loop_hears_of_the_end(thread):
    asked = [asyncio.create_task(thread.answer(for_ever())) for _ in range(3)]
    await asyncio.sleep(0.05)
    await asyncio.to_thread(thread.stop)
    for each in asked:
        with pytest.raises(Unavailable, match="the memory is closed"):
            await each
    with pytest.raises(Unavailable, match="the memory is closed"):
        await thread.answer(said(3))


async def test_who_gives_up_ends_the_work(thread):
    ended = threading.Event()

    async def work():
        try:
            await for_ever()
        finally:
            ended.set()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await thread.answer(work())
    assert await asyncio.to_thread(ended.wait, 5)


async def test_work_that_never_began_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(other_loop, "_LOOK", 0.05)
    loop = asyncio.new_event_loop()  # which nobody runs
    home = OtherLoop(loop)
    waits = [asyncio.create_task(home.answer(said(3))), asyncio.create_task(asyncio.to_thread(home.wait, said(3)))]
    await asyncio.sleep(0.1)
    loop.close()
    for each in waits:
        with pytest.raises(Unavailable, match="the memory is closed"):
            await each


def test_calls_end_with_the_loop_whatever_ends_it(monkeypatch):
    monkeypatch.setattr(other_loop, "_LOOK", 0.05)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)

    async def leave():
        raise SystemExit(3)

    thread = LoopThread()
    with pytest.raises((SystemExit, Unavailable)):
        thread.wait(leave())
    with pytest.raises(Unavailable):
        thread.wait(said(3))
    thread.stop()
    assert thread.loop.is_closed()
