"""/mcp of the HTTP server: Streamable HTTP, with the limits, logs and errors that every other route has.

Since 2026-07-28 a request stands by itself. Clients of older revisions open a session, which ends with its client, or
when it was idle for a while. Several workers share no sessions: there each request of theirs stands by itself too, and
the server cannot ask the user.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import cast
from urllib.parse import unquote

from litestar.enums import ScopeType
from litestar.exceptions import NotFoundException
from litestar.types import ASGIApp, HTTPScope, Message, Receive, ReceiveMessage, Scope, Send

from agent_memory.bootstrap import Application
from agent_memory.domain.errors import NotFound
from agent_memory.entrypoints.mcp import PATH
from agent_memory.entrypoints.mcp.calling import Context
from agent_memory.entrypoints.mcp.scope import Whose, whose_of
from agent_memory.entrypoints.mcp.server import create_server
from agent_memory.entrypoints.mcp.sessions import Sessions, opener_of
from agent_memory.entrypoints.mcp.under_way import Requests

_IDLE = 600.0  # seconds after which a session that nobody uses ends
_MOST_SESSIONS = 1000
_STATE = "mcp_whose"
_SESSION = b"mcp-session-id"


class McpMount:
    """Serves between entering and leaving `open`. `ending` ends the streams that otherwise never would."""

    def __init__(self, application: Application, ending: asyncio.Event) -> None:
        server = application.settings.server
        self._ending = ending
        self._manager = Sessions(
            create_server(application, _kept),
            stateless=server.workers > 1,
            max_request_body_size=server.max_body_bytes,
            session_idle_timeout=_IDLE,
            max_sessions=_MOST_SESSIONS,
        )
        self._handle = cast("ASGIApp", self._manager.handle_request)
        self._requests = Requests()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        async with self._manager.run():
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            raise NotFoundException(detail=f"{PATH} is no web socket")
        # The mount has cut the path off; the log wants it whole, the metrics without names.
        scope["path"], scope["path_template"] = unquote(scope["raw_path"].decode("latin-1")), PATH
        whose = whose_of(scope)
        scope["state"][_STATE] = whose
        scope["user"] = opener_of(whose)
        answer = _Answer(send)
        receive = await _come(receive)
        if scope["method"] == "GET":  # who only listens does so until it leaves, or until the server ends
            receive = _until(self._ending, receive)
        await self._serve(scope, partial(self._handle, scope, receive, answer), answer)
        await answer.end()

    async def _serve(self, scope: HTTPScope, work: Callable[[], Awaitable[None]], answer: "_Answer") -> None:
        name = next((value.decode("latin-1") for key, value in scope["headers"] if key == _SESSION), None)
        if name is None or scope["method"] == "GET":
            await work()
            return
        requests = self._requests.of(name, repr(scope["state"][_STATE]))
        if scope["method"] == "DELETE":
            async with requests.ending():
                await work()
        elif not await requests.serve(work) and not answer.begun:
            raise NotFound("session", name)


class _Answer:
    """One answer, and no second one, which the SDK begins where something goes wrong; ended in order."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.begun = self._ended = False

    async def __call__(self, message: Message) -> None:
        begins = message["type"] == "http.response.start"
        if self._ended or (begins and self.begun):
            return
        self.begun = self.begun or begins
        self._ended = message["type"] == "http.response.body" and not message.get("more_body", False)
        await self._send(message)

    async def end(self) -> None:
        if self.begun and not self._ended:
            await self({"type": "http.response.body", "body": b"", "more_body": False})


async def _come(receive: Receive) -> Receive:
    """The same once the body is here: whose client leaves before gets no answer, and the SDK never hears of it."""
    body = [await receive()]
    while body[-1]["type"] == "http.request" and body[-1]["more_body"]:
        body.append(await receive())
    body.reverse()

    async def receive_again() -> ReceiveMessage:
        return body.pop() if body else await receive()

    return receive_again


def _kept(context: Context) -> Whose:
    assert context.request is not None
    whose = context.request.scope["state"][_STATE]
    assert isinstance(whose, Whose)
    return whose


def _until(ending: asyncio.Event, receive: Receive) -> Receive:
    """A client that listens to a stream of ours is gone, for those who serve it, once the server ends."""

    async def receive_or_end() -> ReceiveMessage:
        heard, ended = asyncio.ensure_future(receive()), asyncio.ensure_future(ending.wait())
        try:
            await asyncio.wait({heard, ended}, return_when=asyncio.FIRST_COMPLETED)
            return heard.result() if heard.done() else {"type": "http.disconnect"}
        finally:
            heard.cancel()
            ended.cancel()

    return receive_or_end
