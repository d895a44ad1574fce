"""Agents over HTTP: make, list, look at, pin, limit, warm, fork, export, import, speak, remove."""

from typing import Annotated
from uuid import uuid4

from litestar import delete, get, post, put
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.response import Stream

from agent_memory.application.conversation import Message, Prompt, Sampling
from agent_memory.application.replies import whole
from agent_memory.bootstrap import Application
from agent_memory.domain.kv.agents import AgentName
from agent_memory.domain.tenants import Reach
from agent_memory.entrypoints.http.given import AnyRequest, GivenApplication, GivenReach, problems, seconds_allowed
from agent_memory.entrypoints.http.receiving import received
from agent_memory.entrypoints.http.streaming import begun, while_connected
from agent_memory.entrypoints.http.whole_names import IMPORT, agent_in_path
from agent_memory.entrypoints.http.wire import agents as wire
from agent_memory.entrypoints.http.wire.decoding import StrictJSON

BUNDLE = "application/x-tar"

AgentPath = FromPath[str]
NewId = Annotated[str | None, QueryParameter(name="agent_id", min_length=1, max_length=256)]
Cursor = Annotated[str | None, QueryParameter(name="cursor", max_length=2048)]
Limit = Annotated[int, QueryParameter(name="limit", ge=1, le=200)]
_TAGS = ["agents"]


@post("/v1/agents", dto=StrictJSON[wire.NewAgent], return_dto=None, responses=problems(409), tags=_TAGS)
async def create_agent(
    data: JSONBody[wire.NewAgent], application: GivenApplication, reach: GivenReach
) -> wire.AgentAnswer:
    """Make an agent before its first turn; a turn that names one makes it as well."""
    name = _new(data.agent_id, reach)
    return wire.from_held(await application.agents.create(name, data.ttl_seconds, pinned=data.pinned))


@get("/v1/agents", responses=problems(), tags=_TAGS)
async def list_agents(
    application: GivenApplication, reach: GivenReach, cursor: Cursor = None, limit: Limit = 50
) -> wire.AgentsAnswer:
    """The agents in the order of their ids, page by page."""
    if reach.agent_id is None:
        return wire.from_page(await application.agents.list(reach.tenant, cursor, limit))
    return wire.from_page(await application.agents.only(AgentName(reach.tenant, reach.agent_id)))


@get("/v1/agents/{agent_id:str}", responses=problems(404), tags=_TAGS)
async def get_agent(agent_id: AgentPath, application: GivenApplication, reach: GivenReach) -> wire.AgentAnswer:
    """What it did, and where its blocks are."""
    return wire.from_held(await application.agents.get(agent_in_path(agent_id, reach)))


@delete("/v1/agents/{agent_id:str}", responses=problems(404, 409), tags=_TAGS)
async def remove_agent(
    agent_id: AgentPath, application: GivenApplication, reach: GivenReach, *, evict_only: FromQuery[bool] = False
) -> None:
    """Remove the agent, and the blocks that nobody else needs; with `evict_only`, only let them out of memory."""
    name = agent_in_path(agent_id, reach)
    if evict_only:
        await application.agents.cool(name)
    else:
        await application.agents.remove(name)


@post("/v1/agents/{agent_id:str}/pin", status_code=200, responses=problems(404, 409), tags=_TAGS)
async def pin_agent(agent_id: AgentPath, application: GivenApplication, reach: GivenReach) -> wire.AgentAnswer:
    """Its blocks stay in every tier they are in, those of later turns too. At most half of a budget may be pinned."""
    return wire.from_held(await application.agents.pin(agent_in_path(agent_id, reach)))


@post("/v1/agents/{agent_id:str}/unpin", status_code=200, responses=problems(404), tags=_TAGS)
async def unpin_agent(agent_id: AgentPath, application: GivenApplication, reach: GivenReach) -> wire.AgentAnswer:
    """Its blocks go in their turn again."""
    return wire.from_held(await application.agents.unpin(agent_in_path(agent_id, reach)))


@put(
    "/v1/agents/{agent_id:str}/ttl",
    dto=StrictJSON[wire.TimeToLive],
    return_dto=None,
    responses=problems(404),
    tags=_TAGS,
)
async def limit_agent(
    agent_id: AgentPath, data: JSONBody[wire.TimeToLive], application: GivenApplication, reach: GivenReach
) -> wire.AgentAnswer:
    """So long after its last use it goes, pinned or not, and its own blocks with it; null: it stays."""
    return wire.from_held(await application.agents.limit(agent_in_path(agent_id, reach), data.ttl_seconds))


@post("/v1/agents/{agent_id:str}/warm", status_code=200, responses=problems(404, 409), tags=_TAGS)
async def warm_agent(agent_id: AgentPath, application: GivenApplication, reach: GivenReach) -> wire.WarmAnswer:
    """Bring its blocks from disk into memory, so that its next turn begins at once."""
    return wire.from_warmth(await application.agents.warm(agent_in_path(agent_id, reach)))


@post(
    "/v1/agents/{agent_id:str}/fork",
    dto=StrictJSON[wire.Fork],
    return_dto=None,
    responses=problems(404, 409),
    tags=_TAGS,
)
async def fork_agent(
    agent_id: AgentPath, data: JSONBody[wire.Fork], application: GivenApplication, reach: GivenReach
) -> wire.AgentAnswer:
    """Another agent that goes on from the same blocks. Nothing is copied."""
    into = _new(data.agent_id, reach)
    return wire.from_held(await application.agents.fork(agent_in_path(agent_id, reach), into))


@get(
    "/v1/agents/{agent_id:str}/export",
    responses={
        200: ResponseSpec(bytes, description="The file", media_type=BUNDLE, generate_examples=False),
        **problems(404, 409),
    },
    tags=_TAGS,
)
async def export_agent(agent_id: AgentPath, application: GivenApplication, reach: GivenReach) -> Stream:
    """The agent as one file, which another machine with the same model can take in. Its end proves it whole."""
    pieces = application.agents.export(agent_in_path(agent_id, reach))
    headers = {"Content-Disposition": 'attachment; filename="agent.tar"'}
    return Stream(await begun(pieces), media_type=BUNDLE, headers=headers)


@post(IMPORT, responses=problems(408, 409, 429), tags=_TAGS)
async def import_agent(
    request: AnyRequest, application: GivenApplication, reach: GivenReach, agent_id: NewId = None
) -> wire.ArrivalAnswer:
    """Take in what `export` made, under its own id or another. A file that is damaged in any way is refused whole, and
    so is that of another model. Two of a tenant at a time, and four in all: beyond that, 429.
    """
    settings, into = application.settings, reach.agent(agent_id)
    with application.agents.arrivals.take(reach.tenant):
        async with received(request.receive, settings.data_folder, settings.cache.disk_budget_mb << 20) as file:
            return wire.from_arrival(await application.agents.load(file, reach.tenant, into))


@post(
    "/v1/agents/{agent_id:str}/generate",
    dto=StrictJSON[wire.GenerateRequest],
    return_dto=None,
    status_code=200,
    responses=problems(404, 429, 504),
    tags=_TAGS,
)
async def generate(
    agent_id: AgentPath,
    data: JSONBody[wire.GenerateRequest],
    request: AnyRequest,
    application: GivenApplication,
    reach: GivenReach,
) -> wire.GenerateAnswer:
    """One question and its answer, as a turn of this agent: what chat does with one message and its id."""
    plan, name = application.plan, agent_in_path(agent_id, reach)
    temperature = plan.temperature if data.temperature is None else data.temperature
    prompt = Prompt(
        (Message("user", data.prompt),),
        Sampling(temperature, plan.top_p),
        data.max_tokens,
        seconds=seconds_allowed(request),
        agent=name,
        stored=not data.no_store,
    ).within(reach)
    return await while_connected(request.receive, _generate(application, prompt, name))


def _new(agent_id: str | None, reach: Reach) -> AgentName:
    return AgentName.of(reach.tenant, reach.agent(agent_id) or uuid4().hex)


async def _generate(application: Application, prompt: Prompt, name: AgentName) -> wire.GenerateAnswer:
    answer = await whole(application.models.ready().reply(prompt))
    tokens = (await application.agents.get(name)).agent.tokens if prompt.stored else 0
    return wire.GenerateAnswer(
        text=answer.text,
        tokens_generated=answer.ended.completion_tokens,
        finish_reason=answer.ended.reason,
        cached_tokens=answer.ended.cached_tokens,
        cache_size_tokens=tokens,
    )
