"""Letting a server run empty: what has begun ends as it would, nothing new begins, and it is told when all is done."""

import asyncio
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from agent_memory.domain.errors import Unavailable

_COME_BACK = 5.0  # seconds


class Draining:
    """Of one process. `running` counts what has begun and not ended."""

    def __init__(self) -> None:
        self.asked = False
        self.running = 0
        self._ended = asyncio.Event()

    @property
    def drained(self) -> bool:
        return self.asked and self.running == 0

    async def drain(self, patience: float) -> bool:
        """Take no more, and wait so many seconds for what has begun; whether all of it has ended. May be repeated."""
        self.asked = True
        try:
            async with asyncio.timeout(patience):
                while self.running:
                    self._ended.clear()
                    await self._ended.wait()
        except TimeoutError:
            pass
        return self.drained

    def resume(self) -> None:
        """Take requests again."""
        self.asked = False

    def working(self) -> AbstractContextManager[None]:
        """Around one piece of work. Raises Unavailable, before it is entered, while the server runs empty."""
        if self.asked:
            raise Unavailable("the server is being drained and takes no new requests", _COME_BACK)
        return self._counted()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1
            self._ended.set()
