"""The application as an ASGI app: routes, and the layers that every request passes.

From the outside: request log, agents' names, CORS, exception handling, routing, the server's end, body limit, handler.
"""

from litestar import Litestar
from litestar.config.cors import CORSConfig
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.middleware import DefineMiddleware
from litestar.openapi import OpenAPIConfig

from agent_memory.bootstrap import Application
from agent_memory.entrypoints.http.admission import tell_limits
from agent_memory.entrypoints.http.docs import DocsPage
from agent_memory.entrypoints.http.ending import Ending
from agent_memory.entrypoints.http.errors import on_error
from agent_memory.entrypoints.http.limits import BodyLimit
from agent_memory.entrypoints.http.request_log import RequestLog
from agent_memory.entrypoints.http.routes import admin, agents, caches, completions, keeping, memories, system
from agent_memory.entrypoints.http.whole_names import IMPORT, WholeNames

_ROUTES = (
    completions.create_chat_completion,
    completions.list_models,
    memories.remember,
    memories.search_memories,
    memories.count_memories,
    memories.forget,
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
    admin.current_model,
    admin.available_models,
    admin.swap_model,
    admin.offload_model,
    admin.clear_caches,
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
    keeping.export_memories,
    keeping.import_memories,
    system.health,
    system.live,
    system.metrics,
    system.openapi_document,
    system.root,
)


def create_app(application: Application) -> Litestar:
    server = application.settings.server
    limit = server.max_body_mb * 1_000_000
    app = Litestar(
        _ROUTES,
        dependencies={"application": Provide(lambda: application, sync_to_thread=False)},
        middleware=[
            Ending,
            DefineMiddleware(BodyLimit, limit=limit, unlimited=[IMPORT]),
        ],
        exception_handlers={HTTPException: on_error, Exception: on_error},
        before_send=[tell_limits],
        request_max_body_size=None,
        cors_config=_cors(server.cors_origins),
        openapi_config=OpenAPIConfig(
            title="agent_memory",
            version=system.VERSION,
            description="Memory for AI agents: semantic memories above the prompt, KV cache below it.",
            path="/docs",
            render_plugins=[DocsPage()],
            use_handler_docstrings=True,
        ),
        logging_config=None,
        state=State({"admin_key": server.admin_key}),
    )
    # Around all of it, also around what no route answers: Litestar's own middleware begins after the routing.
    app.asgi_handler = RequestLog(WholeNames(app.asgi_handler), application.registry)
    return app


def _cors(origins: tuple[str, ...]) -> CORSConfig | None:
    if not origins:
        return None
    return CORSConfig(
        allow_origins=list(origins),
        expose_headers=["X-Request-ID", "Retry-After", "RateLimit", "RateLimit-Policy", "ETag"],
    )
