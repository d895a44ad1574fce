"""Memories out of the server and into it over HTTP, as files of any length."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Literal

from litestar import get, post
from litestar.params import FromQuery
from litestar.response import Stream

from agent_memory.application.transfer import Transfer, lines_in
from agent_memory.bootstrap import Application
from agent_memory.domain.errors import Unavailable
from agent_memory.domain.semantic.foreign import LONGEST_ENTITY, entries_of_mem0, lines_of_mcp, lines_of_mem0
from agent_memory.domain.semantic.memory import Scope
from agent_memory.entrypoints.http.given import AnyRequest, GivenApplication, problems
from agent_memory.entrypoints.http.limits import counted
from agent_memory.entrypoints.http.receiving import chunks
from agent_memory.entrypoints.http.routes.memories import AgentName, UserName
from agent_memory.entrypoints.http.streaming import begun
from agent_memory.entrypoints.http.wire import keeping as wire

IMPORT = "/v1/memories/import"
Source = FromQuery[Literal["lines", "mem0", "mcp"]]
_TAGS = ["memories"]


@get("/v1/memories/export", responses=problems(), tags=_TAGS, media_type="application/x-ndjson")
async def export_memories(application: GivenApplication, agent_id: AgentName, user_id: UserName) -> Stream:
    """Every memory of the scope as a line of JSON, with ids, times and vectors, as a stream."""
    lines = _transfer(application).export(agent_id=agent_id, user_id=user_id)
    return Stream(await begun(_ended(lines)), media_type="application/x-ndjson")


@post(IMPORT, status_code=200, responses=problems(408, 413, 429), tags=_TAGS)
async def import_memories(
    request: AnyRequest,
    application: GivenApplication,
    source: Source = "lines",
    agent_id: AgentName = "imported",
    user_id: UserName = "imported",
) -> wire.ImportAnswer:
    """Keep the lines of an export, however many; what is known stays as it is. Named are lines whose id is known with
    another content, agent or user, and lines that are no memories.

    `source` may also be an export of mem0, as large as other bodies, or the file of the MCP reference server: the
    scope then is for what names none. Of these too, what is no memory is named by its entry or line, and the others
    are kept; what had expired in mem0 has expired here too, and is not found. Two of a tenant at a time, and four in
    all: beyond that, 429.
    """
    transfer, most = _transfer(application), application.settings.server.max_body_bytes
    scope = None if source == "lines" else transfer.scope(agent_id, user_id)
    with transfer.arrivals.take(transfer.reach.tenant):
        if scope is None:
            arrival = await transfer.load(lines_in(chunks(request.receive)))
        elif source == "mcp":
            lines = lines_in(chunks(request.receive), LONGEST_ENTITY)
            arrival = await transfer.load_pieces(_of_mcp(lines, scope))
        else:
            document = [chunk async for chunk in chunks(counted(request.receive, most))]
            arrival = await transfer.load_pieces(_of_mem0(b"".join(document), scope))
    piece = "entry" if source == "mem0" else "line"
    return wire.ImportAnswer(
        kept=arrival.kept,
        known=arrival.known,
        conflicting=arrival.conflicting,
        conflicts=[f"{piece} {number}: {reason}" for number, reason in arrival.conflicts],
        refused=[f"{piece} {number}: {reason}" for number, reason in arrival.refused],
    )


def _transfer(application: Application) -> Transfer:
    if application.transfer is None:
        raise Unavailable("the memories of this server cannot be exported or imported")
    return application.transfer


async def _ended(lines: AsyncGenerator[str, None]) -> AsyncGenerator[str, None]:
    async with aclosing(lines):
        async for line in lines:
            yield line + "\n"


async def _of_mcp(lines: AsyncIterator[str], scope: Scope) -> AsyncGenerator[Iterable[str], None]:
    now = datetime.now(UTC)
    async for line in lines:
        yield lines_of_mcp(line, scope, now)


async def _of_mem0(document: bytes, scope: Scope) -> AsyncGenerator[Iterable[str], None]:
    now = datetime.now(UTC)
    for entry in await asyncio.to_thread(entries_of_mem0, document):
        yield lines_of_mem0(entry, scope, now)
