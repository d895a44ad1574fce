"""What answering a repeated request once needs of the world: a place where all workers remember their answers.

Every promise here is held by `tests/contracts/` on every adapter.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from agent_memory.domain.answers import Claim
from agent_memory.domain.semantic.memory import MemoryId, Scope


class AnswerBook(Protocol):
    async def claim(self, key: str, request: str, scope: Scope, ids: Sequence[MemoryId]) -> Claim:
        """Take a key for a request about a scope, and ids for what that makes, unless it is taken; answers for which
        request it is taken, with which ids, and what was answered, if anything. The ids stay with the key.

        What it says survives a crash. Of many who claim one key at once, one is first, and all hear the same.
        """
        ...

    async def settle(self, key: str, answer: str, told: Sequence[MemoryId]) -> str:
        """Write down the answer of a claimed key, which tells these memories, unless there is one; answers the one that
        stands. From when one of them, or of the key's ids, is no longer kept, the claim is `forgotten`, with no answer.
        What has expired and makes room for the same id leaves a claim that has no answer as it is.
        """
        ...

    async def release(self, key: str) -> None:
        """Give up a key that has no answer. One that has, or is `forgotten`, keeps it; so does one that was claimed
        again for its request, as another attempt may have kept something under its ids, or be about to.
        """
        ...

    async def erase(self, user_id: str, agent_id: str | None, *, tenant: str) -> None:
        """Forget all that was answered about a tenant's user, of one agent or of all."""
        ...

    async def purge(self, older_than: timedelta) -> int:
        """Forget the keys that were claimed longer ago; answers how many."""
        ...
