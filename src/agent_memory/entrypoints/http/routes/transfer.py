"""Memories out of the server and into it over HTTP, as files of any length."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Literal

from litestar import get, post
from litestar.params import FromQuery
from litestar.response import Stream

from agent_memory.application.sources import lines_in
from agent_memory.application.transfer import Transfer
from agent_memory.bootstrap import Application
from agent_memory.domain.errors import Unavailable
from agent_memory.domain.semantic.foreign import LONGEST_ENTITY
from agent_memory.entrypoints.http.given import AnyRequest, GivenApplication, problems
from agent_memory.entrypoints.http.receiving import chunks
from agent_memory.entrypoints.http.routes.keeping import AnyAgentName
from agent_memory.entrypoints.http.routes.memories import AgentName, AnyUserName, UserName
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


@post(IMPORT, status_code=200, responses=problems(408, 429), tags=_TAGS)
async def import_memories(
    request: AnyRequest,
    application: GivenApplication,
    source: Source = "lines",
    agent_id: AnyAgentName = None,
    user_id: AnyUserName = None,
) -> wire.ImportAnswer:
    """Keep the lines of an export, however many; what is known stays as it is. Named are lines whose id is known with
    another content, agent or user, and lines that are no memories: the first thousand of each; all are counted.

    `source` may also be an export of mem0, or the file of the MCP reference server. Agent and user are for what names
    none; if they are not given, a line is refused, and what comes from others is of `imported`. Of these too, what is
    no memory is named by its entry or line, and the others are kept; what had expired in mem0 has expired here too, and
    is not found. Two of a tenant at a time, and four in all: beyond that, 429.
    """
    transfer = _transfer(application)
    whose = {name: told for name, told in (("agent_id", agent_id), ("user_id", user_id)) if told is not None}
    with transfer.arrivals.take(transfer.reach.tenant):
        body = chunks(request.receive)
        if source == "lines":
            arrival = await transfer.load(lines_in(body), **whose)
        elif source == "mcp":
            arrival = await transfer.load_mcp(lines_in(body, LONGEST_ENTITY), **whose)
        else:
            arrival = await transfer.load_mem0(body, **whose)
    piece = "entry" if source == "mem0" else "line"
    return wire.ImportAnswer(
        kept=arrival.kept,
        known=arrival.known,
        conflicting=arrival.conflicting,
        conflicts=[f"{piece} {number}: {reason}" for number, reason in arrival.conflicts],
        refusals=arrival.refusals,
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
