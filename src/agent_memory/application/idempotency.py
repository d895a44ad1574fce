"""Requests that may be repeated: the same key and request get the same answer, whoever asks again and whenever.

The work must bear being done twice: a request that was cut off, or is asked anew while it runs, is done again.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from agent_memory.domain.errors import AgentMemoryError, Forgotten, InvalidInput, Unavailable
from agent_memory.domain.semantic.memory import MemoryId, Scope
from agent_memory.ports.answers import AnswerBook

FIELD = "Idempotency-Key"
LONGEST_KEY = 255
_KEPT = timedelta(hours=24)


class Idempotency:
    def __init__(self, book: AnswerBook) -> None:
        self._book = book

    async def once(
        self,
        key: str,
        request: str,
        scope: Scope,
        ids: Sequence[MemoryId],
        work: Callable[[Sequence[MemoryId]], Awaitable[tuple[str, Sequence[MemoryId]]]],
    ) -> tuple[str, bool]:
        """The answer, and whether it is one that was given before. The work hears the ids of the first attempt, which
        are those of what it makes, and says which memories its answer tells. Raises InvalidInput if the key is another
        request's, and Forgotten if one of them has been forgotten since. A refusal leaves the key free, if it
        was the only attempt; but a request of which nobody knows whether it was done keeps it, and is done when it is
        sent again.
        """
        claim = await self._book.claim(key, request, scope, ids)
        if claim.request != request:
            raise InvalidInput(FIELD, "was used for another request: a new request needs a new key")
        if claim.forgotten:
            raise Forgotten(f"{FIELD}: what this request has told is forgotten: a new request needs a new key")
        if claim.answer is not None:
            return claim.answer, True
        try:
            answer, told = await work(claim.ids)
        except Unavailable:
            raise  # and the book, which is likely away as well, would be waited for
        except AgentMemoryError:
            await self._book.release(key)
            raise
        return await self._book.settle(key, answer, told), False

    async def purge(self) -> int:
        """Forget the keys of yesterday."""
        return await self._book.purge(_KEPT)
