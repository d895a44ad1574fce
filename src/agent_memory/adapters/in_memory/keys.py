"""A `KeyStore` for one process."""

from dataclasses import replace
from datetime import datetime

from agent_memory.domain.keys import ApiKey, KeyId


class InMemoryKeyStore:
    def __init__(self) -> None:
        self._keys: dict[KeyId, ApiKey] = {}

    async def add(self, key: ApiKey) -> None:
        self._keys.setdefault(key.id, key)

    async def find(self, key_id: KeyId) -> ApiKey | None:
        return self._keys.get(key_id)

    async def listed(self, tenant: str | None = None) -> list[ApiKey]:
        found = [key for key in self._keys.values() if tenant in {None, key.reach.tenant}]
        return sorted(found, key=lambda key: (key.created_at, key.id))

    async def revoke(self, key_id: KeyId, now: datetime) -> bool:
        key = self._keys.get(key_id)
        if key is not None and key.revoked_at is None:
            self._keys[key_id] = replace(key, revoked_at=now)
        return key is not None

    async def exist(self) -> bool:
        return bool(self._keys)
