"""What rate limiting needs of the world: a place where all workers count together.

Every promise here is held by `tests/contracts/` on every adapter.
"""

from collections.abc import Sequence
from typing import Protocol

from agent_memory.domain.limits import Admission, Limit


class RateLimiter(Protocol):
    async def admit(self, keys: Sequence[str], limit: Limit) -> list[Admission]:
        """Let one call of all these keys pass, unless `limit.calls` of one of them have passed in the window that ends
        now; an answer for each, in its place.

        Exact however many ask at once, in however many processes. A call that is refused is not counted, for none of
        its keys, so that asking too early costs nothing. One key has one limit.
        """
        ...

    async def purge(self, limit: Limit) -> int:
        """Forget the keys that have not passed within the limit's window; answers how many. Changes no answer."""
        ...
