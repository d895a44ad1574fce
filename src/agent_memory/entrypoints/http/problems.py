"""What went wrong, as an HTTP answer: one table from errors to statuses, three ways to write it down.

Our own routes answer RFC 9457 problems, OpenAI's and Anthropic's routes the shape their clients parse. An unexpected
error's text is never shown: it goes to the log, under the request's id.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http.client import responses
from math import ceil
from urllib.parse import quote

from litestar.exceptions import HTTPException, ValidationException

from agent_memory.application.prompt import ContextExceeded
from agent_memory.domain import errors
from agent_memory.entrypoints.http.wire import anthropic_answers as anthropic
from agent_memory.entrypoints.http.wire.openai import ErrorAnswer, ErrorBody
from agent_memory.entrypoints.http.wire.problems import FieldProblem, Problem

URN = "urn:agent-memory:problem:"


@dataclass(frozen=True, slots=True)
class Kind:
    """One row: what our problem says, and what OpenAI's clients are told where that differs."""

    status: int
    slug: str
    title: str
    openai_type: str = "invalid_request_error"
    openai_code: str | None = None
    openai_status: int | None = None


INTERNAL = Kind(500, "internal", "Something broke inside the server", "server_error", "internal_error")

KINDS: Mapping[type[errors.AgentMemoryError], Kind] = {
    errors.InvalidInput: Kind(422, "invalid-input", "The request is not valid", openai_status=400),
    errors.NotFound: Kind(404, "not-found", "What was named does not exist", openai_code="not_found"),
    errors.Forgotten: Kind(410, "forgotten", "What it has told is forgotten", openai_code="forgotten"),
    errors.Conflict: Kind(409, "conflict", "The current state forbids the request", openai_code="conflict"),
    errors.StaleVersion: Kind(412, "stale-version", "It is not at that version", openai_code="stale_version"),
    errors.Forbidden: Kind(403, "forbidden", "This is not allowed", "permission_error", "forbidden"),
    errors.RateLimited: Kind(429, "rate-limited", "You asked too often", "rate_limit_error", "rate_limited"),
    errors.Overloaded: Kind(429, "overloaded", "The server is busy", "rate_limit_error", "overloaded"),
    errors.Unavailable: Kind(503, "unavailable", "A part cannot be reached", "server_error", "unavailable"),
    errors.GenerationFailed: Kind(500, "generation-failed", "The model failed", "server_error", "generation_failed"),
    errors.DeadlineExceeded: Kind(504, "deadline-exceeded", "It took too long", "server_error", "deadline_exceeded"),
    errors.CorruptBlock: INTERNAL,
    errors.Misconfigured: INTERNAL,
}

MODEL_NOT_FOUND = Kind(404, "not-found", "What was named does not exist", openai_code="model_not_found")
CONTEXT_EXCEEDED = replace(KINDS[errors.InvalidInput], openai_code="context_length_exceeded")

HTTP_KINDS: Mapping[int, Kind] = {
    400: Kind(400, "malformed-request", "The request cannot be read", openai_code="malformed_request"),
    401: Kind(401, "unauthorized", "A key is needed", "authentication_error", "unauthorized"),
    403: Kind(403, "forbidden", "This is not allowed", "permission_error", "forbidden"),
    404: Kind(404, "no-such-route", "There is nothing at this path", openai_code="unknown_url"),
    405: Kind(405, "method-not-allowed", "This path does not take this method", openai_code="method_not_allowed"),
    408: Kind(408, "body-too-slow", "The request body does not come", openai_code="body_too_slow"),
    413: Kind(413, "body-too-large", "The request body is too large", openai_code="body_too_large"),
    415: Kind(415, "unread-encoding", "The request body comes encoded", openai_code="unread_encoding"),
    421: Kind(421, "wrong-host", "This server has another name"),
    499: Kind(499, "client-gone", "The client left before the answer"),
}


_ANTHROPIC_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    503: "api_error",
    504: "timeout_error",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One failed request, before it is written in anyone's shape. A field `in_address` is no part of the body."""

    kind: Kind
    detail: str
    field: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    in_address: bool = False


def fault_of(error: Exception) -> Fault:
    match error:
        case errors.AgentMemoryError() if _kind(error) is not INTERNAL:
            return _our_fault(error)
        case ValidationException():
            return _invalid_parameter(error)
        case HTTPException() if error.status_code in HTTP_KINDS:
            kind = HTTP_KINDS[error.status_code]
            detail = error.detail if error.detail != responses.get(kind.status) else kind.title
            return Fault(kind, detail, headers=tuple((error.headers or {}).items()))
        case _:
            return Fault(INTERNAL, "an unexpected error; the server's log tells more under this request's id")


def problem(fault: Fault, *, path: str, request_id: str, in_body: bool) -> Problem:
    """RFC 9457."""
    return Problem(
        type=URN + fault.kind.slug,
        title=fault.kind.title,
        status=fault.kind.status,
        detail=fault.detail,
        instance=path,
        request_id=request_id,
        errors=[_field_problem(fault.detail, fault.field, in_body=in_body)] if fault.field else [],
    )


def openai_error(fault: Fault) -> ErrorAnswer:
    kind = fault.kind
    return ErrorAnswer(ErrorBody(fault.detail, kind.openai_type, fault.field, kind.openai_code))


def anthropic_error(fault: Fault, request_id: str) -> anthropic.ErrorAnswer:
    kind = _ANTHROPIC_TYPES.get(openai_status(fault), "invalid_request_error")
    return anthropic.ErrorAnswer(anthropic.ErrorBody(kind, fault.detail), request_id)


def openai_status(fault: Fault) -> int:
    return fault.kind.openai_status or fault.kind.status


def _our_fault(error: errors.AgentMemoryError) -> Fault:
    match error:
        case ContextExceeded():
            return Fault(CONTEXT_EXCEEDED, str(error), error.field)
        case errors.InvalidInput():
            return Fault(_kind(error), str(error), error.field)
        case errors.NotFound(kind="model"):
            return Fault(MODEL_NOT_FOUND, f"{error}; GET /v1/models shows what is loaded", "model")
        case errors.RateLimited() | errors.Overloaded() | errors.Unavailable() if error.retry_after is not None:
            return Fault(_kind(error), str(error), headers=(("Retry-After", str(ceil(error.retry_after))),))
        case _:
            return Fault(_kind(error), str(error))


def _kind(error: errors.AgentMemoryError) -> Kind:
    return next((KINDS[ancestor] for ancestor in type(error).__mro__ if ancestor in KINDS), INTERNAL)


def _invalid_parameter(error: ValidationException) -> Fault:
    """Litestar's complaint about a query parameter; a missing one is named in the detail only."""
    complaint = error.extra[0] if isinstance(error.extra, list) and error.extra else {}
    if complaint.get("key") == "data":
        return Fault(HTTP_KINDS[400], "the body is empty: send a JSON object")
    missing = re.match(r"Missing required (?:query )?parameter '(\w+)'", error.detail)
    field = missing[1] if missing else str(complaint.get("key", "request"))
    reason = "is required" if missing else str(complaint.get("message", error.detail)).replace("`", "")
    return Fault(KINDS[errors.InvalidInput], f"{field}: {reason}", field, in_address=True)


def _field_problem(detail: str, field: str, *, in_body: bool) -> FieldProblem:
    if in_body:
        return FieldProblem(detail=detail, pointer=_pointer(field))
    return FieldProblem(detail=detail, parameter=field)


def _pointer(field: str) -> str:
    """messages[0].role -> #/messages/0/role, as RFC 6901 has it in a fragment."""
    steps = re.sub(r"\[(\d+)\]", r".\1", field).strip(".").split(".")
    return "#/" + "/".join(quote(step.replace("~", "~0").replace("/", "~1"), safe="~") for step in steps)
