"""How the server is: health for people and balancers, metrics for Prometheus, the OpenAPI document."""

from typing import Any

from litestar import Response, get
from litestar.response import Redirect
from msgspec import Struct
from prometheus_client import CONTENT_TYPE_LATEST

from agent_memory.application.chores import CHORES
from agent_memory.entrypoints.http.document import completed
from agent_memory.entrypoints.http.given import (
    AnyRequest,
    GivenApplication,
    GivenReach,
    answers,
    operators_only,
    problems,
    refusals,
)
from agent_memory.entrypoints.version import VERSION

READY = "/health/ready"


class Health(Struct, kw_only=True):
    """`status` is ok when every part is, or else degraded; draining while no new requests are taken. A part is ok, or
    what is wrong with it; of the chores, which fail and since when.
    """

    status: str
    version: str
    model: str | None
    parts: dict[str, str]


@get(
    ["/health", READY],
    responses=refusals() | answers(Health, {503: "A part does not answer"}),
    tags=["system"],
    summary="Health",
)
async def health(application: GivenApplication, request: AnyRequest) -> Response[Health]:
    """Whether every part answers: 200, or 503 and which does not. While it is drained, `/health/ready` is 503. A chore
    that fails degrades it, but keeps no request from its answer: 200.
    """
    parts = await application.check()
    well = all(state == "ok" for state in parts.values())
    draining = application.draining.asked
    model = application.conversation.model_id if application.conversation else None
    status = "degraded" if not well else "draining" if draining else "ok"
    told = Health(status=status, version=VERSION, model=model, parts=parts)
    answering = all(state == "ok" for part, state in parts.items() if part != CHORES)
    ready = answering and not (draining and request.scope["path"] == READY)
    return Response(told, status_code=200 if ready else 503)


@get("/health/live", responses=refusals(), tags=["system"], summary="Alive")
async def live() -> dict[str, str]:
    """Whether the process answers at all; nothing else is asked."""
    return {"status": "ok"}


@get("/metrics", responses=problems(), tags=["system"], summary="Metrics", media_type=CONTENT_TYPE_LATEST)
async def metrics(application: GivenApplication, reach: GivenReach) -> Response[bytes]:
    """Everything counted, for Prometheus. Once there are keys it needs one of the default tenant, or the admin key."""
    operators_only(reach)
    return Response(application.scrape(), headers={"Content-Type": CONTENT_TYPE_LATEST})


@get("/openapi.json", include_in_schema=False)
async def openapi_document(request: AnyRequest) -> dict[str, Any]:
    return completed(request.app.openapi_schema.to_schema())


@get("/", include_in_schema=False)
async def root() -> Redirect:
    return Redirect("/docs")
