"""HEAD: what GET would answer, without its body. Around the routing, which knows GET alone."""

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from agent_memory.entrypoints.mcp import PATH as MCP


class Heads:
    """Not below MCP's path, where GET begins a stream that does not end."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP or scope["method"] != "HEAD" or scope["path"].startswith(MCP):
            await self._app(scope, receive, send)
            return

        async def without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message["body"] = b""
            await send(message)

        get = scope.copy()  # whoever is around it has been asked for a HEAD
        get["method"] = "GET"
        try:
            await self._app(get, receive, without_body)
        finally:
            scope["path_template"] = get.get("path_template", "")
