"""Event loops that other threads run: how work is done there, and waited for here."""

import asyncio
import contextlib
import inspect
import os
import threading
import time
from collections.abc import Coroutine
from concurrent import futures
from typing import Any, TypeVar

from agent_memory.domain.errors import CLOSED, FORKED, Unavailable

Result = TypeVar("Result")

_LOOK = 1.0  # seconds between two looks at whether the loop is still there
_PATIENCE = 10.0  # seconds that what is cancelled may take to end


class OtherLoop:
    """Every call ends: with its work, with the loop, or because somebody ends it. The loop's own thread begins none."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._process = os.getpid()
        self._running: set[futures.Future[Any]] = set()

    @property
    def is_ours(self) -> bool:
        """A forked process has but the likeness of a loop."""
        return self._process == os.getpid()

    def wait(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Raises Unavailable if the work is cut off there. An interrupt here ends the work there."""
        call = self._begun(work)
        self._running.add(call)
        try:
            while self._goes_on(call):
                futures.wait([call], _LOOK)
            return call.result()
        except futures.CancelledError:
            raise Unavailable(CLOSED) from None
        finally:
            self._end(call, work)

    async def answer(self, work: Coroutine[Any, Any, Result]) -> Result:
        """As `wait`, for who is on a loop himself."""
        call = self._begun(work)
        answer = asyncio.wrap_future(call)
        try:
            while self._goes_on(call):
                await asyncio.wait([answer], timeout=_LOOK)
            await asyncio.wait([answer])  # which hears of it a turn later
        finally:
            self._end(call, work)
        if answer.cancelled():  # and not who asked
            raise Unavailable(CLOSED)
        return answer.result()

    def end_calls(self) -> None:
        """Those who wait are told at once."""
        for call in list(self._running):
            call.cancel()

    def _goes_on(self, call: "futures.Future[Any]") -> bool:
        """Raises Unavailable for what nobody will end any more."""
        closed = self._loop.is_closed()
        if closed and not call.done():
            raise Unavailable(CLOSED)
        return not call.done()

    def _end(self, call: "futures.Future[Any]", work: Coroutine[Any, Any, Any]) -> None:
        self._running.discard(call)
        if not self._loop.is_closed():
            call.cancel()
        elif inspect.getcoroutinestate(work) == inspect.CORO_CREATED:
            work.close()

    def _begun(self, work: Coroutine[Any, Any, Result]) -> "futures.Future[Result]":
        try:
            self._check()
            return asyncio.run_coroutine_threadsafe(work, self._loop)
        except BaseException:
            work.close()
            raise

    def _check(self) -> None:
        if not self.is_ours:
            raise Unavailable(FORKED)
        if self._loop.is_closed():
            raise Unavailable(CLOSED)
        if running_loop() is self._loop:
            raise RuntimeError("this would wait for itself: on its own event loop it is asked with `await`")


class LoopThread(OtherLoop):
    """A loop in a thread of its own, which runs until it is stopped."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        super().__init__(self.loop)
        self._thread = threading.Thread(target=self._run, name="agent-memory", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """What still runs on the loop is cancelled, and given a moment to end."""
        with contextlib.suppress(RuntimeError):  # it has ended by itself
            self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()

    def _run(self) -> None:
        """Closes the loop whatever ends it: SystemExit of a task comes through."""
        with contextlib.closing(self.loop):
            try:
                self.loop.run_forever()
            finally:
                self.loop.run_until_complete(_ended(time.monotonic() + _PATIENCE))


def running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


async def _ended(deadline: float) -> None:
    while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
        patience = deadline - time.monotonic()
        if patience <= 0:
            return
        for task in tasks:
            if not task.cancelling():  # twice would cut off what it does for its end
                task.cancel()
        await asyncio.wait(tasks, timeout=patience)
