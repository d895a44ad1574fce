"""Bodies that may be larger than memory: as they come, or into a file beside the event loop. What is in them is not
known here.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO

from litestar.exceptions import HTTPException
from litestar.types import Receive

from agent_memory.entrypoints.http.limits import BodyTooLarge
from agent_memory.entrypoints.http.streaming import ClientGone

_PIECE = 1 << 20  # bytes that are written at once
_SILENCE_SECONDS = 60.0


class BodyTooSlow(HTTPException):
    status_code = 408


@asynccontextmanager
async def received(receive: Receive, folder: Path, limit: int) -> AsyncIterator[BinaryIO]:
    """The body as a file that has no name and ends with the context. Raises BodyTooLarge beyond `limit` bytes,
    BodyTooSlow when nothing comes for a minute, and ClientGone when the client leaves before the end.
    """
    file = await asyncio.to_thread(lambda: tempfile.TemporaryFile(dir=folder))  # noqa: SIM115 - closed below
    try:
        size, waiting = 0, bytearray()
        async for chunk in chunks(receive):
            size += len(chunk)
            if size > limit:
                raise BodyTooLarge(limit)
            waiting += chunk
            if len(waiting) >= _PIECE:
                await asyncio.to_thread(file.write, bytes(waiting))
                waiting.clear()
        await asyncio.to_thread(file.write, bytes(waiting))
        yield file
    finally:
        await asyncio.to_thread(file.close)


async def chunks(receive: Receive) -> AsyncIterator[bytes]:
    """The body as it comes. Raises BodyTooSlow when nothing comes for a minute, ClientGone when the client leaves."""
    more = True
    while more:
        try:
            async with asyncio.timeout(_SILENCE_SECONDS):
                message = await receive()
        except TimeoutError:
            raise BodyTooSlow(detail=f"nothing came for {_SILENCE_SECONDS:g} s") from None
        if message["type"] != "http.request":
            raise ClientGone(detail="the client left before the end of its file")
        yield message["body"]
        more = message["more_body"]
