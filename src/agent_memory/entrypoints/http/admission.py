"""Whether a request may pass its limits, and the headers that tell the client how much of them is left.

A request stands for its agent, and for its API key if it brings one: either may have had enough.
"""

from math import ceil

from litestar.datastructures import MutableScopeHeaders
from litestar.types import Message, Scope

from agent_memory.application.admission import SEARCHES, WRITES
from agent_memory.bootstrap import Application
from agent_memory.domain.errors import RateLimited
from agent_memory.domain.keys import Caller
from agent_memory.domain.semantic.memory import check_who
from agent_memory.domain.tenants import DEFAULT_TENANT
from agent_memory.entrypoints.http.given import AnyRequest, caller_of

_STATE = "limits"


async def admit_write(request: AnyRequest, application: Application, agent_id: str) -> None:
    await _admit(request, application, WRITES, agent_id)


async def admit_search(request: AnyRequest, application: Application, agent_id: str) -> None:
    await _admit(request, application, SEARCHES, agent_id)


async def tell_limits(message: Message, scope: Scope) -> None:
    """RateLimit and RateLimit-Policy, as the IETF's draft has them, on what has passed and what has not."""
    told = scope.get("state", {}).get(_STATE)
    if message["type"] == "http.response.start" and told is not None:
        headers = MutableScopeHeaders.from_message(message)
        for name, value in told.items():
            headers[name] = value


async def _admit(request: AnyRequest, application: Application, kind: str, agent_id: str) -> None:
    limit = application.gate.limit_of(kind)
    if limit is None:
        return
    asking = callers(agent_id, caller_of(request.scope))
    told = {"RateLimit-Policy": f'"{kind}";q={limit.calls};w={ceil(limit.window.total_seconds())}'}
    request.scope["state"][_STATE] = told
    try:
        admission = await application.gate.admit(kind, *asking)
    except RateLimited as refusal:
        told["RateLimit"] = f'"{kind}";r=0;t={ceil(refusal.retry_after)}'
        raise
    if admission is not None:
        told["RateLimit"] = f'"{kind}";r={admission.remaining};t={ceil(admission.free_in)}'


def callers(agent_id: str, caller: Caller) -> list[str]:
    """Who has to have places left for a call to pass. No tenant's name has a slash or a space.

    Raises InvalidInput for what is no agent's name, and Forbidden for an agent that the caller does not reach: neither
    is counted.
    """
    check_who(agent_id)
    caller.reach.agent(agent_id)
    whose = "" if caller.reach.tenant == DEFAULT_TENANT else f"{caller.reach.tenant}/"
    return [f"{whose}agent {agent_id}", *([f"key {caller.id}"] if caller.id else [])]
