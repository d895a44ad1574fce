"""Two ways to the keys: through the server that has the embedded database, and into the database itself otherwise.

Both answer in the same words.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Protocol, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from agent_memory.application.keys import Keys
from agent_memory.domain.errors import Misconfigured
from agent_memory.entrypoints import address
from agent_memory.entrypoints.http.admin_key import HEADER
from agent_memory.entrypoints.http.wire import admin as wire
from agent_memory.entrypoints.own_server import asked
from agent_memory.settings import Settings

T = TypeVar("T")


class KeyAccess(Protocol):
    async def create(self, new: wire.NewKey) -> wire.CreatedKey: ...
    async def listed(self, tenant: str | None) -> list[wire.KeyAnswer]: ...
    async def revoke(self, key_id: str) -> wire.KeyAnswer: ...


def with_keys(settings: Settings, work: Callable[[KeyAccess], Awaitable[T]]) -> T:
    """What the work answers. Raises Misconfigured when another process has the database and cannot be reached."""
    return asyncio.run(_with_keys(settings, work))


async def _with_keys(settings: Settings, work: Callable[[KeyAccess], Awaitable[T]]) -> T:
    from agent_memory.bootstrap import opened_keys  # which takes a second, and has no part in `--help`

    found = None if settings.database.url else address.found_in(settings.data_folder)
    try:
        async with opened_keys(settings) as keys:
            return await work(StoredKeys(keys))
    except Misconfigured:
        if found is None:
            raise
    return await work(ServedKeys(found))


class ServedKeys:
    """Those of a running server."""

    def __init__(self, found: address.Address) -> None:
        self._found = found

    async def create(self, new: wire.NewKey) -> wire.CreatedKey:
        return await self._ask("POST", "", wire.CreatedKey, msgspec.json.encode(new))

    async def listed(self, tenant: str | None) -> list[wire.KeyAnswer]:
        query = "" if tenant is None else f"?{urlencode({'tenant': tenant})}"
        return (await self._ask("GET", query, wire.KeysAnswer)).keys

    async def revoke(self, key_id: str) -> wire.KeyAnswer:
        return await self._ask("DELETE", f"/{quote(key_id, safe='')}", wire.KeyAnswer)

    async def _ask(self, method: str, path: str, kind: type[T], body: bytes | None = None) -> T:
        headers = {HEADER: self._found.token}

        def ask() -> bytes:
            with asked(self._found.url, method, f"/admin/keys{path}", headers, body) as answer:
                told: bytes = answer.read()
                return told

        return msgspec.json.decode(await asyncio.to_thread(ask), type=kind)


class StoredKeys:
    """Those of a database that nobody else has, or that many share."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    async def create(self, new: wire.NewKey) -> wire.CreatedKey:
        key, text = await self._keys.create(wire.to_reach(new), new.name, new.expires_at)
        return wire.from_new_key(key, text, datetime.now(UTC))

    async def listed(self, tenant: str | None) -> list[wire.KeyAnswer]:
        now = datetime.now(UTC)
        return [wire.from_key(key, now) for key in await self._keys.listed(tenant)]

    async def revoke(self, key_id: str) -> wire.KeyAnswer:
        return wire.from_key(await self._keys.revoke(key_id), datetime.now(UTC))
