"""Several answers to one prompt, told as they come."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

from agent_memory.application.replies import Finish, Piece, Reply


async def together(replies: Sequence[Reply]) -> AsyncGenerator[tuple[int, Piece], None]:
    """What each says, with its number. What one raises is raised, and ends them all; so does leaving early."""
    upcoming = {asyncio.ensure_future(anext(reply)): number for number, reply in enumerate(replies)}
    try:
        while upcoming:
            done, _ = await asyncio.wait(upcoming, return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                number = upcoming.pop(each)
                piece = each.result()
                if not isinstance(piece, Finish):
                    upcoming[asyncio.ensure_future(anext(replies[number]))] = number
                yield number, piece
    finally:
        for each in upcoming:
            each.cancel()
        await asyncio.gather(*upcoming, return_exceptions=True)
        for reply in replies:
            await reply.aclose()
