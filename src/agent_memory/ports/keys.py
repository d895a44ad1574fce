"""Where API keys are kept: what may be written down of them, never a secret.

Every promise here is held by `tests/contracts/` on every adapter. What cannot be reached raises `Unavailable`.
"""

from datetime import datetime
from typing import Protocol

from agent_memory.domain.keys import ApiKey, KeyId


class KeyStore(Protocol):
    """Many processes may use one store at once; what one has written, the next question of any other sees."""

    async def add(self, key: ApiKey) -> None:
        """Keep a new key; when it returns, it survives a crash. May be repeated."""
        ...

    async def find(self, key_id: KeyId) -> ApiKey | None:
        """Revoked or expired though it may be; None if there is none."""
        ...

    async def listed(self, tenant: str | None = None) -> list[ApiKey]:
        """Of one tenant or of all, revoked and expired ones too, in the order in which they were made."""
        ...

    async def revoke(self, key_id: KeyId, now: datetime) -> bool:
        """Let it hold no longer; one that is revoked stays so since when it was. False: there is no such key."""
        ...

    async def exist(self) -> bool:
        """Whether a key was ever made."""
        ...
