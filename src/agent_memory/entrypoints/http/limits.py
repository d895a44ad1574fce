"""How large a body may be, that it comes as it is, and that all of it has to come. What is refused is read to its end,
up to a bound, so that the client hears the answer instead of a broken pipe.
"""

from asyncio import timeout
from collections.abc import Collection
from contextlib import suppress

from litestar.enums import ScopeType
from litestar.exceptions import HTTPException
from litestar.types import ASGIApp, Receive, ReceiveMessage, Scope, Send

from agent_memory.domain.errors import AgentMemoryError
from agent_memory.entrypoints.http.streaming import ClientGone

_PATIENCE = 16
"""How many times the limit is read and thrown away before the connection is given up."""
_REFUSED_BODY = 16_000_000  # bytes
_REFUSED_SECONDS = 5.0
_ENCODING = "Content-Encoding"


class BodyTooLarge(HTTPException):
    status_code = 413

    def __init__(self, limit: int) -> None:
        super().__init__(detail=f"the body may have at most {limit} bytes")


async def read_off(receive: Receive) -> None:
    """What a client sends that is refused, so that it hears the answer; up to a bound of bytes and of time."""
    size, more = 0, True
    with suppress(TimeoutError):
        async with timeout(_REFUSED_SECONDS):
            while more and size <= _REFUSED_BODY:
                message = await receive()
                if message["type"] != "http.request":
                    return
                size += len(message["body"])
                more = message["more_body"]


class UnreadEncoding(HTTPException):
    status_code = 415

    def __init__(self, encoding: str) -> None:
        told = f"{_ENCODING} {encoding[:40]!r} is not read: send the body as it is"
        super().__init__(detail=told, headers={"Accept-Encoding": "identity"})


class BodyLimit:
    """Sits inside the exception handling, so that its error becomes an ordinary answer."""

    def __init__(self, app: ASGIApp, limit: int, unlimited: Collection[str] = ()) -> None:
        """What is sent to the `unlimited` paths is measured by their handlers."""
        self._app = app
        self._limit = limit
        self._unlimited = unlimited

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        body = _Body(receive, more=has_body(scope))
        if body.more and (encoding := _encoding(scope)):
            await read_off(receive)
            raise UnreadEncoding(encoding)
        if scope["path"] in self._unlimited:
            await self._unmeasured(scope, body, send)
            return
        if _announced(scope) > self._limit:
            await _drain(body, 0, self._limit)
            raise BodyTooLarge(self._limit)
        await self._app(scope, counted(body, self._limit), send)

    async def _unmeasured(self, scope: Scope, body: "_Body", send: Send) -> None:
        try:
            await self._app(scope, body, send)
        except (AgentMemoryError, HTTPException):
            if body.more:
                await read_off(body.receive)
            raise


def counted(receive: Receive, limit: int) -> Receive:
    """Raises BodyTooLarge once more than `limit` bytes have come."""
    size = 0

    async def counting() -> ReceiveMessage:
        nonlocal size
        message = await receive()
        if message["type"] == "http.request":
            size += len(message["body"])
            if size > limit:
                if message["more_body"]:
                    await _drain(receive, size, limit)
                raise BodyTooLarge(limit)
        return message

    return counting


async def _drain(receive: Receive, size: int, limit: int) -> None:
    more = True
    while more and size <= limit * _PATIENCE:
        message = await receive()
        if message["type"] != "http.request":
            return
        size += len(message["body"])
        more = message["more_body"]


class _Body:
    """Raises ClientGone when the client leaves before its body has come; once it has, that it leaves is told."""

    def __init__(self, receive: Receive, *, more: bool) -> None:
        self.receive, self.more = receive, more

    async def __call__(self) -> ReceiveMessage:
        message = await self.receive()
        if message["type"] == "http.request":
            self.more = message["more_body"]
        elif self.more:
            raise ClientGone(detail="the client left before its request had come")
        return message


def has_body(scope: Scope) -> bool:
    return _announced(scope) > 0 or any(name == b"transfer-encoding" for name, _ in scope["headers"])


def _encoding(scope: Scope) -> str:
    """In which the body comes; empty where it comes as it is."""
    named = next((value for name, value in scope["headers"] if name == _ENCODING.lower().encode()), b"")
    encoding = named.decode("latin-1").strip()
    return "" if encoding.lower() == "identity" else encoding


def _announced(scope: Scope) -> int:
    length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    return int(length) if length.isdigit() else 0
