"""`Idempotency-Key`: a request that is sent again with the key of the first gets the answer of the first.

It belongs to its caller: to the tenant, the API key and the agent that sent it.
"""

from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from typing import Annotated
from uuid import uuid4

from litestar import Response
from litestar.params import HeaderParameter
from msgspec import Struct, json

from agent_memory.application.idempotency import FIELD, LONGEST_KEY
from agent_memory.bootstrap import Application
from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.semantic.memory import MemoryId
from agent_memory.entrypoints.http.given import AnyRequest, caller_of

IdempotencyKey = Annotated[str | None, HeaderParameter(name=FIELD)]


class _Answered(Struct):
    status: int
    body: str


async def answer_once(
    request: AnyRequest,
    application: Application,
    agent_id: str,
    user_id: str,
    work: Callable[[Sequence[MemoryId]], Awaitable[tuple[int, Struct, Sequence[MemoryId]]]],
    *,
    memories: int = 1,
) -> Response[bytes]:
    """The work's status and body as an answer. It hears ids for as many new memories, with a key the same at every
    attempt, and says which memories the body tells.
    """
    key = request.headers.get(FIELD)
    ids = [MemoryId(uuid4()) for _ in range(memories)]
    if key is None:
        status, body, _ = await work(ids)
        return _response(_Answered(status, json.encode(body).decode()))
    if not (1 <= len(key) <= LONGEST_KEY and key.isascii() and key.isprintable()):
        raise InvalidInput(FIELD, f"must be 1 to {LONGEST_KEY} printable ASCII characters")
    scope = application.memory.scope(agent_id, user_id)
    name = sha256(json.encode([caller_of(request.scope).id, scope.tenant, agent_id, key])).hexdigest()

    async def written(ids: Sequence[MemoryId]) -> tuple[str, Sequence[MemoryId]]:
        status, body, told = await work(ids)
        return json.encode(_Answered(status, json.encode(body).decode())).decode(), told

    digest = sha256(request.scope["path"].encode() + b"\0" + await request.body()).hexdigest()
    answer, replayed = await application.idempotency.once(name, digest, scope, ids, written)
    return _response(json.decode(answer, type=_Answered), {"Idempotency-Replayed": "true"} if replayed else {})


def _response(answered: _Answered, headers: dict[str, str] | None = None) -> Response[bytes]:
    return Response(
        answered.body.encode(), status_code=answered.status, media_type="application/json", headers=headers or {}
    )
