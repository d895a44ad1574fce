"""Requests that are under way when their session ends.

The SDK closes a session's streams wherever its requests stand: one that has just come in is then never answered, or
falls over what is closed. So a session's end waits for them, for a moment. What a session is, the SDK knows.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

_PATIENCE = 1.0  # seconds


class UnderWay:
    """Those of one session."""

    def __init__(self) -> None:
        self._under_way = set[asyncio.Future[None]]()
        self._over = False

    async def serve(self, work: Callable[[], Awaitable[None]]) -> bool:
        """Whether the work came to its end before the session's."""
        if self._over:
            return False
        working = asyncio.ensure_future(work())
        self._under_way.add(working)
        try:
            await asyncio.wait({working})
        finally:
            await _cancel(working)
            self._under_way.discard(working)
        if working.cancelled():
            return False
        working.result()
        return True

    @asynccontextmanager
    async def ending(self) -> AsyncIterator[None]:
        """Who asks until then is answered, unless it takes long; who has no answer after it gets none."""
        self._over = True
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=_PATIENCE)
        yield
        await _cancel(*self._under_way)


class Requests:
    """By session; one of which none is under way is not known."""

    def __init__(self) -> None:
        self._known = WeakValueDictionary[tuple[str, str], UnderWay]()

    def of(self, name: str, owner: str) -> UnderWay:
        """Nobody ends another's: by the same name it is a different one."""
        return self._known.setdefault((name, owner), UnderWay())


async def _cancel(*tasks: "asyncio.Future[None]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
