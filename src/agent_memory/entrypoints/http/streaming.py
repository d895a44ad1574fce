"""Answers that take their time: given up when the client leaves, kept alive while it waits, closed always.

Plain asyncio: inside a cancelled anyio scope nothing can be closed with an await. What the events say is not
known here.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import aclosing
from typing import Any, TypeVar

from litestar.exceptions import HTTPException
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Send

from agent_memory.entrypoints.http.ending import server_ending

T = TypeVar("T")

KEEP_ALIVE_SECONDS = 10.0
KEEP_ALIVE = b": keep-alive\n\n"

Events = AsyncGenerator[bytes, None]
Teller = Callable[[BaseException], bytes]
"""Turns what went wrong into the event that says so."""


class ClientGone(HTTPException):
    """Nobody reads this answer; the log and the metrics do."""

    status_code = 499


def event(data: bytes, name: str = "") -> bytes:
    named = f"event: {name}\n".encode() if name else b""
    return named + b"data: " + data + b"\n\n"


async def begun(pieces: AsyncGenerator[T, None]) -> AsyncIterator[T]:
    """The same pieces, to be closed with them. The first is there: what keeps it from coming is raised, and becomes a
    status.
    """
    return _from(await anext(pieces, None), pieces)


async def _from(first: T | None, pieces: AsyncGenerator[T, None]) -> AsyncIterator[T]:
    async with aclosing(pieces):
        if first is not None:
            yield first
        async for piece in pieces:
            yield piece


async def while_connected(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """The result of the work, which is cancelled and has ended when the client leaves before it is done."""
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_left(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGone(detail="the client left before the answer")
        return working.result()
    finally:
        await _end(working, leaving)


async def begin(
    events: Events, tell: Teller, seconds: float = KEEP_ALIVE_SECONDS, *, alive: bytes = KEEP_ALIVE
) -> "EventStream":
    """A stream whose first event is there, or is taking so long that the answer must begin without it. `alive` is what
    it says while there is nothing to tell.

    What goes wrong until then is raised, and becomes a status; what goes wrong later is told as an event.
    """
    first = asyncio.ensure_future(anext(events))
    try:
        await asyncio.wait({first}, timeout=seconds)
        if first.done():
            first.result()
    except BaseException:
        await _end(first)
        await events.aclose()
        raise
    return EventStream(events, first, tell, seconds, alive)


class EventStream(ASGIResponse):
    _should_set_content_length = False

    def __init__(
        self, events: Events, first: "asyncio.Future[bytes]", tell: Teller, seconds: float, alive: bytes
    ) -> None:
        headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
        super().__init__(headers=headers, media_type="text/event-stream")
        self._events = events
        self._upcoming = first
        self._tell = tell
        self._seconds = seconds
        self._alive = alive

    async def send_body(self, send: Send, receive: Receive) -> None:
        try:
            await while_connected(receive, self._send_all(send))
        except ClientGone:
            return
        except asyncio.CancelledError:
            await self._finish(send, server_ending())
        finally:
            await _end(self._upcoming)
            await self._events.aclose()

    async def _send_all(self, send: Send) -> None:
        while (error := await self._failure_or_next(send)) is None:
            pass
        await self._finish(send, error)

    async def _finish(self, send: Send, error: BaseException) -> None:
        if not isinstance(error, StopAsyncIteration):
            await _send(send, self._tell(error))
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _failure_or_next(self, send: Send) -> BaseException | None:
        """Send what came, or a sign of life; or say what ended the events."""
        if not (await asyncio.wait({self._upcoming}, timeout=self._seconds))[0]:
            await _send(send, self._alive)
            return None
        if (error := self._upcoming.exception()) is not None:
            return error
        await _send(send, self._upcoming.result())
        self._upcoming = asyncio.ensure_future(anext(self._events))
        return None


async def _send(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _end(*futures: "asyncio.Future[Any]") -> None:
    for future in futures:
        future.cancel()
    await asyncio.gather(*futures, return_exceptions=True)
