"""Who may come in: the one place that every request passes, whatever answers it, a mounted application too.

It looks for the key and says whose request it is, in the scope's `state`; what that reaches is others' to keep to. Keys
are needed as soon as there is one; what shows nothing of anybody's is open. It knows nothing of what is asked.
"""

from asyncio import CancelledError
from collections.abc import Sequence
from contextlib import suppress
from hmac import compare_digest

from litestar.config.cors import CORSConfig
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from agent_memory.application.draining import Draining
from agent_memory.application.keys import Keys
from agent_memory.domain.errors import AgentMemoryError
from agent_memory.domain.keys import PREFIX, Caller, anybody
from agent_memory.entrypoints.http.admin_key import is_admin
from agent_memory.entrypoints.http.ending import server_ending
from agent_memory.entrypoints.http.errors import answer_to
from agent_memory.entrypoints.http.given import CALLER
from agent_memory.entrypoints.http.limits import read_off
from agent_memory.entrypoints.http.neighbours import Neighbours

OPEN = ("/", "/docs", "/openapi.json", "/health", "/health/ready", "/health/live")
"""Nobody's: how the server is, and what it can be asked."""
ADMIN = "/admin/"
"""These routes have a key of their own."""
METRICS = "/metrics"
MCP = "/mcp"


class NoKey(HTTPException):
    status_code = 401

    def __init__(self, detail: str, challenge: str = "") -> None:
        bearer = 'Bearer realm="agent-memory"' + (f', error="{challenge}"' if challenge else "")
        super().__init__(detail=detail, headers={"WWW-Authenticate": bearer})


class Door:
    def __init__(
        self,
        app: ASGIApp,
        *,
        keys: Keys,
        draining: Draining,
        neighbours: Neighbours,
        unauthenticated: bool,
        token: str | None,
        admin_keys: Sequence[str],
        cors: CORSConfig | None,
    ) -> None:
        """With `unauthenticated`, who has no key of ours is let in though there are keys. `token` opens everything."""
        self._app = app
        self._keys = keys
        self._draining = draining
        self._neighbours = neighbours
        self._unauthenticated = unauthenticated
        self._token = token
        self._admin_keys = admin_keys
        self._cors = cors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        try:
            self._neighbours.admit(scope)
            scope.setdefault("state", {})[CALLER] = await self._caller(scope)
            working = self._draining.working() if _is_work(scope) else None
        except CancelledError:
            await self._refuse(server_ending(), scope, receive, send)
            return
        except (HTTPException, AgentMemoryError) as error:
            with suppress(CancelledError):  # it is the server that ends: the answer is the same
                await read_off(receive)
            await self._refuse(error, scope, receive, send)
            return
        if working is None:
            await self._app(scope, receive, send)
            return
        with working:
            await self._app(scope, receive, send)

    async def _refuse(self, error: Exception, scope: HTTPScope, receive: Receive, send: Send) -> None:
        await answer_to(scope, error)(scope, receive, self._told_to_browsers(scope, send))

    async def _caller(self, scope: HTTPScope) -> Caller:
        """Raises NoKey for who needs a key and has none that holds."""
        if _is_open(scope):
            return Caller()
        shown = _shown(scope)
        if self._token is not None and compare_digest(shown.encode(), self._token.encode()):
            return Caller()
        if shown.startswith(PREFIX):
            caller = await self._keys.holder(shown)
            if caller is None:
                raise NoKey("this API key is unknown, expired or revoked", "invalid_token")
            return caller
        if self._unauthenticated or not await self._keys.needed():
            return anybody(shown)
        if scope["path"] == METRICS and is_admin(scope, self._admin_keys):
            return Caller()
        if shown:
            raise NoKey("this is no API key of this server", "invalid_token")
        raise NoKey("an API key is needed, as `Authorization: Bearer KEY` or `x-api-key: KEY`")

    def _told_to_browsers(self, scope: HTTPScope, send: Send) -> Send:
        """Refusals never reach the layer that tells browsers who may read an answer."""
        origin = _header(scope, b"origin")
        cors = self._cors
        if cors is None or not origin or not cors.is_origin_allowed(origin):
            return send

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                told = {**cors.simple_headers, "Access-Control-Allow-Origin": origin, "Vary": "Origin"}
                more = [(name.lower().encode(), value.encode()) for name, value in told.items()]
                message["headers"] = [*message.get("headers", ()), *more]
            await send(message)

        return sending


def _is_open(scope: HTTPScope) -> bool:
    asks_first = scope["method"] == "OPTIONS"  # a browser, which sends no key with it
    return asks_first or scope["path"] in OPEN or scope["path"].startswith(ADMIN)


def _is_work(scope: HTTPScope) -> bool:
    listens = scope["method"] == "GET" and scope["path"].startswith(MCP)  # as long as its client likes
    return not (_is_open(scope) or listens or scope["path"] == METRICS)


def _shown(scope: HTTPScope) -> str:
    """The key that a request shows: as `Authorization: Bearer KEY`, or else as `x-api-key: KEY`."""
    kind, _, key = _header(scope, b"authorization").partition(" ")
    return key.strip() if kind.lower() == "bearer" and key.strip() else _header(scope, b"x-api-key").strip()


def _header(scope: HTTPScope, name: bytes) -> str:
    return next((value for key, value in scope["headers"] if key == name), b"").decode("latin-1")
