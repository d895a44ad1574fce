"""Whose memories a caller may speak of: fixed by the key, the address or the command line, or else said in each call.

An address is /mcp, /mcp/{agent_id} or /mcp/{agent_id}/{user_id}; agent_id and user_id may stand in its query as well.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from litestar import Request
from litestar.exceptions import NotFoundException
from litestar.types import HTTPScope

from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.keys import Caller
from agent_memory.domain.semantic.checks import check_text
from agent_memory.domain.semantic.memory import LONGEST_NAME
from agent_memory.domain.tenants import EVERYTHING, Reach
from agent_memory.entrypoints.http.given import AnyRequest, caller_of
from agent_memory.entrypoints.http.whole_names import check_query
from agent_memory.entrypoints.mcp import PATH

NAMES = ("agent_id", "user_id")


@dataclass(frozen=True, slots=True)
class Whose:
    """What a connection fixes. `caller` is who sent a request over HTTP; without one it is the process of somebody on
    this machine, whose calls reach all of the default tenant, and have no limits.
    """

    agent_id: str | None = None
    user_id: str | None = None
    caller: Caller | None = None

    def __post_init__(self) -> None:
        for name, value in self.fixed.items():
            check_text(name, value, LONGEST_NAME)

    @property
    def reach(self) -> Reach:
        return EVERYTHING if self.caller is None else self.caller.reach

    @property
    def fixed(self) -> dict[str, str]:
        return {name: value for name in NAMES if (value := getattr(self, name)) is not None}

    @property
    def left_open(self) -> tuple[str, ...]:
        return tuple(name for name in NAMES if getattr(self, name) is None)

    def completed(self, arguments: Mapping[str, object]) -> dict[str, object]:
        """The arguments with what is fixed. Raises InvalidInput where they say something else."""
        for name, value in self.fixed.items():
            if arguments.get(name, value) != value:
                raise InvalidInput(name, "is fixed by this connection: leave it out")
        return {**arguments, **self.fixed}


def whose_of(scope: HTTPScope) -> Whose:
    """The one place where a request over HTTP is turned into a tenant, an agent and a user: what its key does not fix,
    its address may. Raises Forbidden where the address names what the key does not reach.
    """
    named, caller = _named(Request(scope), scope["raw_path"]), caller_of(scope)
    agent_id, user_id = caller.reach.agent(named.get("agent_id")), caller.reach.user(named.get("user_id"))
    return Whose(agent_id, user_id, caller)


def _named(request: AnyRequest, raw_path: bytes) -> dict[str, str]:
    named = _in_path(raw_path)
    check_query(request.scope["query_string"])
    for name in NAMES:
        given = request.query_params.get(name)
        if given is not None and named.setdefault(name, given) != given:
            raise InvalidInput(name, "the path and the query of the address name different ones")
    return named


def _in_path(raw_path: bytes) -> dict[str, str]:
    rest = raw_path.decode("latin-1").removeprefix(PATH)
    segments = rest.rstrip("/").split("/")
    if segments[0] or len(segments) > 1 + len(NAMES):
        raise NotFoundException(
            detail=f"the addresses are {PATH}, {PATH}/{{agent_id}} and {PATH}/{{agent_id}}/{{user_id}}"
        )
    try:
        return {name: unquote(segment, errors="strict") for name, segment in zip(NAMES, segments[1:], strict=False)}
    except UnicodeDecodeError:
        raise InvalidInput("path", "is not percent-encoded UTF-8") from None
