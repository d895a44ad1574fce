"""The application as an ASGI app: routes, and the layers that every request passes.

From the outside: request log, the door, agents' names, CORS, exception handling, routing, the server's end, body limit,
handler.
"""

import asyncio
from collections.abc import Collection

from litestar import Litestar, Router, asgi
from litestar.config.cors import CORSConfig
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.middleware import DefineMiddleware
from litestar.openapi import OpenAPIConfig

from agent_memory.bootstrap import Application
from agent_memory.entrypoints.http.admission import tell_limits
from agent_memory.entrypoints.http.docs import DocsPage
from agent_memory.entrypoints.http.door import Door
from agent_memory.entrypoints.http.ending import Ending
from agent_memory.entrypoints.http.errors import on_error
from agent_memory.entrypoints.http.given import AnyRequest, agents_only, reach_of
from agent_memory.entrypoints.http.heads import Heads
from agent_memory.entrypoints.http.limits import BodyLimit
from agent_memory.entrypoints.http.neighbours import Neighbours
from agent_memory.entrypoints.http.request_log import RequestLog
from agent_memory.entrypoints.http.routes import (
    admin,
    agents,
    anthropic,
    caches,
    completions,
    embeddings,
    keeping,
    memories,
    models,
    responses,
    system,
    text_completions,
    transfer,
)
from agent_memory.entrypoints.http.schemas import StructSchemas
from agent_memory.entrypoints.http.surplus import nothing_more
from agent_memory.entrypoints.http.whole_names import IMPORT, WholeNames
from agent_memory.entrypoints.mcp import PATH as MCP
from agent_memory.entrypoints.mcp.mount import McpMount
from agent_memory.entrypoints.version import VERSION

_OF_AGENTS = Router(
    "/",
    guards=[agents_only],
    route_handlers=[
        agents.create_agent,
        agents.list_agents,
        agents.get_agent,
        agents.remove_agent,
        agents.pin_agent,
        agents.unpin_agent,
        agents.limit_agent,
        agents.warm_agent,
        agents.fork_agent,
        agents.export_agent,
        agents.import_agent,
        agents.generate,
    ],
)

_OURS = Router(
    "/",
    guards=[nothing_more],
    route_handlers=[
        _OF_AGENTS,
        memories.remember,
        memories.search_memories,
        memories.count_memories,
        memories.forget,
        admin.current_model,
        admin.available_models,
        admin.swap_model,
        admin.offload_model,
        admin.clear_caches,
        admin.create_key,
        admin.list_keys,
        admin.revoke_key,
        admin.drain,
        admin.drain_state,
        admin.resume,
        caches.show_caches,
        caches.explain_prompt,
        caches.verify_caches,
        caches.collect_caches,
        keeping.get_memory,
        keeping.list_memories,
        keeping.revise_memory,
        keeping.memory_history,
        keeping.supersede_memory,
        keeping.remember_batch,
        keeping.condense_memories,
        keeping.restore_memories,
        keeping.forget_selected,
        keeping.erase_user,
        keeping.memory_stats,
        transfer.export_memories,
        transfer.import_memories,
    ],
)

_ROUTES = (
    _OURS,
    completions.create_chat_completion,
    models.list_models,
    models.get_model,
    text_completions.create_completion,
    embeddings.create_embeddings,
    responses.create_response,
    responses.get_response,
    responses.delete_response,
    anthropic.create_message,
    anthropic.count_tokens,
    anthropic.take_no_notice,
    system.health,
    system.live,
    system.metrics,
    system.openapi_document,
    system.root,
)


def create_app(application: Application, hosts: Collection[str] | None = None, token: str | None = None) -> Litestar:
    """`hosts` are the names under which it answers; None: any. `token` opens everything, as the admin key does."""
    server = application.settings.server
    cors = _cors(server.cors_origins)
    admin_keys = [key for key in (server.admin_key, token) if key is not None]
    ending = asyncio.Event()
    mcp = McpMount(application, ending)

    def reached(request: AnyRequest) -> Application:
        return application.within(reach_of(request))

    app = Litestar(
        (*_ROUTES, asgi(MCP, is_mount=True, copy_scope=False)(mcp)),
        lifespan=[lambda _: mcp.open()],
        dependencies={
            "application": Provide(reached, sync_to_thread=False),
            "reach": Provide(reach_of, sync_to_thread=False),
        },
        middleware=[
            Ending,
            DefineMiddleware(BodyLimit, limit=server.max_body_bytes, unlimited=[IMPORT, transfer.IMPORT]),
        ],
        exception_handlers={HTTPException: on_error, Exception: on_error},
        before_send=[tell_limits],
        request_max_body_size=None,
        cors_config=cors,
        openapi_config=OpenAPIConfig(
            title="agent_memory",
            version=VERSION,
            description="Memory for AI agents: semantic memories above the prompt, KV cache below it.",
            path="/docs",
            render_plugins=[DocsPage()],
            use_handler_docstrings=True,
        ),
        plugins=[StructSchemas()],
        logging_config=None,
        state=State({"admin_key": server.admin_key, "admin_keys": admin_keys, "ending": ending}),
    )
    # Around all of it, also around what no route answers: Litestar's own middleware begins after the routing.
    door = Door(
        Heads(WholeNames(app.asgi_handler)),
        keys=application.keys,
        draining=application.draining,
        neighbours=Neighbours(hosts, cors.is_origin_allowed if cors else lambda _: False),
        unauthenticated=server.allow_unauthenticated,
        token=token,
        admin_keys=admin_keys,
        cors=cors,
    )
    app.asgi_handler = RequestLog(door, application.registry)
    return app


def _cors(origins: tuple[str, ...]) -> CORSConfig | None:
    if not origins:
        return None
    return CORSConfig(
        allow_origins=list(origins),
        expose_headers=[
            "X-Request-ID",
            "Retry-After",
            "RateLimit",
            "RateLimit-Policy",
            "ETag",
            "Location",
            "Idempotency-Replayed",
            "Mcp-Session-Id",
        ],
    )
