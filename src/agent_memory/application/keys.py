"""API keys: made, listed, revoked, and asked for at the door.

A key is looked up at every request, so that one that is revoked opens nothing from then on, whoever revoked it and in
whichever process; the look-up is by the key's name, and no guess at a secret is told apart from another by time.
"""

import asyncio
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime

from agent_memory.domain.errors import NotFound
from agent_memory.domain.keys import ApiKey, Caller, KeyId, digest_of, parts_of, text_of
from agent_memory.domain.tenants import Reach
from agent_memory.ports.keys import KeyStore

_NONE_HOLDS = 1.0  # seconds: so long it is believed that there are no keys yet


def _now() -> datetime:
    return datetime.now(UTC)


class Keys:
    def __init__(self, store: KeyStore, clock: Callable[[], datetime] = _now) -> None:
        self._store = store
        self._clock = clock
        self._needed = False
        self._asked_at = float("-inf")
        self._asking: asyncio.Task[None] | None = None
        self._waiting = 0

    async def create(self, reach: Reach, label: str = "", expires_at: datetime | None = None) -> tuple[ApiKey, str]:
        """The key, and its text, which is told this once: nobody can tell it again."""
        key_id, secret = KeyId(secrets.token_hex(8)), secrets.token_urlsafe(32)
        key = ApiKey(key_id, digest_of(secret), reach, self._clock(), label, expires_at)
        await self._store.add(key)
        self._needed = True
        return key, text_of(key_id, secret)

    async def listed(self, tenant: str | None = None) -> list[ApiKey]:
        return await self._store.listed(tenant)

    async def revoke(self, key_id: str) -> ApiKey:
        """From now on it opens nothing. May be repeated. Raises NotFound."""
        await self._store.revoke(KeyId(key_id), self._clock())
        key = await self._store.find(KeyId(key_id))
        if key is None:
            raise NotFound("key", key_id)
        return key

    async def holder(self, text: str) -> Caller | None:
        """Who holds this key; None where nobody does (any more)."""
        parts = parts_of(text)
        if parts is None:
            return None
        key_id, secret = parts
        key = await self._store.find(key_id)
        if key is None or not key.opens(secret) or not key.holds(self._clock()):
            return None
        return Caller(key.reach, key.id)

    async def needed(self) -> bool:
        """Whether there are keys, so that one must be shown: from the first that was ever made. To revoke the last of
        them lets nobody in. One that another process makes is seen within a second.
        """
        if not self._needed and time.monotonic() - self._asked_at >= _NONE_HOLDS:
            await self._answer()
        return self._needed

    async def _answer(self) -> None:
        """Whoever comes meanwhile hears the same; one that gives up does not take it from the others, the last does."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        self._waiting += 1
        try:
            await asyncio.shield(self._asking)
        finally:
            self._waiting -= 1
            if self._waiting == 0 and self._asking is not None:
                self._asking.cancel()  # of no effect on one that has ended
                self._asking = None

    async def _ask(self) -> None:
        if await self._store.exist():
            self._needed = True
        self._asked_at = time.monotonic()
