"""OpenAI's older completions, on the loaded model: text that it goes on with."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from time import time
from uuid import uuid4

from litestar import post
from litestar.params import JSONBody
from litestar.response.base import ASGIResponse
from msgspec import UNSET, json

from agent_memory.application.choices import together
from agent_memory.application.conversation import Conversation, Prompt
from agent_memory.application.replies import Answer, Delta, Finish, Thought
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
from agent_memory.entrypoints.http.wire import openai_text as wire
from agent_memory.entrypoints.http.wire.decoding import StrictJSON
from agent_memory.entrypoints.http.wire.openai import Usage

_TEXT = {200: "The text; with `stream`, server-sent chunks of it"}


@dataclass(frozen=True, slots=True)
class _Asked:
    """The texts, a prompt for each choice; `shown` is what each choice's text opens with."""

    conversation: Conversation
    prompts: Sequence[Prompt]
    choices: int
    shown: Sequence[str]
    with_usage: bool
    id: str = field(default_factory=lambda: f"cmpl-{uuid4().hex}")
    created: int = field(default_factory=lambda: int(time()))

    def around(self, *choices: wire.TextChoice, usage: Usage | None = None) -> bytes:
        told = usage if self.with_usage else UNSET
        return event(json.encode(self.completion(list(choices), told)))

    def completion(self, choices: list[wire.TextChoice], usage: wire.MaybeUsage) -> wire.TextCompletion:
        return wire.TextCompletion(
            id=self.id, created=self.created, model=self.conversation.model_id, choices=choices, usage=usage
        )


@post(
    "/v1/completions",
    dto=StrictJSON[wire.CompletionRequest],
    return_dto=None,
    status_code=200,
    responses={**answers(wire.TextCompletion, _TEXT), **openai_errors()},
    tags=["chat"],
    summary="Go on with a text",
)
async def create_completion(
    data: JSONBody[wire.CompletionRequest], request: AnyRequest, application: GivenApplication
) -> ASGIResponse:
    """What the model says after a text, or several, or their tokens; no template is put around them.

    The header X-Agent-ID, or `user`, names the agent whose turn it is; with `no_store` nothing of it is kept.
    """
    conversation = conversation_with(data.model, application)
    reach = reach_of(request)
    agent = agent_in_header(request.headers.get(AGENT_HEADER), reach)
    asked_for = wire.to_prompts(data, application.plan, reach.tenant, seconds_allowed(request), agent)
    prompts = [each.within(reach) for each in asked_for]
    shown = [await _text(conversation, each) if data.echo else "" for each in prompts]
    with_usage = data.stream_options is not None and data.stream_options.include_usage is True
    asked = _Asked(conversation, prompts, data.n or 1, shown, with_usage)
    if not data.stream:
        return ASGIResponse(body=json.encode(await while_connected(request.receive, _complete(asked))))
    return await while_connected(request.receive, begin(_chunks(asked), error_event))


async def _text(conversation: Conversation, prompt: Prompt) -> str:
    return prompt.given if isinstance(prompt.given, str) else await conversation.spell(prompt.given or ())


async def _complete(asked: _Asked) -> wire.TextCompletion:
    choices = [Answer() for _ in asked.prompts]
    async with aclosing(together([asked.conversation.reply(prompt) for prompt in asked.prompts])) as replies:
        async for number, piece in replies:
            choices[number].hear(Delta(piece.text, piece.tokens) if isinstance(piece, Thought) else piece)
    told = [
        wire.TextChoice(
            asked.shown[number] + choice.text, number, wire.reason_of(choice.ended), wire.logprobs_of(choice.tokens, 0)
        )
        for number, choice in enumerate(choices)
    ]
    return asked.completion(told, wire.usage_of([choice.ended for choice in choices], asked.choices))


async def _chunks(asked: _Asked) -> AsyncGenerator[bytes, None]:
    """What is shown of the prompt, text as it comes, the reason for the end, the usage if asked for."""
    unshown = dict(enumerate(asked.shown))
    lengths = [0] * len(asked.prompts)
    finishes: dict[int, Finish] = {}
    async with aclosing(together([asked.conversation.reply(prompt) for prompt in asked.prompts])) as replies:
        async for number, piece in replies:
            if before := unshown.pop(number, ""):
                yield asked.around(wire.TextChoice(before, number))
            match piece:
                case Delta(text, tokens) | Thought(text, tokens):
                    said = wire.logprobs_of(tokens, lengths[number])
                    lengths[number] += sum(len(token.said.text) for token in tokens)
                    yield asked.around(wire.TextChoice(text, number, None, said))
                case Finish() as finish:
                    finishes[number] = finish
                    yield asked.around(wire.TextChoice("", number, wire.reason_of(finish)))
    if asked.with_usage:
        told = [finishes[number] for number in range(len(asked.prompts))]
        yield asked.around(usage=wire.usage_of(told, asked.choices))
    yield b"data: [DONE]\n\n"
