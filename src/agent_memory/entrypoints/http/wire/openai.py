"""OpenAI's chat dialect: its structs, and pure functions between them and a `Prompt`.

Fields we do not know are ignored, as its clients expect. Fields we know and cannot honour yet are refused by
name: nothing a caller asks for is dropped in silence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field, json

from agent_memory.application.conversation import Grammar, Message, Prompt
from agent_memory.application.replies import Finish, Token
from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.kv.agents import AgentName
from agent_memory.domain.kv.turn import Sampling
from agent_memory.domain.tenants import DEFAULT_TENANT
from agent_memory.settings import ModelPlan

MAX_CHOICES = 16

Role = Literal["system", "developer", "user", "assistant", "tool"]
StopText = Annotated[str, Meta(min_length=1)]


class TextPart(Struct, tag="text", tag_field="type"):
    text: str


class ChatMessage(Struct, kw_only=True):
    role: Role
    content: str | list[TextPart] | None = None
    name: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None


class TextFormat(Struct, tag="text", tag_field="type"):
    pass


class JsonFormat(Struct, tag="json_object", tag_field="type"):
    pass


class JsonSchema(Struct, kw_only=True):
    """`strict` or not, the answer keeps to the schema."""

    name: Annotated[str, Meta(pattern="^[a-zA-Z0-9_-]{1,64}$")]
    schema: dict[str, Any] = field(default_factory=dict)
    description: str | None = None
    strict: bool | None = None


class SchemaFormat(Struct, tag="json_schema", tag_field="type"):
    json_schema: JsonSchema


class StreamOptions(Struct, kw_only=True):
    include_usage: bool | None = None


class ChatRequest(Struct, kw_only=True):
    messages: Annotated[list[ChatMessage], Meta(min_length=1)]
    model: str = "default"
    max_completion_tokens: Annotated[int, Meta(ge=1)] | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    presence_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    logit_bias: dict[str, Annotated[float, Meta(ge=-100, le=100)]] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    n: Annotated[int, Meta(ge=1, le=MAX_CHOICES)] | None = None
    response_format: TextFormat | JsonFormat | SchemaFormat | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    stop: StopText | Annotated[list[StopText], Meta(max_length=4)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    # known, and refused unless they ask for what is done anyway
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    functions: list[dict[str, Any]] | None = None
    function_call: str | dict[str, Any] | None = None
    modalities: list[str] | None = None
    audio: dict[str, Any] | None = None
    reasoning_effort: str | None = None
    web_search_options: dict[str, Any] | None = None
    store: bool | None = None
    # who asks: the first of these that is given, after the header X-Agent-ID
    agent_id: str | None = None
    session_id: str | None = None
    prompt_cache_key: str | None = None
    user: str | None = None
    # ours
    x_cache: bool | None = None
    no_store: bool | None = None


_REFUSED: Mapping[str, Sequence[object]] = {
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "modalities": (["text"],),
    "audio": (),
    "reasoning_effort": ("none",),
    "web_search_options": (),
    "store": (False,),
}
"""Known field -> the values that ask for nothing beyond what is done."""


class CachedDetails(Struct):
    cached_tokens: int


class Usage(Struct):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: CachedDetails


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
    content: str
    role: Literal["assistant"] = "assistant"
    refusal: None = None


class TopLogprob(Struct):
    token: str
    logprob: float
    bytes: list[int] | None


class TokenLogprob(Struct):
    """`bytes` is null for a token that is part of a character only."""

    token: str
    logprob: float
    bytes: list[int] | None
    top_logprobs: list[TopLogprob]


class ChoiceLogprobs(Struct):
    content: list[TokenLogprob]
    refusal: None = None


class Choice(Struct):
    message: AnswerMessage
    finish_reason: Literal["stop", "length", "tool_calls"]
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


class DeltaMessage(Struct, omit_defaults=True):
    role: Literal["assistant"] | UnsetType = UNSET
    content: str | UnsetType = UNSET


class ChunkChoice(Struct):
    delta: DeltaMessage
    finish_reason: Literal["stop", "length", "tool_calls"] | None = None
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


class ErrorBody(Struct):
    message: str
    type: str
    param: str | None
    code: str | None


class ErrorAnswer(Struct):
    error: ErrorBody


class Model(Struct, kw_only=True):
    id: str
    created: int
    object: Literal["model"] = "model"
    owned_by: str = "agent-memory"


class ModelList(Struct, kw_only=True):
    data: list[Model]
    object: Literal["list"] = "list"


_AGENT_FIELDS = ("agent_id", "session_id", "prompt_cache_key", "user")


def to_prompt(
    request: ChatRequest, plan: ModelPlan, seconds: float | None = None, agent: AgentName | None = None
) -> Prompt:
    """What the request leaves open, the model's plan decides; how long the answer may be, the conversation."""
    _refuse_what_we_cannot(request)
    if request.top_logprobs is not None and not request.logprobs:
        raise InvalidInput("top_logprobs", "needs logprobs to be true")
    sampling = Sampling(
        temperature=_given(request.temperature, plan.temperature),
        top_p=_given(request.top_p, plan.top_p),
        seed=request.seed,
        frequency_penalty=_given(request.frequency_penalty, 0.0),
        presence_penalty=_given(request.presence_penalty, 0.0),
        logit_bias=_biases(request.logit_bias or {}),
        logprobs=(request.top_logprobs or 0) if request.logprobs else None,
    )
    return Prompt(
        messages=tuple(_message(i, each) for i, each in enumerate(request.messages)),
        sampling=sampling,
        max_tokens=request.max_completion_tokens or request.max_tokens,
        stop=(request.stop,) if isinstance(request.stop, str) else tuple(request.stop or ()),
        seconds=seconds,
        explain=request.x_cache is True,
        agent=agent or _agent_of(request),
        stored=request.no_store is not True,
        grammar=_grammar(request.response_format),
    )


def _agent_of(request: ChatRequest) -> AgentName | None:
    named = ((field, getattr(request, field)) for field in _AGENT_FIELDS)
    field, name = next(((field, name) for field, name in named if name), ("", ""))
    return AgentName.of(DEFAULT_TENANT, name, field) if name else None


def choices_of(prompt: Prompt, count: int) -> list[Prompt]:
    """So many prompts like this one; a seed is counted on, lest all of them answer the same."""
    seed = prompt.sampling.seed
    if seed is None or count == 1:
        return [prompt] * count
    return [replace(prompt, sampling=replace(prompt.sampling, seed=seed + number)) for number in range(count)]


def _biases(given: Mapping[str, float]) -> tuple[tuple[int, float], ...]:
    for token in given:
        if not (token.isascii() and token.isdigit()):
            raise InvalidInput("logit_bias", f"{token!r} is not a token id")
    return tuple((int(token), bias) for token, bias in given.items())


def _grammar(wanted: TextFormat | JsonFormat | SchemaFormat | None) -> Grammar | None:
    match wanted:
        case SchemaFormat(json_schema):
            text = json.encode(json_schema.schema).decode()
            return Grammar("json_schema", text, field="response_format.json_schema.schema")
        case JsonFormat():
            return Grammar("json_schema", '{"type": "object"}', field="response_format")
        case _:
            return None


def logprobs_of(tokens: Sequence[Token]) -> ChoiceLogprobs | None:
    if not tokens:
        return None
    return ChoiceLogprobs([_logprob(token) for token in tokens])


def _logprob(token: Token) -> TokenLogprob:
    top = [TopLogprob(each.text, each.logprob, _bytes(each.text)) for each in token.likeliest]
    return TokenLogprob(token.said.text, token.said.logprob, _bytes(token.said.text), top)


def _bytes(text: str) -> list[int] | None:
    return None if "\ufffd" in text else list(text.encode())


def usage_of(finishes: Sequence[Finish]) -> Usage:
    """Of all choices together; what was cached is what the first to begin found."""
    prompt, cached = finishes[0].prompt_tokens, min(finish.cached_tokens for finish in finishes)
    completion = sum(finish.completion_tokens for finish in finishes)
    return Usage(prompt, completion, prompt + completion, CachedDetails(cached))


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


def _message(index: int, message: ChatMessage) -> Message:
    field = f"messages[{index}]"
    if message.tool_calls:
        raise InvalidInput(f"{field}.tool_calls", "tool calls are not supported by this server yet")
    if message.content is None:
        raise InvalidInput(f"{field}.content", "is required")
    parts = [message.content] if isinstance(message.content, str) else [part.text for part in message.content]
    return Message("system" if message.role == "developer" else message.role, "".join(parts))


def _refuse_what_we_cannot(request: ChatRequest) -> None:
    for name, harmless in _REFUSED.items():
        value = getattr(request, name)
        if value is not None and value not in harmless:
            raise InvalidInput(name, "is not supported by this server yet; leave it out")


def _given(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value
