"""Names of agents and users in HTTP: any text, in a header, a segment of a path or a query, and never mistaken for
another.

A segment is what was sent between two slashes, undecoded: so an id may hold slashes itself.
"""

from urllib.parse import quote, unquote, unquote_to_bytes

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.kv.agents import AgentName
from agent_memory.domain.tenants import Reach

AGENT_HEADER = "X-Agent-ID"
AGENTS = "/v1/agents/"
USERS = "/v1/users/"
IMPORT = AGENTS + "import"  # as a POST; an agent may be called so too
_CALLED_IMPORT = "~aW1wb3J0"
_UNSENT = {".": "~Lg", "..": "~Li4"}  # what no path can hold: clients take it out
ESCAPES = {escape: name for name, escape in _UNSENT.items()} | {_CALLED_IMPORT: "import"}


class WholeNames:
    """Around the routing. Below these paths a handler's path parameters are as they were sent, and it decodes them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP and scope["path"].startswith((AGENTS, USERS)):
            path = scope["raw_path"].decode("latin-1")
            taken = path == IMPORT and scope["method"] != "POST"
            scope["path"] = AGENTS + _CALLED_IMPORT if taken else path
        await self._app(scope, receive, send)


def agent_in_header(given: str | None, reach: Reach) -> AgentName | None:
    """Whom X-Agent-ID names; it may be UTF-8, or Latin-1 as HTTP once had it. An empty one names nobody. Raises
    Forbidden for whom the caller does not reach.
    """
    if not given:
        return None
    sent = given.encode("latin-1")
    try:
        name = sent.decode()
    except UnicodeDecodeError:
        name = given
    return _reached(AgentName.of(reach.tenant, name, AGENT_HEADER), reach)


def agent_in_path(segment: str, reach: Reach) -> AgentName:
    """Percent-encoded, or one of `ESCAPES`; an agent that is called as one of these has its `~` percent-encoded."""
    try:
        name = ESCAPES.get(segment) or unquote(segment, errors="strict")
    except ValueError:
        raise InvalidInput("agent_id", "is not percent-encoded UTF-8") from None
    return _reached(AgentName.of(reach.tenant, name), reach)


def user_in_path(segment: str) -> str:
    """Percent-encoded. Raises InvalidInput for what is not UTF-8: nobody else is meant by it."""
    try:
        return unquote(segment, errors="strict")
    except ValueError:
        raise InvalidInput("user_id", "is not percent-encoded UTF-8") from None


def check_query(query: bytes) -> None:
    """Raises InvalidInput for a parameter that is not UTF-8: whoever reads that all the same reads another name."""
    for parameter in query.split(b"&"):
        try:
            unquote_to_bytes(parameter).decode()
        except UnicodeDecodeError:
            name = unquote_to_bytes(parameter.partition(b"=")[0]).decode(errors="replace")
            raise InvalidInput(name, "is not percent-encoded UTF-8") from None


def _reached(name: AgentName, reach: Reach) -> AgentName:
    reach.agent(name.id)
    return name


def segment_of(agent_id: str) -> str:
    """What `agent_in_path` reads back."""
    if agent_id in ESCAPES:
        return "%7E" + agent_id[1:]
    return _UNSENT.get(agent_id) or quote(agent_id, safe="")
