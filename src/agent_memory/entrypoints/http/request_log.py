"""The outermost layer: every request gets an id, one log line and its place in the metrics, however it ends.

It knows paths and statuses, never contents.
"""

import logging
import re
import time
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from uuid import uuid4

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send
from prometheus_client import CollectorRegistry, Counter, Histogram
from structlog.contextvars import bind_contextvars, reset_contextvars

request_id: ContextVar[str] = ContextVar("request_id", default="")

_SAFE_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"}
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_log = logging.getLogger("agent_memory.http")


@dataclass(slots=True)
class _Exchange:
    """One request on its way through. 499 is what it ends as if its client left before an answer began."""

    scope: HTTPScope
    id: str
    started: float
    begun: float | None = None
    status: int = 499

    @property
    def method(self) -> str:
        return self.scope["method"] if self.scope["method"] in _METHODS else "other"

    @property
    def route(self) -> str:
        return self.scope.get("path_template") or "unmatched"

    def sending(self, send: Send) -> Send:
        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.begun, self.status = time.perf_counter(), message["status"]
                named = [(name, self.id.encode()) for name in (b"x-request-id", b"request-id")]  # Anthropic's has no x
                message["headers"] = [*message.get("headers", ()), *named]
            await send(message)

        return send_with_id


class RequestLog:
    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self._app = app
        requests = Counter(
            "agent_memory_http_requests",
            "Requests answered, by route template",
            ["method", "route", "status"],
            registry=registry,
        )
        self._requests = cache(requests.labels)  # which are looked for under a lock
        self._begin, self._end = (
            cache(
                Histogram(
                    f"agent_memory_http_{name}_seconds", told, ["method", "route"], buckets=_SECONDS, registry=registry
                ).labels
            )
            for name, told in (
                ("first_byte", "From a request to the first byte of its answer; of a stream, to its first token"),
                ("request_duration", "From a request to the last byte of its answer"),
            )
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, _id_of(scope), time.perf_counter())
        token, bound = request_id.set(exchange.id), bind_contextvars(request_id=exchange.id)
        try:
            await self._app(scope, receive, exchange.sending(send))
        finally:
            self._record(exchange, time.perf_counter())
            reset_contextvars(**bound)
            request_id.reset(token)

    def _record(self, exchange: _Exchange, now: float) -> None:
        method, route, seconds = exchange.method, exchange.route, now - exchange.started
        self._requests(method, route, exchange.status).inc()
        self._end(method, route).observe(seconds)
        if exchange.begun is not None:
            self._begin(method, route).observe(exchange.begun - exchange.started)
        level = logging.DEBUG if route.startswith(("/health", "/metrics")) else logging.INFO
        path = ascii(exchange.scope["path"])[1:-1]
        _log.log(level, "%s %s %s in %.3f s", method, path, exchange.status, seconds)


def _id_of(scope: HTTPScope) -> str:
    """The client's own id where it is fit for headers and logs, otherwise a new one."""
    given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
    return given.decode() if _SAFE_ID.fullmatch(given) else uuid4().hex
