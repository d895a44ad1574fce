"""The HTTP edge's one place where every exception becomes an answer; what nobody expected is logged here."""

import logging
from urllib.parse import quote

from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.types import ASGIApp, HTTPScope
from msgspec import json

from agent_memory.entrypoints.http.given import AnyRequest
from agent_memory.entrypoints.http.problems import (
    INTERNAL,
    Fault,
    anthropic_error,
    fault_of,
    openai_error,
    openai_status,
    problem,
)
from agent_memory.entrypoints.http.request_log import request_id
from agent_memory.entrypoints.http.streaming import event

OPENAI_ROUTES = ("/v1/chat/", "/v1/models", "/v1/completions", "/v1/embeddings", "/v1/responses")
ANTHROPIC_ROUTES = ("/v1/messages",)
ANTHROPIC_HEADER = "anthropic-version"

_log = logging.getLogger("agent_memory.http")


def on_error(request: AnyRequest, error: Exception) -> Response[bytes]:
    fault = logged_fault_of(error)
    path = request.scope["path"]
    openai = path.startswith(OPENAI_ROUTES)
    if path.startswith(ANTHROPIC_ROUTES) or (openai and ANTHROPIC_HEADER in request.headers):
        told_so = anthropic_error(fault, request_id.get())
        body, status, media = json.encode(told_so), openai_status(fault), "application/json"
    elif openai:
        body, status, media = json.encode(openai_error(fault)), openai_status(fault), "application/json"
    else:
        told = problem(fault, path=_as_sent(request), request_id=request_id.get(), in_body=_is_in_body(request, fault))
        body, status, media = json.encode(told), fault.kind.status, "application/problem+json"
    return Response(body, status_code=status, media_type=media, headers=dict(fault.headers))


def _as_sent(request: AnyRequest) -> str:
    """The whole path as a URI has it: what is mounted sees a part of it, and an id may hold any letter."""
    return quote(request.scope["raw_path"], safe="/%:@!$&'()*+,;=~")


def _is_in_body(request: AnyRequest, fault: Fault) -> bool:
    """Where the field is that is wrong; headers' names alone begin with a capital."""
    field = fault.field or ""
    elsewhere = fault.in_address or field[:1].isupper() or field in request.scope.get("path_params", {})
    return request.method in ("POST", "PUT", "PATCH") and not elsewhere and field not in request.query_params


def answer_to(scope: HTTPScope, error: Exception) -> ASGIApp:
    """The answer of whoever refuses a request before it is routed."""
    request: AnyRequest = Request(scope)
    return on_error(request, error).to_asgi_response(None, request)


def error_event(error: BaseException) -> bytes:
    """OpenAI's shape inside a stream that has begun."""
    fault = logged_fault_of(error if isinstance(error, Exception) else RuntimeError(str(error)))
    return b"data: " + json.encode(openai_error(fault)) + b"\n\ndata: [DONE]\n\n"


def anthropic_error_event(error: BaseException) -> bytes:
    """Anthropic's shape inside a stream that has begun."""
    fault = logged_fault_of(error if isinstance(error, Exception) else RuntimeError(str(error)))
    return event(json.encode(anthropic_error(fault, request_id.get())), "error")


def logged_fault_of(error: Exception) -> Fault:
    fault = fault_of(error)
    if fault.kind is INTERNAL:
        _log.error("unexpected error", exc_info=error)
    elif fault.kind.status >= 500 and not isinstance(error, HTTPException):
        _log.error("%s: %s", type(error).__name__, error)
    return fault
