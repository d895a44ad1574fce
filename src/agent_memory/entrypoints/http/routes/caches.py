"""The caches over HTTP: how full they are, and what of a prompt they would save."""

from litestar import get, post
from litestar.params import JSONBody

from agent_memory.domain.tenants import EVERYTHING
from agent_memory.entrypoints.http.given import GivenApplication, GivenReach, agents_only, operators_only, problems
from agent_memory.entrypoints.http.wire import agents as wire
from agent_memory.entrypoints.http.wire.decoding import StrictJSON
from agent_memory.entrypoints.http.wire.openai import ChatRequest, report_of, to_prompt

_TAGS = ["caches"]


@get("/v1/caches", guards=[agents_only], responses=problems(), tags=_TAGS)
async def show_caches(application: GivenApplication, reach: GivenReach) -> wire.CachesAnswer:
    """What the tiers hold, and may hold: all tenants' together, so only the default one is told; another hears how many
    agents it has, and a key of one agent whether there is that one: 1 or 0.
    """
    told = await application.agents.overview(reach.tenant, reach.agent_id)
    return wire.from_overview(application.models.ready().model_id, told, whole=reach == EVERYTHING)


@post("/v1/caches/verify", status_code=200, responses=problems(), tags=_TAGS)
async def verify_caches(application: GivenApplication, reach: GivenReach) -> wire.VerifyAnswer:
    """Read every block file and check its digest. Nothing is changed: the next reader puts what is damaged aside."""
    operators_only(reach)
    return wire.from_verdict(await application.upkeep.verify())


@post("/v1/caches/gc", status_code=200, responses=problems(), tags=_TAGS)
async def collect_caches(application: GivenApplication, reach: GivenReach) -> wire.CollectAnswer:
    """Remove expired agents, blocks that no chain leads to, and files that were put aside as damaged."""
    operators_only(reach)
    return wire.from_collection(await application.upkeep.collect())


@post(
    "/v1/caches/explain",
    dto=StrictJSON[wire.ExplainRequest],
    return_dto=None,
    status_code=200,
    responses=problems(429),
    tags=_TAGS,
)
async def explain_prompt(
    data: JSONBody[wire.ExplainRequest], application: GivenApplication, reach: GivenReach
) -> wire.ExplainAnswer:
    """How many tokens of these messages would not have to be read, from which tier they would come, and where the first
    lies that differs from all that is stored. Nothing is computed.
    """
    asked = ChatRequest(messages=data.messages, tools=data.tools, max_tokens=1, x_cache=True)
    prompt = to_prompt(asked, application.plan).within(reach)
    finish = await application.models.ready().foresee(prompt)
    return wire.ExplainAnswer(
        prompt_tokens=finish.prompt_tokens, cached_tokens=finish.cached_tokens, x_cache=report_of(finish)
    )
