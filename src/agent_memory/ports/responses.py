"""A place for responses that later requests go on from.

Every promise here is held by `tests/contracts/` on every adapter. `owner` is a `Reach.owner`: nobody sees, uses or
deletes what another keeps.
"""

from datetime import timedelta
from typing import Protocol

from agent_memory.domain.responses import MOST_BEFORE, MOST_BYTES, KeptResponse


class ResponseStore(Protocol):
    async def keep(self, owner: str, response: KeptResponse) -> None:
        """It survives a crash once this returns. Ids are never used twice."""
        ...

    async def get(self, owner: str, response_id: str) -> KeptResponse | None:
        """None when it is not there, or not theirs."""
        ...

    async def lineage(
        self, owner: str, response_id: str, most: int = MOST_BEFORE, most_bytes: int = MOST_BYTES
    ) -> list[KeptResponse]:
        """This one, and before it all that it went on from, oldest first. Where one of them is gone the lineage begins
        after it; nothing when this one is. Of one that is longer or larger than it may be, only as many of the newest
        as show it: one more than `most`, or up to the first with which they have more than `most_bytes`.
        """
        ...

    async def delete(self, owner: str, response_id: str) -> bool:
        """Whether it was there. Those that went on from it stay."""
        ...

    async def purge(self, older_than: timedelta) -> int:
        """Forget all that were kept longer ago, whoever's they are; answers how many."""
        ...
