"""Work that is done now and then beside the requests: what has expired, what is too much, what needs an index."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import structlog

from agent_memory.domain.errors import AgentMemoryError

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Chore:
    """Must bear being done by many workers, and being cut off at any moment."""

    name: str
    every: timedelta
    work: Callable[[], Awaitable[object]]


@asynccontextmanager
async def in_background(*chores: Chore) -> AsyncIterator[None]:
    """Do the chores, each at its own pace, for as long as the context lasts."""
    tasks = [asyncio.create_task(_repeated(chore), name=chore.name) for chore in chores]
    for task in tasks:
        task.add_done_callback(_report)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _repeated(chore: Chore) -> None:
    while True:
        await asyncio.sleep(chore.every.total_seconds())
        try:
            await chore.work()
        except AgentMemoryError as error:
            # A database that is away comes back: the next round finds it.
            _log.warning("a chore has to wait", chore=chore.name, reason=str(error))


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("a chore has ended for good", chore=task.get_name(), exc_info=error)
