"""OpenAI's responses, on the conversation with the loaded model; each may go on from one that is kept."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field

from litestar import Response, delete, get, post
from litestar.params import FromPath, JSONBody
from litestar.response.base import ASGIResponse
from msgspec import json

from agent_memory.application.conversation import Conversation, Prompt
from agent_memory.domain.errors import GenerationFailed, NotFound
from agent_memory.domain.responses import KeptResponse
from agent_memory.entrypoints.http.errors import logged_fault_of
from agent_memory.entrypoints.http.given import (
    AnyRequest,
    GivenApplication,
    answers,
    openai_errors,
    reach_of,
    seconds_allowed,
)
from agent_memory.entrypoints.http.loaded import conversation_with
from agent_memory.entrypoints.http.streaming import begin, event, while_connected
from agent_memory.entrypoints.http.whole_names import AGENT_HEADER, agent_in_header
from agent_memory.entrypoints.http.wire import response_answers as told
from agent_memory.entrypoints.http.wire import responses as wire
from agent_memory.entrypoints.http.wire.decoding import StrictJSON
from agent_memory.entrypoints.http.wire.effort import refuse_effort
from agent_memory.entrypoints.http.wire.response_items import RESPONSE_ID
from agent_memory.ports.responses import ResponseStore

_RESPONSE = {200: "The response; with `stream`, server-sent events that add up to it"}
_KEPT = {200: "The response as it was"}
_TAGS = ["responses"]


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request, ready to be answered and kept."""

    request: wire.ResponsesRequest
    conversation: Conversation
    prompt: Prompt
    owner: str
    store: ResponseStore
    telling: told.Telling = field(repr=False)

    async def keep(self) -> None:
        """Before the client hears the end, so that it may go on from it at once."""
        response = self.telling.response
        if response.usage is None:
            raise GenerationFailed("the answer ended without a reason")
        if response.store:
            asked, whole = wire.asked_by(self.request), told.written(response)
            kept = KeptResponse(response.id, asked, whole, response.previous_response_id)
            await self.store.keep(self.owner, kept)

    def fail(self, error: BaseException) -> bytes:
        fault = logged_fault_of(error if isinstance(error, Exception) else RuntimeError(str(error)))
        events = self.telling.fail(fault.kind.openai_code or fault.kind.openai_type, fault.detail)
        return b"".join(_event(each) for each in events)


@post(
    "/v1/responses",
    dto=StrictJSON[wire.ResponsesRequest],
    return_dto=None,
    status_code=200,
    responses={**answers(told.Response, _RESPONSE), **openai_errors()},
    tags=_TAGS,
    summary="Respond",
)
async def create_response(
    data: JSONBody[wire.ResponsesRequest], request: AnyRequest, application: GivenApplication
) -> ASGIResponse:
    """Answer a conversation, or go on from an earlier response by its `previous_response_id`: what was read then need
    not be read again. Responses are kept for 30 days, unless `store` is false.

    The header X-Agent-ID, or `agent_id`, `prompt_cache_key`, `safety_identifier` or `user` (in this order), names the
    agent whose turn it is; with `no_store` nothing of it is cached.
    """
    conversation = conversation_with(data.model, application)
    effort = data.reasoning.effort if data.reasoning else None
    refuse_effort("reasoning.effort", effort, thinks=conversation.thinks)
    reach, before = reach_of(request), list[KeptResponse]()
    if data.previous_response_id is not None and RESPONSE_ID.fullmatch(data.previous_response_id):
        before = await application.responses.lineage(reach.owner, data.previous_response_id)
    wire.check_lineage(data, before)
    agent = agent_in_header(request.headers.get(AGENT_HEADER), reach)
    seconds = seconds_allowed(request)
    prompt = wire.to_prompt(data, before, application.plan, reach.tenant, seconds=seconds, agent=agent).within(reach)
    sampling = prompt.sampling
    response = told.begun(data, conversation.model_id, sampling.temperature, sampling.top_p)
    telling = told.Telling(response, prompt.stored)
    asked = _Asked(data, conversation, prompt, reach.owner, application.responses, telling)
    if not data.stream:
        return ASGIResponse(body=json.encode(await while_connected(request.receive, _complete(asked))))
    return await while_connected(request.receive, begin(_events(asked), asked.fail))


@get(
    "/v1/responses/{response_id:str}",
    responses={**answers(told.Response, _KEPT), **openai_errors()},
    tags=_TAGS,
    summary="Get a response",
)
async def get_response(
    response_id: FromPath[str], request: AnyRequest, application: GivenApplication
) -> Response[bytes]:
    """One that is kept."""
    if RESPONSE_ID.fullmatch(response_id):
        kept = await application.responses.get(reach_of(request).owner, response_id)
        if kept is not None:
            return Response(kept.told.encode(), media_type="application/json")
    raise NotFound("response", response_id)


@delete(
    "/v1/responses/{response_id:str}",
    status_code=200,
    responses=openai_errors(),
    tags=_TAGS,
    summary="Delete a response",
)
async def delete_response(
    response_id: FromPath[str], request: AnyRequest, application: GivenApplication
) -> told.Deleted:
    """What went on from it can then be got, but not gone on from."""
    known = RESPONSE_ID.fullmatch(response_id) is not None
    if not known or not await application.responses.delete(reach_of(request).owner, response_id):
        raise NotFound("response", response_id)
    return told.Deleted(id=response_id)


async def _complete(asked: _Asked) -> told.Response:
    async with aclosing(asked.conversation.reply(asked.prompt)) as pieces:
        async for piece in pieces:
            for _ in asked.telling.hear(piece):
                pass
    await asked.keep()
    return asked.telling.response


async def _events(asked: _Asked) -> AsyncGenerator[bytes, None]:
    """The first are told with the first word: what fails before that is a status."""
    opened = False
    async with aclosing(asked.conversation.reply(asked.prompt)) as pieces:
        async for piece in pieces:
            if not opened:
                opened = True
                for each in asked.telling.open():
                    yield _event(each)
            for each in asked.telling.hear(piece):
                yield _event(each)
    await asked.keep()
    yield _event(asked.telling.end())


def _event(told_so: told.Event) -> bytes:
    return event(json.encode(told_so), told_so["type"])
