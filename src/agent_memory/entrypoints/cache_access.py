"""Two ways to the cache of a data folder: over HTTP while a server owns it, and into the folder itself otherwise.

Both answer in the same words.
"""

import asyncio
import http.client
import shutil
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack, aclosing, contextmanager
from typing import Any, BinaryIO, Protocol, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from agent_memory.application.agents import Agents
from agent_memory.domain.errors import Misconfigured, Unavailable
from agent_memory.domain.kv.agents import AgentName
from agent_memory.domain.tenants import DEFAULT_TENANT
from agent_memory.entrypoints import address
from agent_memory.entrypoints.http.whole_names import AGENTS, IMPORT, segment_of
from agent_memory.entrypoints.http.wire import agents as wire
from agent_memory.entrypoints.own_server import asked
from agent_memory.settings import Settings
from agent_memory.wiring.cache_folder import CacheFolder, bundle_origin, opened_cache_folder

T = TypeVar("T")


class CacheAccess(Protocol):
    def list(self) -> list[wire.AgentAnswer]: ...
    def show(self, agent_id: str) -> wire.AgentAnswer: ...
    def pin(self, agent_id: str) -> wire.AgentAnswer: ...
    def unpin(self, agent_id: str) -> wire.AgentAnswer: ...
    def warm(self, agent_id: str) -> wire.WarmAnswer: ...
    def remove(self, agent_id: str) -> None: ...
    def export(self, agent_id: str, file: BinaryIO) -> None: ...
    def load(self, file: BinaryIO, agent_id: str | None) -> wire.ArrivalAnswer: ...
    def verify(self) -> wire.VerifyAnswer: ...
    def collect(self) -> wire.CollectAnswer: ...


@contextmanager
def cache_of(settings: Settings) -> Iterator[CacheAccess]:
    """Raises Misconfigured when another process has the folder and cannot be reached."""
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(opened_cache_folder(settings))
        except Misconfigured as busy:
            found = address.found_in(settings.data_folder)
            if found is None:
                raise Misconfigured(f"{busy}; it has left no address: it starts, ends, or is no server") from None
            yield ServedCache(found)
        else:
            yield FolderCache(folder)


class ServedCache:
    """That of a running server."""

    def __init__(self, found: address.Address) -> None:
        self._url, self._token = found

    def list(self) -> list[wire.AgentAnswer]:
        found: list[wire.AgentAnswer] = []
        cursor: str | None = ""
        while cursor is not None:
            query = {"limit": "200", **({"cursor": cursor} if cursor else {})}
            page = self._ask("GET", f"/v1/agents?{urlencode(query)}", wire.AgentsAnswer)
            found += page.agents
            cursor = page.next_cursor
        return found

    def show(self, agent_id: str) -> wire.AgentAnswer:
        return self._ask("GET", _path(agent_id), wire.AgentAnswer)

    def pin(self, agent_id: str) -> wire.AgentAnswer:
        return self._ask("POST", _path(agent_id, "/pin"), wire.AgentAnswer)

    def unpin(self, agent_id: str) -> wire.AgentAnswer:
        return self._ask("POST", _path(agent_id, "/unpin"), wire.AgentAnswer)

    def warm(self, agent_id: str) -> wire.WarmAnswer:
        return self._ask("POST", _path(agent_id, "/warm"), wire.WarmAnswer)

    def remove(self, agent_id: str) -> None:
        with self._open("DELETE", _path(agent_id)):
            pass

    def export(self, agent_id: str, file: BinaryIO) -> None:
        with self._open("GET", _path(agent_id, "/export")) as answer:
            try:
                shutil.copyfileobj(answer, file)
            except http.client.HTTPException as error:
                raise Unavailable(f"the server ended the file before its end: {error}") from error

    def load(self, file: BinaryIO, agent_id: str | None) -> wire.ArrivalAnswer:
        query = f"?agent_id={quote(agent_id, safe='')}" if agent_id else ""
        return self._ask("POST", IMPORT + query, wire.ArrivalAnswer, file)

    def verify(self) -> wire.VerifyAnswer:
        return self._ask("POST", "/v1/caches/verify", wire.VerifyAnswer)

    def collect(self) -> wire.CollectAnswer:
        return self._ask("POST", "/v1/caches/gc", wire.CollectAnswer)

    def _ask(self, method: str, path: str, kind: type[T], body: BinaryIO | None = None) -> T:
        with self._open(method, path, body) as answer:
            return msgspec.json.decode(answer.read(), type=kind)

    def _open(self, method: str, path: str, body: BinaryIO | None = None) -> Any:
        return asked(self._url, method, path, {"Authorization": f"Bearer {self._token}"}, body)


class FolderCache:
    """That of a folder that nobody serves."""

    def __init__(self, folder: CacheFolder) -> None:
        self._folder = folder

    def list(self) -> list[wire.AgentAnswer]:
        async def whole(agents: Agents) -> list[wire.AgentAnswer]:
            found, cursor = [], None
            while True:
                page = await agents.list(DEFAULT_TENANT, cursor, 200)
                found += [wire.from_held(held) for held in page.agents]
                if (cursor := page.cursor) is None:
                    return found

        with self._folder.agents() as agents:
            return _done(whole(agents))

    def show(self, agent_id: str) -> wire.AgentAnswer:
        with self._folder.agents() as agents:
            return wire.from_held(_done(agents.get(_name(agent_id))))

    def pin(self, agent_id: str) -> wire.AgentAnswer:
        with self._folder.agents() as agents:
            return wire.from_held(_done(agents.pin(_name(agent_id))))

    def unpin(self, agent_id: str) -> wire.AgentAnswer:
        with self._folder.agents() as agents:
            return wire.from_held(_done(agents.unpin(_name(agent_id))))

    def warm(self, agent_id: str) -> wire.WarmAnswer:
        raise Unavailable(f"warming {agent_id!r} needs a server: without one there is no memory to bring it into")

    def remove(self, agent_id: str) -> None:
        with self._folder.agents() as agents:
            _done(agents.remove(_name(agent_id)))

    def export(self, agent_id: str, file: BinaryIO) -> None:
        async def write(agents: Agents) -> None:
            async with aclosing(agents.export(_name(agent_id))) as pieces:
                async for piece in pieces:
                    file.write(piece)

        with self._folder.agents(_done(self._folder.origin_of(_name(agent_id)))) as agents:
            _done(write(agents))

    def load(self, file: BinaryIO, agent_id: str | None) -> wire.ArrivalAnswer:
        with self._folder.agents(bundle_origin(file)) as agents:
            return wire.from_arrival(_done(agents.load(file, DEFAULT_TENANT, agent_id)))

    def verify(self) -> wire.VerifyAnswer:
        with self._folder.upkeep() as upkeep:
            return wire.from_verdict(_done(upkeep.verify()))

    def collect(self) -> wire.CollectAnswer:
        with self._folder.upkeep() as upkeep:
            return wire.from_collection(_done(upkeep.collect()))


def _path(agent_id: str, verb: str = "") -> str:
    return AGENTS + segment_of(agent_id) + verb


def _name(agent_id: str) -> AgentName:
    return AgentName.of(DEFAULT_TENANT, agent_id, "agent")


def _done(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)
