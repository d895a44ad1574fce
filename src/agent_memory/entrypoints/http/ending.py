"""Requests that are still running when the server's patience at its end is over: each is told so, none is just cut off.

The server cancels a request's task for this reason only; that its client left is heard in another way.
"""

import asyncio

from litestar.types import ASGIApp, Receive, Scope, Send

from agent_memory.domain.errors import Unavailable


def server_ending() -> Unavailable:
    return Unavailable("the server is shutting down")


class Ending:
    """Sits inside the exception handling, so that its error becomes an ordinary answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            raise server_ending() from None
