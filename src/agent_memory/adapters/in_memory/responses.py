"""A `ResponseStore` for one process."""

import time
from collections.abc import Callable
from datetime import timedelta

from agent_memory.domain.responses import MOST_BEFORE, MOST_BYTES, KeptResponse


class InMemoryResponseStore:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[tuple[str, str], tuple[float, KeptResponse]] = {}

    async def keep(self, owner: str, response: KeptResponse) -> None:
        self._kept[owner, response.id] = self._clock(), response

    async def get(self, owner: str, response_id: str) -> KeptResponse | None:
        kept = self._kept.get((owner, response_id))
        return None if kept is None else kept[1]

    async def lineage(
        self, owner: str, response_id: str, most: int = MOST_BEFORE, most_bytes: int = MOST_BYTES
    ) -> list[KeptResponse]:
        found: list[KeptResponse] = []
        size, name = 0, response_id
        while (kept := await self.get(owner, name)) is not None:
            found.append(kept)
            size += kept.size
            if kept.previous is None or len(found) > most or size > most_bytes:
                break
            name = kept.previous
        return found[::-1]

    async def delete(self, owner: str, response_id: str) -> bool:
        return self._kept.pop((owner, response_id), None) is not None

    async def purge(self, older_than: timedelta) -> int:
        border = self._clock() - older_than.total_seconds()
        old = [key for key, (kept_at, _) in self._kept.items() if kept_at <= border]
        for key in old:
            del self._kept[key]
        return len(old)
