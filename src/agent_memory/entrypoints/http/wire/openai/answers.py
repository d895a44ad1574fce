"""Chat completions, whole and in chunks."""

from collections.abc import Sequence
from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from agent_memory.application.replies import Answer, CallArguments, CallBegun, Delta, Finish, Thought
from agent_memory.entrypoints.http.wire.openai.logprobs import ChoiceLogprobs, logprobs_of
from agent_memory.entrypoints.http.wire.openai.messages import CalledFunction, CallMade

FinishReason = Literal["stop", "length", "tool_calls"]


class CachedDetails(Struct):
    cached_tokens: int


class CompletionDetails(Struct):
    reasoning_tokens: int


class Usage(Struct):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: CachedDetails
    completion_tokens_details: CompletionDetails


class Difference(Struct):
    """Of the prompt's tokens, and of `messages`, both counted from 0."""

    token: int
    message: int | None


class CacheReport(Struct):
    """Where the prompt's tokens came from, and where it first differs from all that is stored."""

    memory_tokens: int
    disk_tokens: int
    computed_tokens: int
    known_tokens: int
    first_difference: Difference | None


class AnswerMessage(Struct):
    """`content` is null where there is none beside the calls. `reasoning_content` is what the model thought before."""

    content: str | None
    role: Literal["assistant"] = "assistant"
    refusal: None = None
    reasoning_content: str | UnsetType = UNSET
    tool_calls: list[CallMade] | UnsetType = UNSET


class Choice(Struct):
    message: AnswerMessage
    finish_reason: FinishReason
    index: int = 0
    logprobs: ChoiceLogprobs | None = None


class ChatCompletion(Struct, kw_only=True):
    id: str
    created: int
    model: str
    choices: list[Choice]
    usage: Usage
    x_cache: CacheReport | UnsetType = UNSET
    object: Literal["chat.completion"] = "chat.completion"


class FunctionDelta(Struct, omit_defaults=True, kw_only=True):
    arguments: str
    name: str | UnsetType = UNSET


class CallDelta(Struct, omit_defaults=True, kw_only=True):
    """The first of a call names it; those that follow bring its arguments."""

    index: int
    function: FunctionDelta
    id: str | UnsetType = UNSET
    type: Literal["function"] | UnsetType = UNSET


class DeltaMessage(Struct, omit_defaults=True):
    role: Literal["assistant"] | UnsetType = UNSET
    content: str | UnsetType = UNSET
    reasoning_content: str | UnsetType = UNSET
    tool_calls: list[CallDelta] | UnsetType = UNSET


class ChunkChoice(Struct):
    delta: DeltaMessage
    finish_reason: FinishReason | None = None
    index: int = 0
    logprobs: ChoiceLogprobs | None = None


class Chunk(Struct, kw_only=True):
    id: str
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | UnsetType | None = UNSET
    x_cache: CacheReport | UnsetType = UNSET
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"


def choice_of(answer: Answer, number: int) -> Choice:
    calls = [
        CallMade(id=call.id, function=CalledFunction(name=call.name, arguments=call.arguments)) for call in answer.calls
    ]
    message = AnswerMessage(
        None if calls and not answer.text else answer.text,
        reasoning_content=answer.reasoning or UNSET,
        tool_calls=calls or UNSET,
    )
    return Choice(message, answer.ended.reason, number, logprobs_of(answer.tokens))


def delta_of(piece: Delta | Thought | CallBegun | CallArguments, number: int) -> ChunkChoice:
    match piece:
        case Delta(text, tokens):
            return ChunkChoice(DeltaMessage(content=text), None, number, logprobs_of(tokens))
        case Thought(text, tokens):
            return ChunkChoice(DeltaMessage(reasoning_content=text), None, number, logprobs_of(tokens))
        case CallBegun(call, id_, name):
            function = FunctionDelta(name=name, arguments="")
            begun = CallDelta(index=call, id=id_, type="function", function=function)
            return ChunkChoice(DeltaMessage(tool_calls=[begun]), None, number)
        case CallArguments(call, text):
            more = CallDelta(index=call, function=FunctionDelta(arguments=text))
            return ChunkChoice(DeltaMessage(tool_calls=[more]), None, number)


def usage_of(finishes: Sequence[Finish]) -> Usage:
    """Of all choices together; what was cached is what the first to begin found."""
    prompt, cached = finishes[0].prompt_tokens, min(finish.cached_tokens for finish in finishes)
    completion = sum(finish.completion_tokens for finish in finishes)
    reasoning = sum(finish.reasoning_tokens for finish in finishes)
    details = CachedDetails(cached), CompletionDetails(reasoning)
    return Usage(prompt, completion, prompt + completion, *details)


def report_of(finish: Finish) -> CacheReport | UnsetType:
    reuse = finish.reuse
    if reuse is None:
        return UNSET
    token = reuse.different_token
    return CacheReport(
        reuse.memory_tokens,
        reuse.disk_tokens,
        finish.prompt_tokens - finish.cached_tokens,
        reuse.known_tokens,
        None if token is None else Difference(token, reuse.different_message),
    )
