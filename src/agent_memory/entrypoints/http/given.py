"""What handlers have in common: what they may ask for by name, and the answers that any of them may give."""

from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import SkipValidation
from litestar.types import Scope
from msgspec import Struct

from agent_memory.bootstrap import Application
from agent_memory.domain.errors import Forbidden, InvalidInput
from agent_memory.domain.keys import Caller
from agent_memory.domain.tenants import EVERYTHING, Reach
from agent_memory.entrypoints.http.wire.anthropic_answers import ErrorAnswer as AnthropicError
from agent_memory.entrypoints.http.wire.openai import ErrorAnswer
from agent_memory.entrypoints.http.wire.problems import Problem

AnyRequest = Request[object, object, State]
AnyConnection = ASGIConnection[Any, Any, Any, Any]
GivenApplication = NamedDependency[SkipValidation[Application]]
GivenReach = NamedDependency[SkipValidation[Reach]]


TIMEOUT_HEADER = "X-Request-Timeout"
_MAX_SECONDS = 86_400.0


CALLER = "caller"


def caller_of(scope: Scope) -> Caller:
    """Who sent a request, as the door found it in an ASGI scope."""
    caller: Caller = scope["state"][CALLER]
    return caller


def reach_of(request: AnyRequest) -> Reach:
    """How far the key of a request reaches."""
    return caller_of(request.scope).reach


def tenant_of(request: AnyRequest) -> str:
    """Whose memories, agents and blocks a request may see."""
    return reach_of(request).tenant


def operators_only(reach: Reach) -> None:
    """Raises Forbidden for whoever may not ask for, or do, what concerns all tenants together."""
    if reach != EVERYTHING:
        raise Forbidden("this concerns all tenants: it needs a key of the default tenant that is for all of it")


def agents_only(connection: AnyConnection, handler: BaseRouteHandler) -> None:
    """A guard. Raises Forbidden for a key of a user only: an agent's tokens are of all users it speaks with."""
    del handler
    reach = caller_of(connection.scope).reach
    if reach.user_id is not None and reach.agent_id is None:
        told = "and agents are of all their users: this needs a key that is for the agent, or for all of the tenant"
        raise Forbidden(f"this key is for the user {reach.user_id!r} only, {told}")


def seconds_allowed(request: AnyRequest) -> float | None:
    """How long the answer may take, if the request says so."""
    given = request.headers.get(TIMEOUT_HEADER)
    if given is None:
        return None
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= _MAX_SECONDS:
        raise InvalidInput(TIMEOUT_HEADER, f"must be a number of seconds above 0, up to {_MAX_SECONDS:g}")
    return seconds


def answers(shape: type[Struct], told: dict[int, str], media_type: str = "application/json") -> dict[int, ResponseSpec]:
    """For the OpenAPI document: status -> what it means, all in one shape."""
    return {
        status: ResponseSpec(shape, description=meaning, generate_examples=False, media_type=media_type)
        for status, meaning in told.items()
    }


NOT_MODIFIED = {304: ResponseSpec(None, description="It is as `If-None-Match` names it", generate_examples=False)}


def problems(*also: int) -> dict[int, ResponseSpec]:
    """What any of our own routes may answer, and these."""
    return _problems(400, 401, 403, 413, 415, 421, 422, 500, 503, *also)


def refusals() -> dict[int, ResponseSpec]:
    """What also those routes may answer that are open to everybody."""
    return _problems(403, 413, 415, 421, 500)


def _problems(*statuses: int) -> dict[int, ResponseSpec]:
    return answers(Problem, {status: _MEANINGS[status] for status in statuses}, "application/problem+json")


def openai_errors() -> dict[int, ResponseSpec]:
    return answers(ErrorAnswer, {status: _MEANINGS[status] for status in _OF_VENDORS})


def anthropic_errors() -> dict[int, ResponseSpec]:
    return answers(AnthropicError, {status: _MEANINGS[status] for status in _OF_VENDORS})


_OF_VENDORS = (400, 401, 403, 404, 413, 415, 421, 429, 500, 503, 504)

_MEANINGS = {
    400: "The request cannot be read, or on OpenAI's routes: is not valid",
    401: "The key is missing or wrong",
    403: "The key, or the page that asks, may not do this; the detail says why",
    404: "What was named does not exist",
    408: "Nothing came of the body for too long",
    409: "The current state forbids it; the detail says why",
    410: "What the same request has told before is forgotten",
    412: "It is not at the version that `If-Match` names",
    413: "The body is too large",
    415: "The body is compressed, or encoded in another way",
    421: "The server does not answer under this name",
    422: "A field is not valid; it is named",
    429: "The server is busy; Retry-After says for how long",
    500: "Something broke inside the server",
    503: "A part of the server cannot be reached",
    504: "The answer was not complete in the time that the request or the server allows",
}
