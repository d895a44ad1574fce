"""Anthropic's messages, on the conversation with the loaded model."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from uuid import uuid4

from litestar import post
from litestar.params import JSONBody
from litestar.response.base import ASGIResponse
from msgspec import json

from agent_memory.application.conversation import Conversation, Prompt
from agent_memory.application.replies import Begun
from agent_memory.domain.errors import GenerationFailed
from agent_memory.entrypoints.http.errors import anthropic_error_event
from agent_memory.entrypoints.http.given import (
    AnyRequest,
    GivenApplication,
    answers,
    anthropic_errors,
    problems,
    reach_of,
    seconds_allowed,
    tenant_of,
)
from agent_memory.entrypoints.http.loaded import conversation_with
from agent_memory.entrypoints.http.streaming import begin, event, while_connected
from agent_memory.entrypoints.http.whole_names import AGENT_HEADER, agent_in_header
from agent_memory.entrypoints.http.wire import anthropic as wire
from agent_memory.entrypoints.http.wire import anthropic_answers as told
from agent_memory.entrypoints.http.wire.decoding import StrictJSON

_MESSAGE = {200: "The answer; with `stream`, server-sent events that add up to it"}
_COUNT = {200: "How many tokens they are"}
_FAMILY = "claude-"
"""Clients have such names built in: what answers is the loaded model, and it says so."""

PING = event(json.encode(told.Ping()), "ping")


@post(
    "/v1/messages",
    dto=StrictJSON[wire.MessagesRequest],
    return_dto=None,
    status_code=200,
    responses={**answers(told.MessageAnswer, _MESSAGE), **anthropic_errors()},
    tags=["chat"],
    summary="Chat, in Anthropic's dialect",
)
async def create_message(
    data: JSONBody[wire.MessagesRequest], request: AnyRequest, application: GivenApplication
) -> ASGIResponse:
    """Answer a conversation, whole or as a stream. `default`, and any name that begins with `claude-`, is the model
    that is loaded; the answer names it.

    The header X-Agent-ID, or `metadata.user_id`, names the agent whose turn it is. Everything is cached, asked for by
    `cache_control` or not, unless `no_store` is true.
    """
    conversation = conversation_with(data.model, application, family=_FAMILY)
    reach = reach_of(request)
    agent = agent_in_header(request.headers.get(AGENT_HEADER), reach)
    prompt = wire.to_prompt(data, application.plan, reach.tenant, seconds_allowed(request), agent).within(reach)
    telling = told.Telling(
        f"msg_{uuid4().hex}",
        conversation.model_id,
        data.max_tokens,
        stored=prompt.stored,
        thoughts_shown=wire.shows_thoughts(data),
    )
    if not data.stream:
        answer = await while_connected(request.receive, _complete(conversation, prompt, telling))
        return ASGIResponse(body=json.encode(answer))
    events = _events(conversation, prompt, telling)
    return await while_connected(request.receive, begin(events, anthropic_error_event, alive=PING))


@post(
    "/v1/messages/count_tokens",
    dto=StrictJSON[wire.CountRequest],
    return_dto=None,
    status_code=200,
    responses={**answers(told.TokenCount, _COUNT), **anthropic_errors()},
    tags=["chat"],
    summary="Count the tokens of a conversation",
)
async def count_tokens(
    data: JSONBody[wire.CountRequest], request: AnyRequest, application: GivenApplication
) -> told.TokenCount:
    """Of the very prompt that `/v1/messages` would have the model read."""
    conversation = conversation_with(data.model, application, family=_FAMILY)
    return told.TokenCount(await conversation.count(wire.to_count(data, tenant_of(request))))


@post(
    "/api/event_logging/batch",
    status_code=200,
    responses=problems(),
    tags=["chat"],
    summary="Take no notice of a client's telemetry",
)
async def take_no_notice() -> told.Unnoticed:
    """Claude Code reports on itself to whom it talks to. It is neither read nor kept."""
    return told.Unnoticed()


async def _complete(conversation: Conversation, prompt: Prompt, telling: told.Telling) -> told.MessageAnswer:
    async with aclosing(conversation.reply(prompt)) as pieces:
        async for piece in pieces:
            for _ in telling.hear(piece):
                pass
    if telling.answer.stop_reason is None:
        raise GenerationFailed("the answer ended without a reason")
    return telling.answer


async def _events(conversation: Conversation, prompt: Prompt, telling: told.Telling) -> AsyncGenerator[bytes, None]:
    """The first is told with the first word: what fails before that is a status."""
    held: list[bytes] = []
    async with aclosing(conversation.reply(prompt)) as pieces:
        async for piece in pieces:
            events = [event(json.encode(each), told.name_of(each)) for each in telling.hear(piece)]
            if isinstance(piece, Begun):
                held = events
                continue
            for each in (*held, *events):
                yield each
            held = []
