"""Looking after memories over HTTP: get, list, revise, supersede, many at once, forget many, erase."""

from collections.abc import Sequence
from typing import Annotated

from litestar import Response, delete, get, patch, post
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import json

from agent_memory.application.consolidation import Consolidation
from agent_memory.application.memory_keeping import MemoryKeeping
from agent_memory.application.remembering import Remembering
from agent_memory.bootstrap import Application
from agent_memory.domain.errors import Unavailable
from agent_memory.domain.semantic.duplicates import Remembered
from agent_memory.domain.semantic.memory import Memory, MemoryId
from agent_memory.entrypoints.http.admission import admit_write
from agent_memory.entrypoints.http.given import NOT_MODIFIED, AnyRequest, GivenApplication, answers, problems
from agent_memory.entrypoints.http.idempotency import IdempotencyKey, answer_once
from agent_memory.entrypoints.http.preconditions import IfMatch, IfNoneMatch, etag_of, is_known, versions_in
from agent_memory.entrypoints.http.routes.memories import AgentName, AnyUserName, UserName, located
from agent_memory.entrypoints.http.whole_names import user_in_path
from agent_memory.entrypoints.http.wire import batches
from agent_memory.entrypoints.http.wire import keeping as wire
from agent_memory.entrypoints.http.wire.decoding import StrictJSON

AnyAgentName = Annotated[str | None, QueryParameter(name="agent_id", min_length=1, max_length=128)]
_TAGS = ["memories"]


@get(
    "/v1/memories/{memory_id:str}",
    responses=problems(404) | answers(wire.WholeMemory, {200: "It is this"}) | NOT_MODIFIED,
    tags=_TAGS,
)
async def get_memory(
    memory_id: FromPath[str],
    application: GivenApplication,
    agent_id: AgentName,
    user_id: AnyUserName = None,
    *,
    if_none_match: IfNoneMatch = None,
) -> Response[bytes]:
    """One memory with all that it carries, superseded or expired though it may be. The ETag begins with its version;
    with If-None-Match, 304 if nothing of it has changed.
    """
    answer = _tagged(await _keeping(application).get(memory_id, agent_id=agent_id, user_id=user_id))
    if is_known(if_none_match, answer.headers["ETag"]):
        return Response(b"", status_code=304, headers=answer.headers)
    return answer


@post(
    "/v1/memories/list",
    dto=StrictJSON[wire.ListRequest],
    return_dto=None,
    status_code=200,
    responses=problems(),
    tags=_TAGS,
)
async def list_memories(data: JSONBody[wire.ListRequest], application: GivenApplication) -> wire.PageAnswer:
    """The memories that hold now and are selected, newest first, page by page; with `include_superseded` also those
    that are superseded, by what `superseded_by` names.
    """
    page = await _keeping(application).list(
        agent_id=data.agent_id,
        user_id=data.user_id,
        selection=wire.to_selection(data),
        cursor=data.cursor,
        limit=data.limit,
        include_superseded=data.include_superseded,
    )
    return wire.from_page(page)


@patch(
    "/v1/memories/{memory_id:str}",
    dto=StrictJSON[wire.Change],
    return_dto=None,
    responses=problems(404, 409, 412, 429) | answers(wire.WholeMemory, {200: "It is this now"}),
    tags=_TAGS,
)
async def revise_memory(
    memory_id: FromPath[str],
    data: JSONBody[wire.Change],
    application: GivenApplication,
    request: AnyRequest,
    agent_id: AgentName,
    *,
    user_id: AnyUserName = None,
    if_match: IfMatch = None,
) -> Response[bytes]:
    """Say some of it anew; the former version goes into its history. With `user_id`, only if it is about that user,
    and with If-Match, only if it is at that version: else 412.
    """
    version = versions_in(if_match)
    await admit_write(request, application, agent_id)
    revised = await _keeping(application).revise(
        memory_id, agent_id=agent_id, user_id=user_id, version=version, **wire.to_fields(data)
    )
    return _tagged(revised)


@get("/v1/memories/{memory_id:str}/history", responses=problems(404), tags=_TAGS)
async def memory_history(
    memory_id: FromPath[str], application: GivenApplication, agent_id: AgentName, user_id: AnyUserName = None
) -> wire.VersionsAnswer:
    """All it ever said, the newest version first; with `user_id`, only if it is about that user."""
    versions = await _keeping(application).history(memory_id, agent_id=agent_id, user_id=user_id)
    return wire.VersionsAnswer(versions=[wire.from_memory(version) for version in versions])


@post(
    "/v1/memories/{memory_id:str}/supersede",
    dto=StrictJSON[wire.Change],
    return_dto=None,
    responses=problems(404, 409, 410, 412, 429) | answers(wire.WholeMemory, {201: "Kept in its place"}),
    tags=_TAGS,
)
async def supersede_memory(
    memory_id: FromPath[str],
    data: JSONBody[wire.Change],
    application: GivenApplication,
    request: AnyRequest,
    agent_id: AgentName,
    *,
    user_id: AnyUserName = None,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Response[bytes]:
    """Remember what holds now in place of this memory, which stays, marked, and is no longer found by a search. With
    `user_id`, only if it is about that user, and with If-Match, only if it is at that version: else 412.
    """
    del idempotency_key  # told to the API's description; read where it matters
    version, keeping = versions_in(if_match), _keeping(application)
    await admit_write(request, application, agent_id)
    former = await keeping.get(memory_id, agent_id=agent_id, user_id=user_id)

    async def work(ids: Sequence[MemoryId]) -> tuple[int, wire.WholeMemory, list[MemoryId]]:
        fields = wire.to_fields(data)
        successor = await keeping.supersede(former.id, agent_id=agent_id, version=version, new_id=ids[0], **fields)
        return 201, wire.from_memory(successor), [successor.id]

    answer = await answer_once(request, application, agent_id, former.scope.user_id, work)
    answer.headers["ETag"] = etag_of(answer.content)  # as it was when it was new
    return located(answer, agent_id, former.scope.user_id)


@post(
    "/v1/memories/batch",
    dto=batches.BatchJSON,
    return_dto=None,
    status_code=200,
    responses=problems(410, 429) | answers(batches.BatchAnswer, {200: "A result for each"}),
    tags=_TAGS,
)
async def remember_batch(
    data: JSONBody[batches.Batch],
    application: GivenApplication,
    request: AnyRequest,
    idempotency_key: IdempotencyKey = None,
) -> Response[bytes]:
    """Keep up to 500 memories in one commit, as many as a body may hold: 500 of 8,000 characters are more than the 4 MB
    that it may have unless the server is set otherwise, and a 413. Each has a result of its own, in its place: kept,
    known already, or what is wrong, by the field and in the words in which it would be told alone; the others are kept.
    The whole batch counts as one write.
    """
    del idempotency_key  # told to the API's description; read where it matters
    await admit_write(request, application, data.agent_id)

    async def work(ids: Sequence[MemoryId]) -> tuple[int, batches.BatchAnswer, list[MemoryId]]:
        outcomes = await _remembering(application).remember_many(
            batches.to_batch(data.memories, ids),
            data.on_near_duplicate,
            agent_id=data.agent_id,
            user_id=data.user_id,
        )
        told = [outcome.memory.id for outcome in outcomes if isinstance(outcome, Remembered)]
        return 200, batches.BatchAnswer(results=[batches.from_outcome(outcome) for outcome in outcomes]), told

    return await answer_once(request, application, data.agent_id, data.user_id, work, memories=len(data.memories))


@post(
    "/v1/memories/condense",
    dto=StrictJSON[wire.CondenseRequest],
    return_dto=None,
    status_code=200,
    responses=problems(429),
    tags=_TAGS,
)
async def condense_memories(
    data: JSONBody[wire.CondenseRequest], application: GivenApplication, request: AnyRequest
) -> wire.CondenseAnswer:
    """Let one memory stand for the oldest episodic ones of this scope, now. They stay, and can be restored."""
    await admit_write(request, application, data.agent_id)
    made = await _consolidation(application).condense(agent_id=data.agent_id, user_id=data.user_id)
    return wire.CondenseAnswer(memory=None if made is None else wire.from_memory(made))


@post("/v1/memories/{memory_id:str}/restore", status_code=200, responses=problems(404, 409, 429), tags=_TAGS)
async def restore_memories(
    memory_id: FromPath[str],
    application: GivenApplication,
    request: AnyRequest,
    agent_id: AgentName,
    user_id: AnyUserName = None,
) -> wire.RestoreAnswer:
    """Bring back what this memory stands for, in its place; or this memory itself, if it has faded, or what superseded
    it holds no more. A condensed memory that was revised stays too. 409: what superseded it still holds, and is named.
    With `user_id`, only if it is about that user.
    """
    await admit_write(request, application, agent_id)
    restored = await _consolidation(application).restore(memory_id, agent_id=agent_id, user_id=user_id)
    return wire.RestoreAnswer(restored=restored)


@post(
    "/v1/memories/forget",
    dto=StrictJSON[wire.ForgetRequest],
    return_dto=None,
    status_code=200,
    responses=problems(429),
    tags=_TAGS,
)
async def forget_selected(
    data: JSONBody[wire.ForgetRequest], application: GivenApplication, request: AnyRequest
) -> wire.ForgetAnswer:
    """Forget all that is selected, of what holds and of what is superseded, also by what was condensed of it; with
    `dry_run` only count them.
    """
    await admit_write(request, application, data.agent_id)
    forgotten = await _keeping(application).forget_selected(
        agent_id=data.agent_id, user_id=data.user_id, selection=wire.to_selection(data), dry_run=data.dry_run
    )
    return wire.ForgetAnswer(forgotten=forgotten, dry_run=data.dry_run)


@delete("/v1/users/{user_id:str}", status_code=200, responses=problems(), tags=_TAGS)
async def erase_user(
    user_id: FromPath[str], application: GivenApplication, agent_id: AnyAgentName = None
) -> wire.ErasureAnswer:
    """Remove everything about a user for good, of one agent or of all; the answer is the receipt."""
    return wire.from_receipt(await _keeping(application).erase_user(user_in_path(user_id), agent_id=agent_id))


@get("/v1/memories/stats", responses=problems(), tags=_TAGS)
async def memory_stats(application: GivenApplication, agent_id: AgentName, user_id: UserName) -> wire.StatsAnswer:
    """What one agent holds about one user: how many, of which type and tags, since when."""
    return wire.from_inventory(await _keeping(application).inventory(agent_id=agent_id, user_id=user_id))


def _keeping(application: Application) -> MemoryKeeping:
    if application.keeping is None:
        raise Unavailable("the memories of this server cannot be looked after")
    return application.keeping


def _remembering(application: Application) -> Remembering:
    if application.remembering is None:
        raise Unavailable("this server keeps memories in a place that cannot be looked after")
    return application.remembering


def _consolidation(application: Application) -> Consolidation:
    if application.consolidation is None:
        raise Unavailable("the memories of this server cannot be condensed or restored")
    return application.consolidation


def _tagged(memory: Memory) -> Response[bytes]:
    body = json.encode(wire.from_memory(memory))
    return Response(body, media_type="application/json", headers={"ETag": etag_of(body)})
