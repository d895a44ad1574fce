"""What answering a repeated request once needs of the world: a place where all workers remember their answers.

Every promise here is held by `tests/contracts/` on every adapter.
"""

from datetime import timedelta
from typing import Protocol

from agent_memory.domain.answers import Claim


class AnswerBook(Protocol):
    async def claim(self, key: str, request: str) -> Claim:
        """Take a key for a request, unless it is taken; answers who has it, and what was answered, if anything.

        What it says survives a crash. Of many who claim one key at once, one is first, and all hear the same.
        """
        ...

    async def settle(self, key: str, answer: str) -> str:
        """Write down the answer of a claimed key, unless there is one; answers the one that stands."""
        ...

    async def release(self, key: str) -> None:
        """Give up a key that has no answer; one that has keeps it."""
        ...

    async def purge(self, older_than: timedelta) -> int:
        """Forget the keys that were claimed longer ago; answers how many."""
        ...
