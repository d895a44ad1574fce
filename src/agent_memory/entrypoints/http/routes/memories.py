"""Semantic memory over HTTP: remember, search, forget, count."""

from typing import Annotated

from litestar import delete, get, post
from litestar.params import FromPath, JSONBody, QueryParameter

from agent_memory.entrypoints.http.admission import admit_search, admit_write
from agent_memory.entrypoints.http.given import AnyRequest, GivenApplication, problems
from agent_memory.entrypoints.http.wire import memories as wire
from agent_memory.entrypoints.http.wire.decoding import StrictJSON

AgentName = Annotated[str, QueryParameter(name="agent_id", min_length=1, max_length=128)]
UserName = Annotated[str, QueryParameter(name="user_id", min_length=1, max_length=128)]
AnyUserName = Annotated[str | None, QueryParameter(name="user_id", min_length=1, max_length=128)]


@post(
    "/v1/memories",
    dto=StrictJSON[wire.RememberRequest],
    return_dto=None,
    responses=problems(413, 429),
    tags=["memories"],
    summary="Remember",
)
async def remember(
    data: JSONBody[wire.RememberRequest], application: GivenApplication, request: AnyRequest
) -> wire.MemoryAnswer:
    """Remember a text. When the answer arrives, the memory is on disk and every later search sees it."""
    await admit_write(request, application, data.agent_id)
    memory = await application.memory.remember(
        agent_id=data.agent_id,
        user_id=data.user_id,
        content=data.content,
        memory_type=data.memory_type,
        importance=data.importance,
        tags=data.tags,
        metadata=data.metadata,
        expires_at=data.expires_at,
    )
    return wire.from_memory(memory)


@post(
    "/v1/memories/search",
    dto=StrictJSON[wire.SearchRequest],
    return_dto=None,
    status_code=200,
    responses=problems(413, 429),
    tags=["memories"],
    summary="Search",
)
async def search_memories(
    data: JSONBody[wire.SearchRequest], application: GivenApplication, request: AnyRequest
) -> wire.SearchAnswer:
    """What one agent knows about one user that answers the query, best first."""
    await admit_search(request, application, data.agent_id)
    found = await application.memory.recall(
        agent_id=data.agent_id,
        user_id=data.user_id,
        query=data.query,
        top_k=data.top_k,
        alpha=data.alpha,
        memory_type=data.memory_type,
        selection=wire.to_selection(data),
    )
    return wire.from_recollections(data.query, found, explain=data.explain)


@delete("/v1/memories/{memory_id:str}", responses=problems(404), tags=["memories"], summary="Forget")
async def forget(
    memory_id: FromPath[str],
    application: GivenApplication,
    request: AnyRequest,
    agent_id: AgentName,
    user_id: AnyUserName = None,
) -> None:
    """Forget one memory of this agent; with `user_id`, only if it is about that user."""
    await admit_write(request, application, agent_id)
    await application.memory.forget(memory_id, agent_id=agent_id, user_id=user_id)


@get("/v1/memories/count", responses=problems(), tags=["memories"], summary="Count")
async def count_memories(application: GivenApplication, agent_id: AgentName, user_id: UserName) -> wire.CountAnswer:
    """How many memories one agent has about one user."""
    count = await application.memory.count(agent_id=agent_id, user_id=user_id)
    return wire.CountAnswer(agent_id=agent_id, user_id=user_id, count=count)
