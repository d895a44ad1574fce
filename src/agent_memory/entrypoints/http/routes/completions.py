"""OpenAI's chat completions and model list, on the conversation with the loaded model."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from time import time
from uuid import uuid4

from litestar import get, post
from litestar.params import JSONBody
from litestar.response.base import ASGIResponse
from msgspec import UNSET, UnsetType, json

from agent_memory.application.conversation import Conversation, Delta, Finish, Prompt
from agent_memory.bootstrap import Application
from agent_memory.domain.errors import GenerationFailed, NotFound
from agent_memory.entrypoints.http.errors import error_event
from agent_memory.entrypoints.http.given import AnyRequest, GivenApplication, answers, openai_errors, seconds_allowed
from agent_memory.entrypoints.http.streaming import begin, event, while_connected
from agent_memory.entrypoints.http.whole_names import AGENT_HEADER, agent_in_header
from agent_memory.entrypoints.http.wire import openai as wire
from agent_memory.entrypoints.http.wire.decoding import StrictJSON

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
    conversation = _model_called(data.model, application)
    agent = agent_in_header(request.headers.get(AGENT_HEADER))
    prompt = wire.to_prompt(data, application.plan, seconds_allowed(request), agent)
    if not data.stream:
        answer = await while_connected(request.receive, _complete(conversation, prompt))
        return ASGIResponse(body=json.encode(answer))
    with_usage = data.stream_options is not None and data.stream_options.include_usage is True
    events = _chunks(conversation, prompt, with_usage=with_usage)
    return await while_connected(request.receive, begin(events, error_event))


@get("/v1/models", tags=["chat"], summary="List models")
async def list_models(application: GivenApplication) -> wire.ModelList:
    """The model that is loaded."""
    loaded = application.conversation
    return wire.ModelList(data=[wire.Model(id=loaded.model_id, created=loaded.created)] if loaded else [])


def _model_called(name: str, application: Application) -> Conversation:
    conversation = application.models.ready()
    if name not in ("default", conversation.model_id):
        raise NotFound("model", name)
    return conversation


async def _complete(conversation: Conversation, prompt: Prompt) -> wire.ChatCompletion:
    parts = []
    async with aclosing(conversation.reply(prompt)) as reply:
        async for piece in reply:
            match piece:
                case Delta(text):
                    parts.append(text)
                case Finish() as finish:
                    choice = wire.Choice(wire.AnswerMessage("".join(parts)), finish.reason)
                    return wire.ChatCompletion(
                        id=_new_id(),
                        created=int(time()),
                        model=conversation.model_id,
                        choices=[choice],
                        usage=wire.usage_of(finish),
                        x_cache=wire.report_of(finish),
                    )
    raise GenerationFailed("the answer ended without a reason")


async def _chunks(conversation: Conversation, prompt: Prompt, *, with_usage: bool) -> AsyncGenerator[bytes, None]:
    """Role, text as it comes, the reason for the end, the usage if asked for."""
    name, created = _new_id(), int(time())

    def chunk(
        *choices: wire.ChunkChoice,
        usage: wire.Usage | UnsetType | None,
        x_cache: wire.CacheReport | UnsetType = UNSET,
    ) -> bytes:
        told = wire.Chunk(
            id=name,
            created=created,
            model=conversation.model_id,
            choices=list(choices),
            usage=usage,
            x_cache=x_cache,
        )
        return event(json.encode(told))

    silent = None if with_usage else UNSET
    role = wire.ChunkChoice(wire.DeltaMessage(role="assistant", content=""))
    opening = chunk(role, usage=silent)
    async with aclosing(conversation.reply(prompt)) as reply:
        async for piece in reply:
            if opening:
                yield opening
                opening = b""
            match piece:
                case Delta(text):
                    yield chunk(wire.ChunkChoice(wire.DeltaMessage(content=text)), usage=silent)
                case Finish() as finish:
                    ending = wire.ChunkChoice(wire.DeltaMessage(), finish.reason)
                    yield chunk(ending, usage=silent, x_cache=wire.report_of(finish))
                    if with_usage:
                        yield chunk(usage=wire.usage_of(finish))
    yield b"data: [DONE]\n\n"


def _new_id() -> str:
    return f"chatcmpl-{uuid4().hex}"
