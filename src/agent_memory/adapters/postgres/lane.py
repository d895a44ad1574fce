"""Work that many ask for at the same moment, done for them together. It does not know what the work is."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, NamedTuple, TypeVar

from agent_memory.domain.errors import Unavailable

Wish = TypeVar("Wish")
Result = TypeVar("Result")

_MOST_TOGETHER = 64


class _Waiting(NamedTuple, Generic[Wish, Result]):
    wish: Wish
    promises: "list[asyncio.Future[Result]]"


class Lane(Generic[Wish, Result]):
    """`width` pieces of work go on at a time; whoever comes meanwhile shares the next, unless together they cost more
    than `most`: what a wish costs is asked when its turn comes. Who wishes for the same has the same. Belongs to one
    event loop.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Wish]], Awaitable[Sequence[Result]]],
        cost: Callable[[Wish], int],
        *,
        width: int,
        most: int,
    ) -> None:
        self._work = work
        self._cost = cost
        self._width = width
        self._most = most
        self._waiting: OrderedDict[Hashable, _Waiting[Wish, Result]] = OrderedDict()
        self._running: set[asyncio.Task[None]] = set()

    async def ask(self, key: Hashable, wish: Wish) -> Result:
        """What comes of work that begins after this call. Raises what the work raises."""
        loop = asyncio.get_running_loop()
        promise: asyncio.Future[Result] = loop.create_future()
        self._waiting.setdefault(key, _Waiting(wish, [])).promises.append(promise)
        # Whoever asks in the same turn of the loop comes along.
        loop.call_soon(self._begin)
        return await promise

    def _begin(self) -> None:
        while self._waiting and len(self._running) < self._width:
            task = asyncio.create_task(self._do(self._next()))
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._begin()

    def _next(self) -> list[_Waiting[Wish, Result]]:
        together: list[_Waiting[Wish, Result]] = []
        cost = 0
        while self._waiting and len(together) < _MOST_TOGETHER:
            key, waiting = next(iter(self._waiting.items()))
            cost += self._cost(waiting.wish)
            if together and cost > self._most:
                break
            together.append(self._waiting.pop(key))
        return together

    async def _do(self, together: list[_Waiting[Wish, Result]]) -> None:
        try:
            results = await self._work([waiting.wish for waiting in together])
        except asyncio.CancelledError:
            for promise in (promise for waiting in together for promise in waiting.promises):
                promise.cancel()
            raise
        except Exception as error:  # noqa: BLE001 -- whoever waits hears of it
            await self._failed(together, error)
        else:
            for waiting, result in zip(together, results, strict=True):
                for promise in waiting.promises:
                    if not promise.done():
                        promise.set_result(result)

    async def _failed(self, together: list[_Waiting[Wish, Result]], error: Exception) -> None:
        if len(together) > 1 and not isinstance(error, Unavailable):
            for waiting in together:  # what is wrong with one is not the others' matter
                await self._do([waiting])
            return
        for promise in (promise for waiting in together for promise in waiting.promises):
            if not promise.done():
                promise.set_exception(error)
