"""The outermost layer: every request gets an id, one log line and its place in the metrics, however it ends.

It knows paths and statuses, never contents.
"""

import logging
import re
import time
from contextvars import ContextVar
from uuid import uuid4

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send
from prometheus_client import CollectorRegistry, Counter, Histogram
from structlog.contextvars import bound_contextvars

request_id: ContextVar[str] = ContextVar("request_id", default="")

_SAFE_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"}
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_log = logging.getLogger("agent_memory.http")


class RequestLog:
    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self._app = app
        self._requests = Counter(
            "agent_memory_http_requests",
            "Requests answered, by route template",
            ["method", "route", "status"],
            registry=registry,
        )
        self._seconds = Histogram(
            "agent_memory_http_request_duration_seconds",
            "From the first byte of a request to the last of its answer",
            ["method", "route"],
            buckets=_SECONDS,
            registry=registry,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        name = _id_of(scope)
        status = 499  # what a request is that its client left before an answer began
        started = time.perf_counter()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", name.encode())]
            await send(message)

        token = request_id.set(name)
        try:
            with bound_contextvars(request_id=name):
                try:
                    await self._app(scope, receive, send_with_id)
                finally:
                    self._record(scope, status, time.perf_counter() - started)
        finally:
            request_id.reset(token)

    def _record(self, scope: HTTPScope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "other"
        route = scope.get("path_template") or "unmatched"
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)
        quiet = route.startswith(("/health", "/metrics"))
        level = logging.DEBUG if quiet else logging.INFO
        _log.log(level, "%s %s %s in %.3f s", method, ascii(scope["path"])[1:-1], status, seconds)


def _id_of(scope: HTTPScope) -> str:
    """The client's own id where it is fit for headers and logs, otherwise a new one."""
    given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
    return given.decode() if _SAFE_ID.fullmatch(given) else uuid4().hex
