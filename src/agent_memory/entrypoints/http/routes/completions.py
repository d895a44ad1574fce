"""OpenAI's chat completions, on the conversation with the loaded model."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from time import time
from uuid import uuid4

from litestar import post
from litestar.params import JSONBody
from litestar.response.base import ASGIResponse
from msgspec import UNSET, UnsetType, json

from agent_memory.application.choices import together
from agent_memory.application.conversation import Conversation, Prompt
from agent_memory.application.replies import Answer, Begun, Finish
from agent_memory.entrypoints.http.errors import error_event
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
from agent_memory.entrypoints.http.wire import openai as wire
from agent_memory.entrypoints.http.wire.decoding import StrictJSON
from agent_memory.entrypoints.http.wire.effort import refuse_effort

_CHAT = {200: "The answer; with `stream`, server-sent chunks of it"}


@post(
    "/v1/chat/completions",
    dto=StrictJSON[wire.ChatRequest],
    return_dto=None,
    status_code=200,
    responses={**answers(wire.ChatCompletion, _CHAT), **openai_errors()},
    tags=["chat"],
    summary="Chat",
)
async def create_chat_completion(
    data: JSONBody[wire.ChatRequest], request: AnyRequest, application: GivenApplication
) -> ASGIResponse:
    """Answer a conversation, whole or as a stream. `"model": "default"` is the model that is loaded.

    The header X-Agent-ID, or `agent_id`, `session_id`, `prompt_cache_key` or `user` (in this order), names the agent
    whose turn it is; with `no_store` nothing of it is kept.
    """
    conversation = conversation_with(data.model, application)
    refuse_effort("reasoning_effort", data.reasoning_effort, thinks=conversation.thinks)
    reach = reach_of(request)
    agent = agent_in_header(request.headers.get(AGENT_HEADER), reach)
    prompt = wire.to_prompt(data, application.plan, seconds_allowed(request), agent).within(reach)
    prompts = wire.choices_of(prompt, data.n or 1)
    if not data.stream:
        answer = await while_connected(request.receive, _complete(conversation, prompts))
        return ASGIResponse(body=json.encode(answer))
    with_usage = data.stream_options is not None and data.stream_options.include_usage is True
    events = _chunks(conversation, prompts, with_usage=with_usage)
    return await while_connected(request.receive, begin(events, error_event))


def _new_id() -> str:
    return f"chatcmpl-{uuid4().hex}"


async def _complete(conversation: Conversation, prompts: Sequence[Prompt]) -> wire.ChatCompletion:
    choices = [Answer() for _ in prompts]
    async with aclosing(together([conversation.reply(prompt) for prompt in prompts])) as replies:
        async for number, piece in replies:
            choices[number].hear(piece)
    finishes = [choice.ended for choice in choices]
    return wire.ChatCompletion(
        id=_new_id(),
        created=int(time()),
        model=conversation.model_id,
        choices=[wire.choice_of(choice, number) for number, choice in enumerate(choices)],
        usage=wire.usage_of(finishes),
        x_cache=wire.report_of(finishes[0]),
    )


@dataclass(frozen=True, slots=True)
class _Envelope:
    """What all chunks of one answer have in common."""

    model: str
    with_usage: bool
    id: str = field(default_factory=_new_id)
    created: int = field(default_factory=lambda: int(time()))

    def around(
        self,
        *choices: wire.ChunkChoice,
        usage: wire.Usage | None = None,
        x_cache: wire.CacheReport | UnsetType = UNSET,
    ) -> bytes:
        chunk = wire.Chunk(
            id=self.id,
            created=self.created,
            model=self.model,
            choices=list(choices),
            usage=usage if self.with_usage else UNSET,
            x_cache=x_cache,
        )
        return event(json.encode(chunk))


async def _chunks(
    conversation: Conversation, prompts: Sequence[Prompt], *, with_usage: bool
) -> AsyncGenerator[bytes, None]:
    """Role, text, thoughts and calls as they come, the reason for the end, the usage if asked for."""
    envelope = _Envelope(conversation.model_id, with_usage)
    role = wire.DeltaMessage(role="assistant", content="")
    begun: set[int] = set()
    finishes: list[Finish] = []
    async with aclosing(together([conversation.reply(prompt) for prompt in prompts])) as replies:
        async for number, piece in replies:
            if number not in begun:
                begun.add(number)
                yield envelope.around(wire.ChunkChoice(role, index=number))
            if isinstance(piece, Finish):
                finishes.append(piece)
                ending = wire.ChunkChoice(wire.DeltaMessage(), piece.reason, number)
                yield envelope.around(ending, x_cache=wire.report_of(piece))
            elif not isinstance(piece, Begun):
                yield envelope.around(wire.delta_of(piece, number))
    if with_usage:
        yield envelope.around(usage=wire.usage_of(finishes))
    yield b"data: [DONE]\n\n"
