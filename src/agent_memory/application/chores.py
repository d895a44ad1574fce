"""Work that is done now and then beside the requests: what has expired, what is too much, what needs an index."""

import asyncio
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import PurePath

import structlog

from agent_memory.domain.errors import Unavailable

CHORES = "chores"
"""What their standing is called where the state of every part is told."""

_LONGEST_PAUSE = timedelta(minutes=5)
_SOON = timedelta(minutes=1)
_MOST_TOLD = 300  # characters
# What is set when the chore at work is to end. That its task is cancelled tells too little: many a timeout cancels the
# task that it is in, makes another error of it, and never takes it back.
_stopping: ContextVar[asyncio.Event] = ContextVar("stopping")
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Chore:
    """Must bear being done by many workers, and being cut off at any moment."""

    name: str
    every: timedelta
    work: Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class _Failure:
    since: datetime
    kind: str


class Standing:
    """Which chores fail at the moment."""

    def __init__(self) -> None:
        self._failing: dict[str, _Failure] = {}

    async def check(self) -> None:
        """Raises Unavailable while a chore has failed and not been done since. It tells the kinds of the errors only:
        their messages may repeat what somebody remembers.
        """
        told = [
            f"{name} fails since {failure.since.isoformat(timespec='seconds')} with {failure.kind}"
            for name, failure in self._failing.items()
        ]
        if told:
            raise Unavailable("; ".join(told))

    def fails(self, chore: Chore, error: BaseException) -> bool:
        """Whether this is new of it."""
        kind, before = type(error).__name__, self._failing.get(chore.name)
        self._failing[chore.name] = _Failure(before.since if before else datetime.now(UTC), kind)
        return before is None or before.kind != kind

    def done(self, chore: Chore) -> bool:
        """Whether it failed before."""
        return self._failing.pop(chore.name, None) is not None


@asynccontextmanager
async def in_background(*chores: Chore) -> AsyncIterator[Standing]:
    """Do the chores, each at its own pace, for as long as the context lasts."""
    standing, stopping = Standing(), asyncio.Event()
    tasks = [asyncio.create_task(_repeated(chore, standing, stopping), name=chore.name) for chore in chores]
    try:
        yield standing
    finally:
        stopping.set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def pause_after(failures: int, every: timedelta) -> timedelta:
    """What was done, or failed once, comes at its next time; what fails in a row comes less and less often."""
    return min(every * (1 << min(max(failures - 1, 0), 20)), max(every, _LONGEST_PAUSE))


async def _repeated(chore: Chore, standing: Standing, stopping: asyncio.Event) -> None:
    _stopping.set(stopping)
    failures, pause = 0, chore.every
    while not is_stopped():
        await asyncio.sleep(pause.total_seconds())
        try:
            await chore.work()
        except Unavailable as error:
            if is_stopped():
                raise
            pause = min(chore.every, _SOON)  # a database that is away comes back
            if standing.fails(chore, error):
                _log.warning("a chore has to wait", chore=chore.name, reason=_told(str(error)))
        except (Exception, asyncio.CancelledError) as error:  # whatever an embedder or condenser raises, it goes on
            if is_stopped(error):
                raise
            failures += 1
            pause = pause_after(failures, chore.every)
            if standing.fails(chore, error):
                kind = type(error).__name__  # what else it says may be what somebody remembers
                _log.error("a chore fails, and is tried again", chore=chore.name, error=kind, at=_at(error))
        else:
            failures, pause = 0, chore.every
            if standing.done(chore):
                _log.info("a chore is done again", chore=chore.name)


def is_stopped(error: BaseException | None = None) -> bool:
    """Whether the work of this task is to end, whatever an embedder or a condenser has made of that: another error, or
    none. In a chore, with an error, also if somebody else has cancelled its task, and not what it waits for.
    """
    stopping, task = _stopping.get(None), asyncio.current_task()
    cancelled = task is None or task.cancelling() > 0
    if stopping is None:
        return cancelled
    return stopping.is_set() or (isinstance(error, asyncio.CancelledError) and cancelled)


def _told(reason: str) -> str:
    line = reason.partition("\n")[0]  # a database's next line repeats the row
    return line if len(line) <= _MOST_TOLD else f"{line[:_MOST_TOLD]}…"


def _at(error: BaseException) -> str:
    """The lines that it came through: instead of a traceback, which a log may show with its variables, memories among
    them.
    """
    frames = traceback.extract_tb(error.__traceback__)
    return " > ".join(f"{PurePath(frame.filename).name}:{frame.lineno}" for frame in frames)
