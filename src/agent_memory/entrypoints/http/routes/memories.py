"""Semantic memory over HTTP: remember, search, forget, count."""

from collections.abc import Sequence
from typing import Annotated
from urllib.parse import quote, urlencode

from litestar import Response, delete, get, post
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Struct, json

from agent_memory.application.remembering import NewFields
from agent_memory.bootstrap import Application
from agent_memory.domain.errors import Unavailable
from agent_memory.domain.semantic.duplicates import Remembered
from agent_memory.domain.semantic.memory import MemoryId
from agent_memory.entrypoints.http.admission import admit_search, admit_write
from agent_memory.entrypoints.http.given import AnyRequest, GivenApplication, answers, problems
from agent_memory.entrypoints.http.idempotency import IdempotencyKey, answer_once
from agent_memory.entrypoints.http.preconditions import IfMatch, versions_in
from agent_memory.entrypoints.http.wire import memories as wire
from agent_memory.entrypoints.http.wire.decoding import StrictJSON

AgentName = Annotated[str, QueryParameter(name="agent_id", min_length=1, max_length=128)]
UserName = Annotated[str, QueryParameter(name="user_id", min_length=1, max_length=128)]
AnyUserName = Annotated[str | None, QueryParameter(name="user_id", min_length=1, max_length=128)]


@post(
    "/v1/memories",
    dto=StrictJSON[wire.RememberRequest],
    return_dto=None,
    responses=problems(409, 410, 429) | answers(wire.MemoryAnswer, {201: "Kept", 200: "Known already"}),
    tags=["memories"],
    summary="Remember",
)
async def remember(
    data: JSONBody[wire.RememberRequest],
    application: GivenApplication,
    request: AnyRequest,
    idempotency_key: IdempotencyKey = None,
) -> Response[bytes]:
    """Remember a text. When the answer arrives, the memory is on disk and every later search sees it.

    201: it is a new memory. 200: it was known, by its id or because it says nothing new, and that one is answered.
    """
    del idempotency_key  # told to the API's description; read where it matters
    await admit_write(request, application, data.agent_id)

    async def work(ids: Sequence[MemoryId]) -> tuple[int, wire.MemoryAnswer, list[MemoryId]]:
        remembered = await _remembered(application, data, wire.to_new(data, ids[0]))
        return 201 if remembered.added else 200, wire.from_remembered(remembered), [remembered.memory.id]

    return located(
        await answer_once(request, application, data.agent_id, data.user_id, work), data.agent_id, data.user_id
    )


def located(answer: Response[bytes], agent_id: str, user_id: str) -> Response[bytes]:
    """The answer; one of a new memory says where that is."""
    if answer.status_code == 201:
        whose = urlencode({"agent_id": agent_id, "user_id": user_id}, quote_via=quote)
        answer.headers["Location"] = f"/v1/memories/{json.decode(answer.content, type=_Named).id}?{whose}"
    return answer


class _Named(Struct):
    id: str


async def _remembered(application: Application, data: wire.RememberRequest, fields: NewFields) -> Remembered:
    if application.remembering is None:
        raise Unavailable("this server keeps memories in a place that cannot be looked after")
    return await application.remembering.remember(
        fields, data.on_near_duplicate, agent_id=data.agent_id, user_id=data.user_id
    )


@post(
    "/v1/memories/search",
    dto=StrictJSON[wire.SearchRequest],
    return_dto=None,
    status_code=200,
    responses=problems(429),
    tags=["memories"],
    summary="Search",
)
async def search_memories(
    data: JSONBody[wire.SearchRequest], application: GivenApplication, request: AnyRequest
) -> wire.SearchAnswer:
    """What one agent knows about one user that answers the query, best first."""
    await admit_search(request, application, data.agent_id)
    page = await application.memory.recall_page(data.cursor, **wire.to_asked(data))
    return wire.from_page(data.query, page, explain=data.explain)


@delete("/v1/memories/{memory_id:str}", responses=problems(404, 412, 429), tags=["memories"], summary="Forget")
async def forget(
    memory_id: FromPath[str],
    application: GivenApplication,
    request: AnyRequest,
    agent_id: AgentName,
    user_id: AnyUserName = None,
    *,
    if_match: IfMatch = None,
) -> None:
    """Forget one memory of this agent; with `user_id`, only if it is about that user, and with If-Match, only if it is
    at that version: else 412. What was condensed of it goes too, and its other sources are back.
    """
    version = versions_in(if_match)
    await admit_write(request, application, agent_id)
    await application.memory.forget(memory_id, agent_id=agent_id, user_id=user_id, version=version)


@get("/v1/memories/count", responses=problems(), tags=["memories"], summary="Count")
async def count_memories(application: GivenApplication, agent_id: AgentName, user_id: UserName) -> wire.CountAnswer:
    """How many memories one agent has about one user: those that hold now, as a list shows them. How many are
    superseded or expired is in `/v1/memories/stats`.
    """
    count = await application.memory.count(agent_id=agent_id, user_id=user_id)
    return wire.CountAnswer(agent_id=agent_id, user_id=user_id, count=count)
